"""Copies on their way to Redis: gathered for a moment and sent together, so that no request waits to send its own.

Sending one alone costs a request as much as to ask for it: a call of the kernel, which wakes Redis on another core, and
the interpreter's lock, which goes to another thread meanwhile. Nobody depends on whether a copy was taken.
"""

from __future__ import annotations

import logging
import threading
from itertools import islice
from typing import NamedTuple

from backend.cache.link import Link, Script
from backend.cache.wire import RedisError

log = logging.getLogger(__name__)

LATE_S = 0.02  # a copy is sent at most so long after it was offered
AT_ONCE = 50  # a longer message would hold requests up while it is put together
MOST = 10_000  # wait at once; what is offered beyond that is not kept

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
    """What waits to be sent, by key. Until it is started nothing waits."""

    def __init__(self, link: Link, late_s: float = LATE_S) -> None:
        self._link = link
        self._late_s = late_s
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

    def add(self, key: bytes, *arguments: bytes) -> None:
        """To be sent soon, in place of an earlier one for the key."""
        with self._lock:
            if len(self._waiting) < MOST:
                self._waiting[key] = tuple.__new__(Offer, (key, arguments))
        if self._thread is None:
            self.send()
        elif not self._some.is_set():
            self._some.set()

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

    def _send_some(self) -> bool:
        """Whether there was anything."""
        with self._lock:
            some = list(islice(self._waiting.values(), AT_ONCE))
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
