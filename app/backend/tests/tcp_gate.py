"""A way to a server that can be made slow, frozen or cut, while the server itself stays as it is."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Self


class TcpGate:
    """`with TcpGate(port) as gate:` passes on what comes to `gate.port`."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open = threading.Event()
        self._open.set()
        self.delay_s = 0.0  # of each piece, in either direction
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.thaw()
        self._listener.close()
        self.cut()

    def freeze(self) -> None:
        """Nothing passes any more, and nobody is told."""
        self._open.clear()

    def thaw(self) -> None:
        """What was held back passes, and all that follows."""
        self._open.set()

    def cut(self) -> None:
        """Ends all connections; new ones are taken."""
        with self._lock:
            ended, self._sockets = self._sockets, []
        for one in ended:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def lead_to(self, target: int) -> None:
        """Somebody else has taken over: all connections end, and new ones lead there."""
        self._target = target
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                near.close()  # nobody is there
                continue
            for one in (near, far):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._sockets += [near, far]
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._pass, args=(source, sink), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(65536):
                if self.delay_s:
                    threading.Event().wait(self.delay_s)
                self._open.wait()
                sink.sendall(piece)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)
