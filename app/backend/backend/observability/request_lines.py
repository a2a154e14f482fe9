"""One line in the log for each request, gathered and written together: at most LATE_S late, and all at the end.

Python's logging takes longer for a line than all else that a request costs. The lines look the same; what may hold
something personal or strange goes through logging after all.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from urllib.parse import quote

from backend.observability.instruments import METHODS
from backend.observability.tracing import QUIET_PATHS, Trace

log = logging.getLogger("backend.requests")

LATE_S = 0.1
_TOKEN = "eyJ"  # how JSON web tokens begin
# What is written as it is: nothing in it that JSON, a terminal or the blanking of personal data would change.
_PLAIN = re.compile(r"[A-Za-z0-9/_.-]{1,500}")


class RequestLines:
    """Writes lines, to standard output unless told otherwise."""

    def __init__(
        self,
        hide: Iterable[str] = (),
        clock: Callable[[], float] = time.time,
        lost: Callable[[int], None] = lambda lines: None,
    ) -> None:
        self._hidden = re.compile("|".join(re.escape(one) for one in [_TOKEN, *hide]))
        self._lost = lost  # told how many lines could not be written
        self._clock = clock
        self._waiting: deque[str] = deque()
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._second = (0, "")  # the second of the last line, and how it is written
        self._writer: threading.Thread | None = None

    def start(self) -> None:
        """Writes from a thread from now on."""
        self._writer = threading.Thread(target=self._work, name="request-lines", daemon=True)
        self._writer.start()

    def close(self) -> None:
        """Writes what is waiting, and ends the thread."""
        self._stop.set()
        self._wake.set()
        if self._writer is not None:
            self._writer.join(2)
        self.flush()

    def write(
        self,
        trace: Trace,
        method: str,
        path: str,
        status: int,
        took_s: float,
        size: int,
        remote: str,
        cache: str | None,
    ) -> None:
        """A line for a request that was answered. `size`: of the body, in bytes."""
        level = logging.ERROR if status >= 500 else logging.DEBUG if path in QUIET_PATHS else logging.INFO
        if not log.isEnabledFor(level):
            return
        known = trace.correlation_id
        plain = method in METHODS and self._is_plain(path) and (known is trace.trace_id or self._is_plain(known))
        if level != logging.INFO or self._writer is None or not plain:
            fields: dict[str, object] = {
                "method": method,
                "path": shown_path(path),  # without the query: it may hold what people typed
                "status": status,
                "duration_ms": round(took_s * 1000, 2),
                "bytes": size,
                "remote": remote,
            }
            fields |= {"user_id": trace.user_id} if trace.user_id is not None else {}
            fields |= {"cache": cache} if cache is not None else {}
            log.log(level, "request", extra={"fields": fields})
            return
        # User, cache and method are ours or from fixed sets; addresses hold nothing to be escaped.
        user = "" if trace.user_id is None else f', "user_id": {trace.user_id}'
        from_cache = "" if cache is None else f', "cache": "{cache}"'
        self._waiting.append(
            f'{{"timestamp": "{self._stamp(self._clock())}", "level": "INFO", "logger": "backend.requests",'
            f' "message": "request", "correlation_id": "{known}", "trace_id": "{trace.trace_id}",'
            f' "span_id": "{trace.span_id}", "method": "{method}", "path": "{path}", "status": {status},'
            f' "duration_ms": {took_s * 1000:.2f}, "bytes": {size}, "remote": "{remote}"{user}{from_cache}}}\n'
        )

    def _is_plain(self, written: str) -> bool:
        """Whether nothing of what a client wrote has to be looked at more closely."""
        return _PLAIN.fullmatch(written) is not None and self._hidden.search(written) is None

    def flush(self) -> None:
        """Writes what is waiting."""
        waiting = self._waiting
        lines = [waiting.popleft() for _ in range(len(waiting))]
        if lines:
            try:
                sys.stdout.write("".join(lines))
                sys.stdout.flush()
            except OSError:  # the disk is full, or nobody reads any more
                self._lost(len(lines))

    def _work(self) -> None:
        while not self._stop.is_set():
            self._wake.wait(LATE_S)
            self.flush()

    def _stamp(self, now: float) -> str:
        second = int(now)
        known, text = self._second
        if known != second:
            text = datetime.fromtimestamp(second, UTC).isoformat(timespec="seconds")[:19]
            self._second = (second, text)
        return f"{text}.{int(now * 1000) % 1000:03d}+00:00"


def shown_path(path: str) -> str:
    """A path for the log. What is not plain ASCII is percent-encoded: nothing that a terminal or a log reader obeys."""
    if not (path.isascii() and path.isprintable()):
        path = quote(path.encode("latin-1", "replace"), safe="/!$&'()*+,;=:@~")
    return path[:500]
