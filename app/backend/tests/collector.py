"""A collector of traces: a real HTTP server whose bodies are read by OpenTelemetry's own protocol definition."""

from __future__ import annotations

import base64
import gzip
import json
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

KINDS = {1: "internal", 2: "server", 3: "client"}
ERROR = 2


@dataclass(frozen=True)
class Seen:
    """A span as it arrived. Ids in hex; times in nanoseconds since 1970."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    trace_state: str
    flags: int
    began_ns: int
    ended_ns: int
    failed: bool
    tags: dict[str, Any]


@dataclass
class Collector:
    """What it received, and what it answers first (status, headers, body) before it takes whatever comes."""

    server: ThreadingHTTPServer
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    requests: list[ExportTraceServiceRequest] = field(default_factory=list)
    answers: deque[tuple[int, dict[str, str], bytes]] = field(default_factory=deque)
    hold: threading.Event | None = None  # answers wait for it

    @property
    def url(self) -> str:
        """The endpoint."""
        return f"http://127.0.0.1:{self.server.server_port}"

    @property
    def resource(self) -> dict[str, Any]:
        """Attributes of the resource of the last request."""
        return _tags(self.requests[-1].resource_spans[0].resource.attributes)

    def spans(self) -> list[Seen]:
        """All spans that arrived, as they came."""
        return [span for request in self.requests for span in spans_of(request)]

    def stop(self) -> None:
        """Ends the server."""
        if self.hold is not None:
            self.hold.set()
        self.server.shutdown()
        self.server.server_close()


def collect(port: int = 0) -> Collector:
    """A collector that runs."""
    server = ThreadingHTTPServer(("127.0.0.1", port), BaseHTTPRequestHandler)
    collector = Collector(server)
    server.RequestHandlerClass = _handler(collector)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    return collector


def _handler(collector: Collector) -> Callable[..., BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = gzip.decompress(self.rfile.read(int(self.headers["Content-Length"])))
            if collector.hold is not None:
                collector.hold.wait(30)
            collector.paths.append(self.path)
            collector.headers.append(dict(self.headers))
            status, headers, answer = collector.answers.popleft() if collector.answers else (200, {}, b"{}")
            if status == 200:
                _check_ids(json.loads(body))
                collector.requests.append(json_format.Parse(body, ExportTraceServiceRequest()))
            self.send_response(status)
            for name, value in {"Content-Length": str(len(answer)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler


def _check_ids(body: Any) -> None:
    """Ids in OTLP's JSON are hex, where protobuf's own mapping has base64, as which the parser reads them."""
    for resource in body["resourceSpans"]:
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                assert (len(span["traceId"]), len(span["spanId"])) == (32, 16)
                assert all(character in "0123456789abcdef" for character in span["traceId"] + span["spanId"])


def spans_of(request: ExportTraceServiceRequest) -> list[Seen]:
    """The spans of one request."""
    return [
        Seen(
            name=span.name,
            kind=KINDS[span.kind],
            trace_id=_hex(span.trace_id),
            span_id=_hex(span.span_id),
            parent_id=_hex(span.parent_span_id),
            trace_state=span.trace_state,
            flags=span.flags,
            began_ns=span.start_time_unix_nano,
            ended_ns=span.end_time_unix_nano,
            failed=span.status.code == ERROR,
            tags=_tags(span.attributes),
        )
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def _hex(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _tags(attributes: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in attributes}
