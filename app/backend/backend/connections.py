"""The connections of this process, by what the kernel knows of them. Linux only.

Granian tells neither the port of a client nor the socket behind a request, and waits for bodies without a limit. So a
connection over which a body comes too slowly is found by its address and by how long nothing was sent over it. Others
with the same address on which nothing was sent for as long go with it: idle ones, which their clients open anew, and
those with a request that has been worked on for longer than a body may take.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

# tcpi_last_data_sent in struct tcp_info of linux/tcp.h, which only ever grows at its end: milliseconds.
_LAST_DATA_SENT = struct.Struct("=44xI")


def cut_quiet(peer: str, port: int, quiet_s: float) -> None:
    """Shuts for reading: every connection from `peer` to the own `port` over which nothing was sent for `quiet_s`.

    What is left of a request ends there, and the answer to it can still be sent.
    """
    for connection in _sockets():
        # One that was closed meanwhile has no peer; one that listens never had.
        with connection, contextlib.suppress(OSError):
            if connection.getsockname()[1] == port and connection.getpeername()[0] == peer:
                info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _LAST_DATA_SENT.size)
                (last_sent_ms,) = _LAST_DATA_SENT.unpack(info)
                if last_sent_ms >= quiet_s * 1000:
                    connection.shutdown(socket.SHUT_RD)


def _sockets() -> Iterator[socket.socket]:
    """The internet sockets of this process, each by a descriptor of its own, which nobody else closes meanwhile."""
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            own = os.dup(int(entry.name))
            try:
                found = socket.socket(fileno=own)
            except OSError:
                os.close(own)
                continue
            if found.family in (socket.AF_INET, socket.AF_INET6):
                yield found
            else:
                found.close()
