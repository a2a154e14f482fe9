"""Requests counted by the minute: key `rate:{<user id>}:<kind>` for a caller, `rate:{<address>}` for an address.

Counted in Redis, so for all processes together; while Redis is away each process counts for itself. A count begins with
the first request and lasts a minute.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from backend.cache.link import Link
from backend.cache.wire import Command, command

WINDOW_S = 60
_LOCAL_MAX = 100_000


@dataclass(frozen=True, slots=True)
class Limit:
    """What is counted: a policy's name, the key, and how many a minute may be."""

    policy: str
    key: bytes
    most: int


def asks(limit: Limit) -> tuple[Command, Command]:
    """What to ask Redis, together with other things; the first answer is the count."""
    # The second one only where the first one made the key. It is sent each time: a key that never ends would shut its
    # user out for good.
    return command(limit.key, b"INCR", limit.key), command(limit.key, b"EXPIRE", limit.key, b"%d" % WINDOW_S, b"NX")


class LocalRates:
    """Counts in this process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._counts: dict[bytes, tuple[int, float]] = {}  # key -> count, when it ends

    def count(self, limit: Limit) -> int:
        """One more; how many it is now."""
        now = self._clock()
        with self._lock:
            count, ends = self._counts.get(limit.key, (0, 0.0))
            if ends <= now:
                self._counts.pop(limit.key, None)  # it moves to the end: the oldest are in front
                count, ends = 0, now + WINDOW_S
            self._counts[limit.key] = (count + 1, ends)
            while len(self._counts) > _LOCAL_MAX:
                del self._counts[next(iter(self._counts))]
        return count + 1

    def left_s(self, limit: Limit) -> int:
        """Seconds until the count begins anew, from 1."""
        with self._lock:
            _, ends = self._counts.get(limit.key, (0, 0.0))
        return max(1, round(ends - self._clock()))


class Rates:
    """Counts in Redis, and in this process while Redis is away."""

    def __init__(self, link: Link | None, local: LocalRates | None = None) -> None:
        self._link = link
        self._local = local or LocalRates()

    def counts(self, limits: Sequence[Limit], answers: Sequence[Any] | None) -> list[int]:
        """The counts by Redis' answers to `asks`, one after the other; counted here where there is none."""
        if answers is None:
            return [self._local.count(limit) for limit in limits]
        return [
            answer if isinstance(answer, int) else self._local.count(limit)
            for limit, answer in zip(limits, answers[::2], strict=True)
        ]

    def left_s(self, limit: Limit) -> int:
        """Seconds until the count begins anew, from 1."""
        answers = self._link.ask([command(limit.key, b"TTL", limit.key)]) if self._link else None
        if answers and isinstance(answers[0], int) and answers[0] >= 0:
            return max(1, answers[0])
        return self._local.left_s(limit)
