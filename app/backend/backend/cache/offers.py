"""Copies on their way to Redis: each at once, as long as they are few, and otherwise gathered and sent together.

One that is sent at once is there before the request is answered: who asks any process next finds it. But to send one
costs as much as to ask for it: a call of the kernel, which wakes Redis on another core, and the interpreter's lock,
which goes to another thread meanwhile. So a busy process gathers them for a moment.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from itertools import islice
from typing import NamedTuple

from backend.cache.link import Link, Script
from backend.cache.wire import RedisError

log = logging.getLogger(__name__)

LATE_S = 0.02  # a copy is sent at most so long after it was offered; one in that time goes at once
BURST = 50  # go at once in a row, after a second in which none did
IN_MESSAGE = 50  # a longer one would hold requests up while it is put together
MOST = 10_000  # wait; what is offered beyond that is not kept

# KEYS[1] the row's key; ARGV: version, text or '' (a mark), seconds to live. What is stored gives way only to what is
# at least as new.
PUT = Script("""
local stored = redis.call('GET', KEYS[1])
if stored then
  local version = tonumber(string.match(stored, '^(%d+):'))
  if version and version > tonumber(ARGV[1]) then return 0 end
end
redis.call('SET', KEYS[1], ARGV[1] .. ':' .. ARGV[2], 'EX', ARGV[3])
return 1
""")


class Offer(NamedTuple):
    """What `PUT` is to store under a key: version, text, seconds to live."""

    key: bytes
    arguments: tuple[bytes, ...]


class Offers:
    """What waits to be sent, by key. Until it is started nothing waits. `late_s`, `burst`: see LATE_S and BURST."""

    def __init__(
        self, link: Link, late_s: float = LATE_S, burst: int = BURST, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._link = link
        self._clock = clock
        self._late_s = late_s
        self._burst_s = burst * late_s
        self._next_at = -math.inf  # a token bucket: when those that went at once are paid for
        self._waiting: dict[bytes, Offer] = {}
        self._lock, self._sending = threading.Lock(), threading.Lock()
        self._some, self._stop = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Sends from a thread from now on."""
        self._thread = threading.Thread(target=self._work, name="offers", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends the thread."""
        self._stop.set()
        self._some.set()
        if self._thread is not None:
            self._thread.join(1)

    def add(self, key: bytes, *arguments: bytes) -> bool:
        """To be sent soon, in place of an earlier one for the key; whether it was sent at once."""
        with self._lock:
            # Where others wait, or are on their way, it goes with them or next: no request is to send a crowd.
            at_once = self._thread is None or (not self._waiting and self._take(self._clock()))
            if len(self._waiting) < MOST:
                self._waiting[key] = tuple.__new__(Offer, (key, arguments))
        if at_once:
            self.send()
        elif not self._some.is_set():
            self._some.set()
        return at_once

    def withdraw(self, key: bytes) -> None:
        """The row was written: what waits is old."""
        with self._lock:
            self._waiting.pop(key, None)

    def hurry(self, key: bytes) -> None:
        """Returns when nothing waits for that key any more: who asks Redis now finds what was offered."""
        if key in self._waiting:
            self.send()

    def send(self) -> None:
        """Sends what waits. Where Redis is away it is dropped."""
        with self._sending:
            while self._send_some():
                pass

    # -- within

    def _take(self, now: float) -> bool:
        """Whether one may go at once; it is counted then."""
        next_at = max(self._next_at, now - self._burst_s) + self._late_s
        if next_at > now:
            return False
        self._next_at = next_at
        return True

    def _send_some(self) -> bool:
        """Whether there was anything."""
        with self._lock:
            some = list(islice(self._waiting.values(), IN_MESSAGE))
        if some and self._link.is_open():
            try:
                PUT.answers(self._link.wire.ask, some)
            except RedisError as error:
                self._link.failed(error)
        with self._lock:
            for offer in some:
                # It waited until here, so that `hurry` waits, too.
                if self._waiting.get(offer.key) is offer:
                    del self._waiting[offer.key]
        return bool(some)

    def _work(self) -> None:
        while self._some.wait() and not self._stop.wait(self._late_s):
            self._some.clear()
            try:
                self.send()
            except Exception:
                log.exception("cache: copies cannot be sent")
