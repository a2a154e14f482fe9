"""The server of the management port: small, with threads of its own, so that it answers when the service's are busy."""

from __future__ import annotations

import socketserver
import threading
from typing import Any
from wsgiref.simple_server import ServerHandler, WSGIRequestHandler, WSGIServer


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 64

    def server_bind(self) -> None:
        # The base class looks its own name up, which waits for DNS where there is none.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "localhost", self.server_address[1]
        self.setup_environ()


class _Handler(WSGIRequestHandler):
    timeout = 10  # seconds; a client that says nothing holds its thread no longer

    def address_string(self) -> str:
        return str(self.client_address[0])

    def log_message(self, format: str, *args: Any) -> None:
        """Probes and scrapes are not worth a line each."""


ServerHandler.server_software = "capstan"


def serve_in_background(app: Any, address: str, port: int, notice_stop_s: float = 0.5) -> WSGIServer:
    """Serves `app` from a thread of this process, which looks every `notice_stop_s` whether it is to stop.

    Raises OSError where the port is taken.
    """
    server = _Server((address, port), _Handler)
    server.set_app(app)
    threading.Thread(target=server.serve_forever, args=(notice_stop_s,), name="management", daemon=True).start()
    return server
