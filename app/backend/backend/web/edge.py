"""What holds for every request of the service port: correlation id, log line, limits, headers, CORS, compression.

Each of these is decided in a module of its own; here they are put around a request.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import lru_cache
from time import perf_counter
from typing import Any

from backend.cache.rates import WINDOW_S
from backend.config import Settings
from backend.connections import cut_quiet
from backend.observability.instruments import Instruments
from backend.observability.logs import CORRELATION_HEADER, is_acceptable
from backend.observability.request_lines import RequestLines
from backend.observability.tracing import Tracer, current
from backend.web import security_headers
from backend.web.access import CLIENT_KEY, LEFT_KEY
from backend.web.compression import (
    COMPRESS_FROM_BYTES,
    accepts_gzip,
    compress,
    compressed_tag,
    may_compress,
    uncompress_conditions,
)
from backend.web.cors import Cors, is_preflight
from backend.web.json import CACHE_KEY, DEPTH_KEY
from backend.web.lean import ROUTE_KEY, LeanBottle
from backend.web.limits import Bodies, Refused, body_length, check_line
from backend.web.proxies import Client, Proxies

Environ = dict[str, Any]
Headers = list[tuple[str, str]]

_NO_BODY = (204, 304)
_NOTHING = io.BytesIO()  # what requests without a body are read from: nobody can use it up


class Edge:
    """The service's WSGI application."""

    def __init__(
        self, app: LeanBottle, settings: Settings, instruments: Instruments, tracer: Tracer, lines: RequestLines
    ) -> None:
        self._app = app
        self._instruments = instruments
        self._tracer = tracer
        self._lines = lines
        self._bodies = Bodies(settings.max_upload_bytes, settings.body_timeout_s, settings.bodies_at_once, cut_quiet)
        self._max_json_depth = settings.max_json_depth
        self._proxies = Proxies(settings.trusted_proxies)
        self._cors = Cors(settings.cors_origins)
        self._always_https = settings.hsts

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> list[bytes]:
        """One request."""
        started = perf_counter()
        get = environ.get
        trace = self._tracer.begin(get("HTTP_TRACEPARENT"), get("HTTP_TRACESTATE", ""))
        own_id = get("HTTP_X_CORRELATION_ID")
        if own_id is not None and is_acceptable(own_id):
            trace.correlation_id = own_id
        token = current.set(trace)
        try:
            method, path = environ["REQUEST_METHOD"], get("PATH_INFO", "")
            client = environ[CLIENT_KEY] = self._proxies.client(
                get("REMOTE_ADDR", ""), get("HTTP_X_FORWARDED_FOR"), get("HTTP_X_FORWARDED_PROTO")
            )
            packed_condition = uncompress_conditions(environ)
            line, headers, body = self._answer(environ, method, path)
            status, size = int(line[:3]), len(body)
            if packed_condition or size >= COMPRESS_FROM_BYTES:
                headers, body = with_compression(environ, status, headers, body, packed_condition)
                size = len(body)
            self._add_own_headers(headers, environ, client)
            headers.append((CORRELATION_HEADER, trace.correlation_id))
            if status not in _NO_BODY and method != "HEAD":
                headers.append(("Content-Length", str(size)))
            took_s = perf_counter() - started
            route = get(ROUTE_KEY, "UNKNOWN")
            self._instruments.answered(method, route, status)(took_s)
            self._tracer.end(trace, method, route, path, status, started, took_s)
            self._lines.write(trace, method, path, status, took_s, size, client.address, get(CACHE_KEY))
        finally:
            current.reset(token)
        start_response(line, headers)
        return [] if method == "HEAD" else [body]

    def _answer(self, environ: Environ, method: str, path: str) -> tuple[str, Headers, bytes]:
        if method == "OPTIONS" and is_preflight(environ):
            return "204 No Content", [], b""
        try:
            check_line(method, path, environ.get("QUERY_STRING", ""))
            if body_length(environ) != 0:
                environ["wsgi.input"] = io.BytesIO(self._bodies.read(environ))
                environ[DEPTH_KEY] = self._max_json_depth
            else:
                environ["wsgi.input"] = _NOTHING
        except Refused as refused:
            made = refused.answer()
            return made.status_line, made.headerlist, made.body
        return self._app.answer(environ, method, path)

    def _add_own_headers(self, headers: Headers, environ: Environ, client: Client) -> None:
        """Those of security, limits and CORS."""
        headers += security_headers.ALWAYS
        own_policy = environ.get(security_headers.POLICY_KEY)
        headers.append((security_headers.POLICY, own_policy) if own_policy else security_headers.FOR_API)
        if self._always_https or client.https:
            headers.append(security_headers.HTTPS_ONLY)
        if self._cors.is_used:
            headers += self._cors.headers(environ)
        left = environ.get(LEFT_KEY)
        if left is not None:
            policy, most, more = left
            headers += (_policy_header(policy, most), ("RateLimit", f'"{policy}";r={more}'))


@lru_cache
def _policy_header(policy: str, most: int) -> tuple[str, str]:
    """How many requests a minute there may be: draft-ietf-httpapi-ratelimit-headers-10."""
    return "RateLimit-Policy", f'"{policy}";q={most};w={WINDOW_S}'


def _without(headers: Headers, name: str) -> Headers:
    return [pair for pair in headers if pair[0].lower() != name]


def with_compression(
    environ: Environ, status: int, headers: Headers, body: bytes, packed_condition: bool
) -> tuple[Headers, bytes]:
    """Headers and body, compressed where the body is worth it and the client takes gzip.

    A 304 names the form that the client has: `packed_condition` says that it asked with the tag of the compressed one.
    """
    named = {name.lower(): value for name, value in headers}
    if may_compress(named, len(body)):
        headers = [*headers, ("Vary", "Accept-Encoding")]
        if not accepts_gzip(environ.get("HTTP_ACCEPT_ENCODING", "")):
            return headers, body
        headers.append(("Content-Encoding", "gzip"))
        body = compress(body)
    elif not (status == 304 and packed_condition):
        return headers, body
    if "etag" in named:
        headers = [*_without(headers, "etag"), ("ETag", compressed_tag(named["etag"]))]
    return headers, body
