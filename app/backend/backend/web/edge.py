"""What holds for every request of the service port: correlation id, log line, limits, headers, CORS, compression.

Each of these is decided in a module of its own; here they are put around a request.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from backend.cache.rates import WINDOW_S
from backend.config import Settings
from backend.connections import cut_quiet
from backend.observability.instruments import Instruments
from backend.observability.logs import CORRELATION_HEADER, correlation_id, correlation_id_from
from backend.observability.request_lines import Line, RequestLines
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
        started = time.perf_counter()
        trace = self._tracer.begin(environ.get("HTTP_TRACEPARENT"), environ.get("HTTP_TRACESTATE", ""))
        request_id = correlation_id_from(environ.get("HTTP_X_CORRELATION_ID"), trace.trace_id)
        token, trace_token = correlation_id.set(request_id), current.set(trace)
        client = environ[CLIENT_KEY] = self._proxies.client(
            environ.get("REMOTE_ADDR", ""),
            environ.get("HTTP_X_FORWARDED_FOR"),
            environ.get("HTTP_X_FORWARDED_PROTO"),
        )
        method = environ["REQUEST_METHOD"]
        try:
            packed_condition = uncompress_conditions(environ)
            line, headers, body = self._answer(environ)
            status = int(line[:3])
            if packed_condition or len(body) >= COMPRESS_FROM_BYTES:
                headers, body = with_compression(environ, status, headers, body, packed_condition)
            headers += self._own_headers(environ, headers, client)
            headers.append((CORRELATION_HEADER, request_id))
            if status not in _NO_BODY and method != "HEAD":
                headers.append(("Content-Length", str(len(body))))
            took_s = time.perf_counter() - started
            route = environ.get(ROUTE_KEY, "UNKNOWN")
            self._instruments.answered(method, route, status, took_s)
            path = environ.get("PATH_INFO", "")
            self._tracer.end(trace, method, route, path, status, started, took_s)
            self._lines.write(
                Line(method, path, status, took_s, len(body), client.address, trace.user_id, environ.get(CACHE_KEY)),
                request_id,
                trace,
            )
        finally:
            current.reset(trace_token)
            correlation_id.reset(token)
        start_response(line, headers)
        return [] if method == "HEAD" else [body]

    def _answer(self, environ: Environ) -> tuple[str, Headers, bytes]:
        if is_preflight(environ):
            return "204 No Content", [], b""
        try:
            check_line(environ)
            has_body = body_length(environ) != 0
            environ["wsgi.input"] = io.BytesIO(self._bodies.read(environ) if has_body else b"")
            environ[DEPTH_KEY] = self._max_json_depth
        except Refused as refused:
            made = refused.answer()
            return made.status_line, made.headerlist, made.body
        return self._app.answer(environ)

    def _own_headers(self, environ: Environ, answered: Headers, client: Client) -> Headers:
        """Those of security, limits and CORS; an answer may bring a content policy of its own."""
        security = security_headers.WITH_API_POLICY
        for name, _ in answered:
            if name == security_headers.POLICY:
                security = security_headers.ALWAYS
        headers = [*security, *self._cors.headers(environ)]
        if client.https or self._always_https:
            headers.append(security_headers.HTTPS_ONLY)
        left = environ.get(LEFT_KEY)
        if left is not None:
            policy, most, more = left
            headers += (_policy_header(policy, most), ("RateLimit", f'"{policy}";r={more}'))
        return headers


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
