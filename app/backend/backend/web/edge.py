"""What holds for every request of the service port: correlation id, log line, limits, headers, CORS, compression.

Each of these is decided in a module of its own; here they are put around a request.
"""

from __future__ import annotations

import io
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import quote

from backend.config import Settings
from backend.connections import cut_quiet
from backend.observability.instruments import Instruments
from backend.observability.logs import CORRELATION_HEADER, correlation_id, correlation_id_from
from backend.observability.tracing import QUIET_PATHS, Tracer, current
from backend.web import security_headers
from backend.web.compression import (
    accepts_gzip,
    compress,
    compressed_tag,
    may_compress,
    uncompress_conditions,
)
from backend.web.cors import Cors, is_preflight
from backend.web.json import DEPTH_KEY
from backend.web.limits import Bodies, Refused, body_length, check_line
from backend.web.proxies import Client, Proxies

log = logging.getLogger("backend.requests")

Environ = dict[str, Any]
Headers = list[tuple[str, str]]

_NO_BODY = (204, 304)


class Edge:
    """A WSGI application around another one."""

    def __init__(
        self, app: Callable[..., Iterable[bytes]], settings: Settings, instruments: Instruments, tracer: Tracer
    ) -> None:
        self._app = app
        self._instruments = instruments
        self._tracer = tracer
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
        client = self._proxies.client(
            environ.get("REMOTE_ADDR", ""),
            environ.get("HTTP_X_FORWARDED_FOR"),
            environ.get("HTTP_X_FORWARDED_PROTO"),
        )
        try:
            packed_condition = uncompress_conditions(environ)
            line, headers, body = self._answer(environ)
            status = int(line[:3])
            named = {name.lower(): value for name, value in headers}
            headers, body = with_compression(environ, status, headers, named, body, packed_condition)
            headers += self._own_headers(environ, named, client)
            headers.append((CORRELATION_HEADER, request_id))
            if status not in _NO_BODY and environ["REQUEST_METHOD"] != "HEAD":
                headers = [*_without(headers, "content-length"), ("Content-Length", str(len(body)))]
            took_s = time.perf_counter() - started
            method, uri = environ["REQUEST_METHOD"], uri_of(environ)
            self._instruments.answered(method, uri, status, took_s)
            self._tracer.end(trace, method, uri, environ.get("PATH_INFO", ""), status, started, took_s)
            self._log(environ, status, named, len(body), took_s, client, trace.user_id)
        finally:
            current.reset(trace_token)
            correlation_id.reset(token)
        start_response(line, headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]

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
            return made.status_line, list(made.headerlist), made.body
        caught: dict[str, Any] = {}

        def start(status: str, headers: Headers, exc_info: object = None) -> None:
            caught.update(status=status, headers=headers)

        parts = self._app(environ, start)
        try:
            body = b"".join(parts)
        finally:
            close = getattr(parts, "close", None)
            if close is not None:
                close()
        return caught["status"], list(caught["headers"]), body

    def _own_headers(self, environ: Environ, named: Mapping[str, str], client: Client) -> Headers:
        """Those of security and CORS; an answer may bring a content policy of its own."""
        has_policy = "content-security-policy" in named
        headers = security_headers.ALWAYS if has_policy else security_headers.WITH_API_POLICY
        if client.https or self._always_https:
            headers = [*headers, security_headers.HTTPS_ONLY]
        return headers + self._cors.headers(environ)

    def _log(
        self,
        environ: Environ,
        status: int,
        named: Mapping[str, str],
        size: int,
        took_s: float,
        client: Client,
        user_id: int | None,
    ) -> None:
        path = environ.get("PATH_INFO", "")
        level = logging.ERROR if status >= 500 else logging.DEBUG if path in QUIET_PATHS else logging.INFO
        if not log.isEnabledFor(level):
            return
        fields = {
            "method": environ["REQUEST_METHOD"],
            "path": shown_path(path),  # without the query: it may hold what people typed
            "status": status,
            "duration_ms": round(took_s * 1000, 2),
            "bytes": size,
            "remote": client.address,
        }
        if user_id is not None:
            fields["user_id"] = user_id
        cache = named.get("x-cache")
        log.log(level, "request", extra={"fields": fields | ({"cache": cache} if cache else {})})


def uri_of(environ: Environ) -> str:
    """The route that a request took, "/api/users/{id}"; never what the client wrote."""
    route = environ.get("bottle.route")
    if route is None:
        return "UNKNOWN"
    rule: str = route.rule
    return rule.replace("<", "{").replace(">", "}")


def shown_path(path: str) -> str:
    """A path for the log. What is not plain ASCII is percent-encoded: nothing that a terminal or a log reader obeys."""
    if not (path.isascii() and path.isprintable()):
        path = quote(path.encode("latin-1", "replace"), safe="/!$&'()*+,;=:@~")
    return path[:500]


def _without(headers: Headers, name: str) -> Headers:
    return [pair for pair in headers if pair[0].lower() != name]


def with_compression(
    environ: Environ, status: int, headers: Headers, named: Mapping[str, str], body: bytes, packed_condition: bool
) -> tuple[Headers, bytes]:
    """Headers (`named`: by lower-case name) and body, compressed where the body is worth it and the client takes gzip.

    A 304 names the form that the client has: `packed_condition` says that it asked with the tag of the compressed one.
    """
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
