"""Requests counted by the minute: key `rate:{<user id>}:<kind>` for a caller, `rate:{<address>}` for an address.

Counted in Redis, so for all processes together; while Redis is away each process counts for itself. A count begins with
the first request and lasts a minute. The first few of a minute (a tenth of what is allowed) a process lets in without
asking Redis, which is told of them together, some seconds later: the later, the fewer messages, and never more requests
let in. So two processes at once may let in a tenth more than is allowed, three two tenths.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

from backend.cache.link import Link
from backend.cache.memory import drop_oldest
from backend.cache.wire import Command, command

WINDOW_S = 60
FREE_SHARE = 10
TELL_EVERY_S = 5.0
_AT_ONCE = 50  # counts of a message: a longer one would hold requests up while it is put together
_MOST = 100_000


class Limit(NamedTuple):
    """What is counted: a policy's name, the key, and how many a minute may be."""

    policy: str
    key: bytes
    most: int


@dataclass(slots=True)
class _Count:
    """`known`: all requests that are known of; `untold`: those of them that Redis has not heard of, but for those
    `on_the_way` to it."""

    ends: float
    known: int = 0
    untold: int = 0
    on_the_way: int = 0


def asks(key: bytes, by: int) -> tuple[Command, Command]:
    """What to ask Redis, together with other things; the first answer is the count, with these."""
    # The second one counts only where the first one made the key. It is sent each time: a key that never ends would
    # shut its user out for good.
    size = len(key)
    return (
        Command(key, b"*3\r\n$6\r\nINCRBY\r\n$%d\r\n%b\r\n$%d\r\n%d\r\n" % (size, key, len(str(by)), by)),
        Command(key, _EXPIRE % (size, key)),
    )


_EXPIRE = b"*4\r\n$6\r\nEXPIRE\r\n$%%d\r\n%%b\r\n$2\r\n%d\r\n$2\r\nNX\r\n" % WINDOW_S


class Rates:
    """Counts in this process, and with the others where there is Redis."""

    def __init__(
        self, link: Link | None, clock: Callable[[], float] = time.monotonic, tell_every_s: float = TELL_EVERY_S
    ) -> None:
        self._link = link
        self._clock = clock
        self._tell_every_s = tell_every_s
        self._lock = threading.Lock()
        self._counts: dict[bytes, _Count] = {}  # those whose minute began first are in front
        self._untold: dict[bytes, None] = {}
        self._telling = threading.Lock()
        self._stop = threading.Event()

    def __len__(self) -> int:
        """How many counts are kept."""
        return len(self._counts)

    def start(self) -> None:
        """Tells Redis of requests from now on."""
        if self._link is not None:
            threading.Thread(target=self._work, name="rates", daemon=True).start()

    def close(self) -> None:
        """Tells of the last ones."""
        self._stop.set()
        self.tell()

    def count(self, limit: Limit, now: float) -> tuple[int, int]:
        """One more: (how many are known of now, how many of them Redis has to be told of before one is let in).

        The latter is 0 where it need not be asked. Else `asks` follows, and `settled`.
        """
        _, key, most = limit
        while True:
            with self._lock:
                count = self._counts.get(key)
                if count is None or count.ends <= now:
                    count = self._begin(key, now)
                if count.known < most // FREE_SHARE or self._link is None:
                    count.known += 1
                    count.untold += 1
                    self._untold[key] = None
                    return count.known, 0
                if not count.on_the_way:
                    count.known += 1
                    return count.known, self._take(key, count) + 1
            with self._telling:
                pass  # what is on its way has arrived: it has to be part of Redis' answer

    def settled(self, limit: Limit, known: int, answer: Any) -> int:
        """The count by Redis' answer; where it gave none, what is known here."""
        if not isinstance(answer, int):
            return known
        with self._lock:
            count = self._counts.get(limit.key)
            if count is not None:
                count.known = answer + count.untold
        return answer

    def left_s(self, limit: Limit) -> int:
        """Seconds until the count begins anew, from 1."""
        answers = self._link.ask([command(limit.key, b"TTL", limit.key)]) if self._link else None
        if answers and isinstance(answers[0], int) and answers[0] >= 0:
            return max(1, answers[0])
        with self._lock:
            count = self._counts.get(limit.key)
        return max(1, round(count.ends - self._clock())) if count else 1

    def tell(self) -> None:
        """Tells Redis of what it has not heard of. While it is away, that is only known here."""
        while self._tell_some():
            pass

    # -- within

    def _begin(self, key: bytes, now: float) -> _Count:
        self._counts.pop(key, None)  # so that it moves to the end
        if len(self._counts) >= _MOST:
            drop_oldest(self._counts, _AT_ONCE)
        count = self._counts[key] = _Count(now + WINDOW_S)
        return count

    def _take(self, key: bytes, count: _Count) -> int:
        self._untold.pop(key, None)
        untold, count.untold = count.untold, 0
        return untold

    def _tell_some(self) -> bool:
        """Whether there was anything."""
        with self._telling:
            return self._tell_next()

    def _tell_next(self) -> bool:
        with self._lock:
            told = []
            for key in list(islice(self._untold, _AT_ONCE)):
                count = self._counts.get(key)
                if count is None:
                    del self._untold[key]
                    continue
                count.on_the_way = self._take(key, count)
                told.append((key, count))
        if not told:
            return False
        commands = [one for key, count in told for one in asks(key, count.on_the_way)]
        answers = self._link.ask(commands) if self._link else None
        with self._lock:
            now = self._clock()
            for number, (_, count) in enumerate(told):
                count.on_the_way = 0
                total, began = answers[2 * number : 2 * number + 2] if answers else (None, None)
                if isinstance(total, int):
                    count.known = total + count.untold
                if began == 1:
                    count.ends = now + WINDOW_S  # not before Redis' own: else it would count on where we began anew
        return True

    def _forget(self) -> None:
        """Drops counts whose minute is over; more than can have begun since the last time."""
        with self._lock:
            now = self._clock()
            for key in list(islice(self._counts, 2 * _AT_ONCE)):
                if self._counts[key].ends > now:
                    break
                del self._counts[key]

    def _work(self) -> None:
        pause_s = self._tell_every_s
        while not self._stop.wait(pause_s):
            # Spread evenly: requests would wait for many messages in a row.
            pause_s = self._tell_every_s * min(1.0, _AT_ONCE / max(1, len(self._untold)))
            self._tell_some()
            self._forget()
