"""HTTP as bytes, for what no proper client would send."""

from __future__ import annotations

import socket
from contextlib import closing


def connection(port: int) -> socket.socket:
    """A connection to this machine."""
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def received(open_connection: socket.socket, quiet_s: float | None = None) -> bytes:
    """All that comes until the other end closes; with `quiet_s` also until nothing came for that long."""
    open_connection.settimeout(20 if quiet_s is None else quiet_s)
    found = b""
    try:
        while part := open_connection.recv(65536):
            found += part
    except TimeoutError:
        if quiet_s is None:
            raise
    except ConnectionResetError:
        pass
    return found


def exchange(port: int, sent: bytes, quiet_s: float | None = None) -> bytes:
    """What is answered to these bytes, as `received`."""
    with closing(connection(port)) as client:
        client.sendall(sent)
        return received(client, quiet_s)


def status(answer: bytes) -> int:
    """The status of the first answer; 0 where there is none."""
    return int(answer[9:12]) if answer.startswith(b"HTTP/1.") else 0


def request(method: str, target: bytes, *headers: bytes, body: bytes = b"") -> bytes:
    """A request after whose answer the connection is closed."""
    lines = [method.encode() + b" " + target + b" HTTP/1.1", b"Host: service", b"Connection: close", *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body
