"""A gate in front of the real API server: logs every call and, by the same rules as the AWS sandbox's faults, kills the
caller before a call is passed on, or after it was carried out with the answer lost."""

from __future__ import annotations

import http.client
import http.server
import json
import ssl
import threading
import time
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from sandbox.aws.faults import Candidate, Faults, kill

_HOP = frozenset({"connection", "transfer-encoding", "content-length", "host", "keep-alive"})
_READS = frozenset({"GET", "HEAD", "OPTIONS"})


def operation_of(method: str, target: str) -> tuple[str, bool]:
    """What a request is called in rules and logs, and whether it writes: `PATCH /api/v1/…/x`, ` (dry)`, ` (watch)`."""
    parts = urlsplit(target)
    query = parse_qs(parts.query)
    dry, watch = "dryRun" in query, query.get("watch") in (["true"], ["1"])
    note = " (dry)" if dry else " (watch)" if watch else ""
    return f"{method} {parts.path}{note}", method not in _READS and not dry


class KubeGate:
    """`with KubeGate(pki, "10.77.0.1", 16443) as gate:` serves `gate.url` with the API server's own certificate."""

    def __init__(self, pki: Path, host: str, port: int) -> None:
        self._upstream = (host, port)
        self._to_server = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        self.faults = Faults()
        self.calls: list[dict[str, Any]] = []
        self._lock = threading.Lock()
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pki / "apiserver.crt", pki / "apiserver.key")
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"https://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def since(self, mark: int) -> list[dict[str, Any]]:
        """The calls after `mark` (the length of `calls` at some moment)."""
        with self._lock:
            return self.calls[mark:]

    def _log(self, operation: str, write: bool, agent: str) -> int:
        with self._lock:
            self.calls.append({"time": time.time(), "operation": operation, "write": write, "user_agent": agent})
            return len(self.calls)

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        gate = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 120

            def log_message(self, format: str, *arguments: Any) -> None:
                """The gate keeps its own log."""

            def handle_any(self) -> None:
                gate.pass_on(self)

            do_GET = do_PATCH = do_POST = do_PUT = do_DELETE = handle_any

        return Handler

    def pass_on(self, request: http.server.BaseHTTPRequestHandler) -> None:
        """One request: logged, judged, forwarded, answered."""
        operation, write = operation_of(request.command, request.path)
        agent = request.headers.get("User-Agent", "")
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        number = self._log(operation, write, agent)
        rules = self.faults.due(number, Candidate("kubernetes", operation, write, "", agent))
        if any(rule.effect["kind"] == "kill_before" for rule in rules):
            kill(next(rule.effect for rule in rules if rule.effect["kind"] == "kill_before"))
            request.close_connection = True
            return
        upstream = http.client.HTTPSConnection(*self._upstream, context=self._to_server, timeout=120)
        try:
            headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP}
            upstream.request(request.command, request.path, body or None, headers)
            answer = upstream.getresponse()
            after = next((rule.effect for rule in rules if rule.effect["kind"] == "kill_after"), None)
            if after is not None:
                kill(after)
                request.close_connection = True
                return
            self._answer(request, answer)
        except (OSError, http.client.HTTPException):
            request.close_connection = True
        finally:
            upstream.close()

    def _answer(self, request: http.server.BaseHTTPRequestHandler, answer: http.client.HTTPResponse) -> None:
        request.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in _HOP:
                request.send_header(name, value)
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        while piece := answer.read1(65536):
            request.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            request.wfile.flush()
        request.wfile.write(b"0\r\n\r\n")


def control(url: str, path: str, body: Any = None) -> Any:
    """One request to the AWS sandbox's control interface."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    method, content = ("GET", None) if body is None else ("POST", json.dumps(body))
    connection.request(method, f"/_sandbox/{path}", content)
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    if answer.status >= 300:
        raise AssertionError(f"{path}: {answer.status} {text.decode()}")
    return json.loads(text or b"null")
