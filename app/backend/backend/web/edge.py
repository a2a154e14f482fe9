"""What holds for every request of the service port: correlation id, log line, size limit, CORS, compression."""

from __future__ import annotations

import gzip
import io
import logging
import time
from collections.abc import Callable, Iterable
from typing import Any

from backend.errors import FieldError
from backend.observability.instruments import Instruments
from backend.observability.logs import CORRELATION_HEADER, correlation_id, correlation_id_from
from backend.observability.tracing import QUIET_PATHS, Tracer, current
from backend.web.json import problem

log = logging.getLogger("backend.requests")

Environ = dict[str, Any]
Headers = list[tuple[str, str]]

COMPRESS_FROM_BYTES = 1000
_NO_BODY = (204, 304)
# What pages of other origins may read and send.
_EXPOSED = f"X-Cache, Location, ETag, Link, Idempotency-Replayed, {CORRELATION_HEADER}"
_TAKEN = f"Content-Type, If-Match, If-None-Match, Idempotency-Key, {CORRELATION_HEADER}"


class Edge:
    """A WSGI application around another one."""

    def __init__(
        self,
        app: Callable[..., Iterable[bytes]],
        max_body_bytes: int,
        cors_origins: tuple[str, ...],
        instruments: Instruments,
        tracer: Tracer,
    ) -> None:
        self._app = app
        self._instruments = instruments
        self._tracer = tracer
        self._max_body_bytes = max_body_bytes
        self._cors_origins = cors_origins

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> list[bytes]:
        """One request."""
        started = time.perf_counter()
        trace = self._tracer.begin(environ.get("HTTP_TRACEPARENT"), environ.get("HTTP_TRACESTATE", ""))
        request_id = correlation_id_from(environ.get("HTTP_X_CORRELATION_ID"), trace.trace_id)
        token, trace_token = correlation_id.set(request_id), current.set(trace)
        try:
            status, headers, body = self._answer(environ)
            headers = [*headers, (CORRELATION_HEADER, request_id), *self._cors_headers(environ)]
            headers, body = compressed(environ, headers, body)
            if int(status[:3]) not in _NO_BODY and environ["REQUEST_METHOD"] != "HEAD":
                headers = [*_without(headers, "content-length"), ("Content-Length", str(len(body)))]
            took_s = time.perf_counter() - started
            method, uri, code = environ["REQUEST_METHOD"], uri_of(environ), int(status[:3])
            self._instruments.answered(method, uri, code, took_s)
            self._tracer.end(trace, method, uri, environ.get("PATH_INFO", ""), code, started, took_s)
            self._log(environ, code, headers, len(body), took_s, trace.user_id)
        finally:
            current.reset(trace_token)
            correlation_id.reset(token)
        start_response(status, headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]

    def _answer(self, environ: Environ) -> tuple[str, Headers, bytes]:
        if self._is_preflight(environ):
            return "204 No Content", [], b""
        body_in = read_body(environ, self._max_body_bytes)
        if body_in is None:
            message = f"The body must have at most {self._max_body_bytes} bytes."
            made = problem(413, "too_large", message, [FieldError("", "too_large", message)])
            return made.status_line, list(made.headerlist), made.body
        environ["wsgi.input"] = io.BytesIO(body_in)
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
        return caught["status"], caught["headers"], body

    def _is_preflight(self, environ: Environ) -> bool:
        return environ["REQUEST_METHOD"] == "OPTIONS" and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ

    def _cors_headers(self, environ: Environ) -> Headers:
        origin = environ.get("HTTP_ORIGIN")
        if not self._cors_origins:
            return []
        if not origin or (origin not in self._cors_origins and "*" not in self._cors_origins):
            return [("Vary", "Origin")]
        headers = [("Access-Control-Allow-Origin", origin), ("Vary", "Origin")]
        headers.append(("Access-Control-Expose-Headers", _EXPOSED))
        if self._is_preflight(environ):
            headers += [
                ("Access-Control-Allow-Methods", "GET, POST, PUT, PATCH, DELETE"),
                ("Access-Control-Allow-Headers", _TAKEN),
                ("Access-Control-Max-Age", "600"),
            ]
        return headers

    def _log(
        self, environ: Environ, status: int, headers: Headers, size: int, took_s: float, user_id: int | None
    ) -> None:
        path = environ.get("PATH_INFO", "")
        level = logging.ERROR if status >= 500 else logging.DEBUG if path in QUIET_PATHS else logging.INFO
        fields = {
            "method": environ["REQUEST_METHOD"],
            "path": path[:500],  # without the query: it may hold what people typed
            "status": status,
            "duration_ms": round(took_s * 1000, 2),
            "bytes": size,
            "remote": environ.get("REMOTE_ADDR", ""),
        }
        if user_id is not None:
            fields["user_id"] = user_id
        cache = next((value for name, value in headers if name.lower() == "x-cache"), None)
        log.log(level, "request", extra={"fields": fields | ({"cache": cache} if cache else {})})


def uri_of(environ: Environ) -> str:
    """The route that a request took, "/api/users/{id}"; never what the client wrote."""
    route = environ.get("bottle.route")
    if route is None:
        return "UNKNOWN"
    rule: str = route.rule
    return rule.replace("<", "{").replace(">", "}")


def read_body(environ: Environ, max_bytes: int) -> bytes | None:
    """The request's body, None where it is longer than `max_bytes`; then at most one byte too many was read."""
    text = environ.get("CONTENT_LENGTH") or ""
    length = int(text[:20]) if text.isdigit() else None
    if length is None and not environ.get("wsgi.input_terminated"):
        return b""  # neither a length nor an end that the server promises: there is no body
    if length is not None and length > max_bytes:
        return None
    # A chunked body comes here already unpacked, and its length is known only at its end.
    body: bytes = environ["wsgi.input"].read(max_bytes + 1 if length is None else length)
    return body if len(body) <= max_bytes else None


def _without(headers: Headers, name: str) -> Headers:
    return [pair for pair in headers if pair[0].lower() != name]


def compressed(environ: Environ, headers: Headers, body: bytes) -> tuple[Headers, bytes]:
    """Headers and body, compressed where the body is worth it and the client takes gzip."""
    if len(body) < COMPRESS_FROM_BYTES:
        return headers, body
    headers = [*headers, ("Vary", "Accept-Encoding")]
    if not accepts_gzip(environ.get("HTTP_ACCEPT_ENCODING", "")):
        return headers, body
    return [*headers, ("Content-Encoding", "gzip")], gzip.compress(body, 5, mtime=0)


def accepts_gzip(header: str) -> bool:
    """Whether an Accept-Encoding header allows gzip."""
    for part in header.lower().split(","):
        name, _, quality = part.partition(";")
        if name.strip() == "gzip":
            return quality.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
