"""Wrong passwords, counted for each e-mail address: from the sixth on there is a growing pause before the next try.

Kept in Redis, key `throttle:<fingerprint of the address>`, for all processes together; while Redis is away each process
counts for itself. A try counts before its password is checked, so that many at once are no way around.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from backend.cache.link import Link, Script
from backend.cache.wire import RedisError, command

FREE_TRIES = 5
PAUSE_MAX_S = 300
FORGOTTEN_AFTER_S = 900
_LOCAL_MAX = 10_000

# KEYS[1] a hash: tries, and until when the next one has to wait (ms). ARGV: tries without a pause, longest pause (s),
# seconds to live. Gives 0 where the try may go on, else the ms to wait.
_TRY = Script("""
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local held = tonumber(redis.call('HGET', KEYS[1], 'until') or 0)
if held > now then return held - now end
local tries = redis.call('HINCRBY', KEYS[1], 'tries', 1)
if tries >= tonumber(ARGV[1]) then
  local pause = math.min(2 ^ (tries - ARGV[1]), tonumber(ARGV[2]))
  redis.call('HSET', KEYS[1], 'until', string.format('%.0f', now + pause * 1000))
end
redis.call('EXPIRE', KEYS[1], ARGV[3])
return 0
""")
_FIGURES = (b"%d" % FREE_TRIES, b"%d" % PAUSE_MAX_S, b"%d" % FORGOTTEN_AFTER_S)


def pause_after(tries: int) -> float:
    """Seconds that the try after this many has to wait."""
    return min(2.0 ** (tries - FREE_TRIES), PAUSE_MAX_S) if tries >= FREE_TRIES else 0.0


class LocalThrottle:
    """Counts in this process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._tries: dict[str, tuple[int, float, float]] = {}  # tries, held until, forgotten at

    def attempt(self, who: str) -> float:
        """Counts a try; the seconds that it has to wait instead, 0 where it may go on."""
        now = self._clock()
        with self._lock:
            tries, until, forgotten = self._tries.pop(who, (0, 0.0, 0.0))
            if forgotten <= now:
                tries, until = 0, 0.0
            if until > now:
                self._tries[who] = (tries, until, forgotten)
                return until - now
            self._tries[who] = (tries + 1, now + pause_after(tries + 1), now + FORGOTTEN_AFTER_S)
            while len(self._tries) > _LOCAL_MAX:
                del self._tries[next(iter(self._tries))]
        return 0.0

    def succeeded(self, who: str) -> None:
        """The password was right: its tries are forgotten."""
        with self._lock:
            self._tries.pop(who, None)


class RedisThrottle:
    """Counts in Redis, and in this process while Redis is away."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._local = LocalThrottle()

    def attempt(self, who: str) -> float:
        """Counts a try; the seconds that it has to wait instead, 0 where it may go on."""
        if self._link.is_open():
            try:
                return int(_TRY.run(self._link.wire.ask, _key(who), *_FIGURES)) / 1000
            except RedisError as error:
                self._link.failed(error)
        return self._local.attempt(who)

    def succeeded(self, who: str) -> None:
        """The password was right: its tries are forgotten."""
        self._local.succeeded(who)
        self._link.ask([command(_key(who), b"DEL", _key(who))])


def _key(who: str) -> bytes:
    return b"throttle:" + who.encode()
