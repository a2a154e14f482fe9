"""A private endpoint is reached through a proxy: HTTP (CONNECT) or SOCKS5."""

from __future__ import annotations

import socket
import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.calls import Calls, Patience
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.errors import InvalidDescription, Unreadable
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.runtime import Threads
from ansible_collections.capstan.fullstack.plugins.module_utils.kube.provider import KubeProvider

from .harness import KUBECONFIG

pytestmark = pytest.mark.cluster


def relay(one: socket.socket, other: socket.socket) -> None:
    """Bytes of `one` to `other` until it ends."""
    try:
        while data := one.recv(65536):
            other.sendall(data)
    except OSError:
        pass
    finally:
        other.close()


class Proxy(socketserver.ThreadingTCPServer):
    """Counts what passes through it."""

    daemon_threads = True
    allow_reuse_address = True
    asked: list[str]


class Connect(socketserver.StreamRequestHandler):
    """The CONNECT method of an HTTP proxy."""

    def handle(self) -> None:
        line = self.rfile.readline().decode()
        while self.rfile.readline().strip():
            pass
        target = line.split()[1]
        self.server.asked.append(target)  # type: ignore[attr-defined]
        host, _, port = target.rpartition(":")
        far = socket.create_connection((host, int(port)))
        self.connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        threading.Thread(target=relay, args=(far, self.connection), daemon=True).start()
        relay(self.connection, far)


class Socks(socketserver.StreamRequestHandler):
    """SOCKS5 without authentication (RFC 1928)."""

    def handle(self) -> None:
        _, count = self.rfile.read(2)
        self.rfile.read(count)
        self.connection.sendall(b"\x05\x00")
        _, _, _, kind = self.rfile.read(4)
        host = socket.inet_ntoa(self.rfile.read(4)) if kind == 1 else self.rfile.read(self.rfile.read(1)[0]).decode()
        (port,) = struct.unpack("!H", self.rfile.read(2))
        self.server.asked.append(f"{host}:{port}")  # type: ignore[attr-defined]
        far = socket.create_connection((host, port))
        self.connection.sendall(b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
        threading.Thread(target=relay, args=(far, self.connection), daemon=True).start()
        relay(self.connection, far)


@contextmanager
def proxy(handler: type[socketserver.StreamRequestHandler]) -> Iterator[Proxy]:
    with Proxy(("127.0.0.1", 0), handler) as server:
        server.asked = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def namespace_through(address: str) -> object:
    provider = KubeProvider(kubeconfig=KUBECONFIG, proxy=address)
    calls = Calls(Threads(), lambda: None, Patience(retry_s=0.5, wait_s=0.5))
    return provider.open("main", None, calls).get("/api/v1/namespaces/default")


@pytest.mark.parametrize(("scheme", "handler"), [("http", Connect), ("socks5h", Socks)])
def test_every_request_goes_through_the_proxy(scheme: Any, handler: Any) -> None:
    with proxy(handler) as server:
        found = namespace_through(f"{scheme}://127.0.0.1:{server.server_address[1]}")
        assert found is not None
        assert server.asked == ["10.77.0.1:16443"]


def test_a_proxy_that_is_not_there_is_unreadable() -> None:
    with pytest.raises(Unreadable, match="Unreachable"):
        namespace_through("http://127.0.0.1:9")


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidDescription, match="kube_proxy is no proxy's address"):
        namespace_through("ftp://127.0.0.1:21")
