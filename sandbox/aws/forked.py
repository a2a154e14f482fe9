"""Sandbox processes forked from one that has everything imported already; see `forkserver.py`."""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

_ROOT = Path(__file__).resolve().parents[2]


class ForkServerEnded(Exception):
    """The fork server could not be started, or ended; what it had to say is in this process's standard error."""


class Forked:
    """A forked process. It is no child of this one: a pidfd, which it owns as it does the pipes, stands for it."""

    def __init__(self, pid: int, pidfd: int, stdin: IO[str], stdout: IO[str], stderr: IO[str]) -> None:
        self.pid = pid
        self.stdin = stdin
        self.stdout = stdout
        self.stderr = stderr
        self._pidfd = pidfd

    def send_signal(self, number: signal.Signals) -> None:
        """Nothing happens when it has ended."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, number)

    def wait(self, timeout_s: float) -> None:
        """Returns when it has ended. Raises TimeoutError."""
        ended = select.poll()
        ended.register(self._pidfd, select.POLLIN)
        if not ended.poll(timeout_s * 1000):
            raise TimeoutError(f"process {self.pid} has not ended within {timeout_s} s")

    def close(self) -> None:
        """Closes the pipes, by which it sees that this process is gone."""
        for pipe in (self.stdin, self.stdout, self.stderr):
            with suppress(BrokenPipeError):  # it ended before it read what it was to do
                pipe.close()
        os.close(self._pidfd)


class ForkServer:
    """The one fork server of this process, started at first use and again if it has ended. Safe in several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        atexit.register(self._close)

    def fork(self, arguments: Sequence[str], environment: Mapping[str, str]) -> Forked:
        """A new process that runs `python -m sandbox.aws` with these. Raises ForkServerEnded."""
        theirs, ours = zip(*(_pipe(mode) for mode in ("w", "r", "r")), strict=True)
        try:
            pid, pidfd = self._ask(theirs)
        except BaseException:
            for pipe in ours:
                pipe.close()
            raise
        finally:
            for descriptor in theirs:
                os.close(descriptor)
        made = Forked(pid, pidfd, *ours)
        asked = json.dumps({"arguments": list(arguments), "environment": dict(environment)})
        with suppress(BrokenPipeError):  # it has ended: the caller sees that by its output
            print(asked, file=made.stdin, flush=True)
        return made

    def _ask(self, standard: Sequence[int]) -> tuple[int, int]:
        with self._lock:
            connection = self._connection()
            try:
                socket.send_fds(connection, [b"f"], list(standard))
                answer, descriptors, _, _ = socket.recv_fds(connection, 32, 1)
            except ConnectionError as error:
                raise ForkServerEnded(f"the fork server of the AWS sandboxes ended: {error}") from error
            except BaseException:  # by a signal: the answer that is still to come must not be the next one's
                self._close()
                raise
            if not answer:
                raise ForkServerEnded("the fork server of the AWS sandboxes ended")
            return int(answer), descriptors[0]

    def _connection(self) -> socket.socket:
        if self._socket is None or self._process is None or self._process.poll() is not None:
            self._close()
            self._socket, theirs = socket.socketpair()
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "sandbox.aws.forkserver"],
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    cwd=_ROOT,
                    env={**os.environ, "PYTHONPATH": str(_ROOT)},
                )
        return self._socket

    def _close(self) -> None:
        """Ends the server, which has nothing to lose; what was forked goes on."""
        if self._socket is not None and self._process is not None:
            self._process.kill()
            self._process.wait()
            self._socket.close()


def _pipe(mode: str) -> tuple[int, IO[str]]:
    """Both ends of a pipe: a descriptor for the other process, and a file to write ("w") or read ("r") here."""
    reading, writing = os.pipe()
    ours, theirs = (writing, reading) if mode == "w" else (reading, writing)
    return theirs, os.fdopen(ours, mode)
