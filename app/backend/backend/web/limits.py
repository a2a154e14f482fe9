"""How much of a request is taken, how slowly it may come, and how many may come slowly at once.

What Granian limits by itself, before a request gets here: 100 headers, the size of a request's head, the time that a
head takes (`server.py`). A body that trickles in holds its thread in `read()`, which no one can interrupt; so few
threads may wait for bodies, and a connection over which one comes too slowly is shut for reading, which ends the wait.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from bottle import HTTPResponse

from backend.errors import FieldError
from backend.web.json import problem

MAX_TARGET = 8192  # characters of path and query, decoded
# A body that is there already is read in less than a millisecond; who waits longer for its turn is one too many.
_TURN_S = 0.05
# Between the time that a body has and the look at its connection, which was quiet a little less long.
_GRACE_S = 0.25


class Refused(Exception):
    """A request that is not taken: status, code and sentence of its problem document."""

    def __init__(self, status: int, code: str, message: str, **headers: str) -> None:
        super().__init__(message)
        self._status, self._code, self._message, self._headers = status, code, message, headers

    def answer(self) -> HTTPResponse:
        """The problem document."""
        error = FieldError("", self._code, self._message)
        return problem(self._status, self._code, self._message, [error], **self._headers)


def check_line(method: str, path: str, query: str) -> None:
    """Raises Refused for a request line that is not taken."""
    if not method.isupper():
        # Bottle would take "get" for GET; who decides by the method would not.
        raise Refused(400, "bad_method", "Methods are written in capitals.")
    if len(path) + len(query) > MAX_TARGET:
        raise Refused(414, "target_too_long", f"Path and query must have at most {MAX_TARGET} characters.")


def body_length(environ: Mapping[str, Any]) -> int | None:
    """How many bytes the body has; 0 where there is none; None where only its end will tell. Raises Refused."""
    text = environ.get("CONTENT_LENGTH") or ""
    if text:
        if not (text.isascii() and text.isdigit() and len(text) <= 19):
            raise Refused(400, "bad_length", "The Content-Length must be a whole number.")
        return int(text)
    # A chunked body comes here already unpacked, where the server promises to end it.
    return None if "HTTP_TRANSFER_ENCODING" in environ and environ.get("wsgi.input_terminated") else 0


def read_body(environ: Mapping[str, Any], max_bytes: int) -> bytes:
    """The request's body; of one that is too long at most a byte too many was read. Raises Refused."""
    length = body_length(environ)
    if length == 0:
        return b""
    too_large = Refused(413, "too_large", f"The body must have at most {max_bytes} bytes.")
    if length is not None and length > max_bytes:
        raise too_large
    body: bytes = environ["wsgi.input"].read(max_bytes + 1 if length is None else length)
    if len(body) > max_bytes:
        raise too_large
    if length is not None and len(body) < length:
        raise Refused(400, "incomplete_body", "The body ended before its Content-Length.")
    return body


class Bodies:
    """Reads bodies, at most `at_once` at a time, each for at most `timeout_s`.

    `cut(peer, port, quiet_s)` shuts connections between `peer` and the own `port` for reading, those to which nothing
    was sent for `quiet_s`.
    """

    def __init__(self, max_bytes: int, timeout_s: float, at_once: int, cut: Callable[[str, int, float], None]) -> None:
        self._max_bytes = max_bytes
        self._timeout_s = timeout_s
        self._cut = cut
        self._turns = threading.Semaphore(at_once)
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        # What is being read: when it began, from whom, on which port. The oldest comes first.
        self._reading: dict[int, tuple[float, str, int]] = {}
        self._watched = False

    def read(self, environ: Mapping[str, Any]) -> bytes:
        """The body of a request that has one. Raises Refused."""
        if not self._turns.acquire(timeout=_TURN_S):
            message = "Too many bodies are on their way. Please try again."
            raise Refused(503, "busy", message, Retry_After="1")
        began = time.monotonic()
        number = self._note(began, environ)
        try:
            return read_body(environ, self._max_bytes)
        finally:
            del self._reading[number]
            self._turns.release()
            # Also where it looks complete: of a chunked body nothing tells whether it ended or was cut.
            if time.monotonic() - began >= self._timeout_s:
                raise Refused(408, "too_slow", f"The body must come within {self._timeout_s:g} s.")

    def _note(self, began: float, environ: Mapping[str, Any]) -> int:
        number = next(self._numbers)
        with self._lock:
            self._reading[number] = (began, environ.get("REMOTE_ADDR", ""), int(environ.get("SERVER_PORT") or 0))
            watched, self._watched = self._watched, True
        if not watched:
            threading.Thread(target=self._watch, name="bodies", daemon=True).start()
        return number

    def _watch(self) -> None:
        """Runs while bodies are read, and as long after the last as one has time: a thread for many."""
        pause_s = self._timeout_s + _GRACE_S
        while True:
            time.sleep(pause_s)
            with self._lock:
                reading = list(self._reading.values())
                self._watched = bool(reading)
            if not reading:
                return
            due = time.monotonic() - self._timeout_s - _GRACE_S
            for peer, port in {(peer, port) for began, peer, port in reading if began <= due}:
                self._cut(peer, port, self._timeout_s)
            pause_s = max(_GRACE_S, reading[0][0] - due)
