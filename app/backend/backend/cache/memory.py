"""Copies in this process's own memory, so that most reads ask nobody.

They may be used as long as this process is sure to hear of every write (`backend.cache.invalidations`), and for TTL_S
at most: what is changed past the service is noticed after that.
"""

from __future__ import annotations

import random
import threading
from itertools import islice
from typing import Any, Generic, TypeVar

R = TypeVar("R")

TTL_S = 60.0
# Each copy ends after a time of its own, from half of that: what is kept together, as after a start, would all be asked
# of Redis at once.
SHORTEST = 0.5
PARTS = 100  # of what is full, one in so many gives way at once
NEVER = float("-inf")
_PLACES = 1024


def drop_oldest(table: dict[Any, Any], count: int) -> None:
    """Makes room, for several at once: to find the oldest, a dictionary walks over all that were taken out before."""
    for oldest in list(islice(table, count)):
        del table[oldest]


class Lease:
    """Until when memories may be used: a time of `time.monotonic`."""

    __slots__ = ("until",)

    def __init__(self) -> None:
        self.until = NEVER


class Memory(Generic[R]):
    """At most `size` rows, by id; the oldest give way, some together. `lease`: whose end is also that of all copies."""

    def __init__(self, lease: Lease, size: int) -> None:
        self._lease = lease
        self._size = size
        self._rows: dict[int, tuple[R, float]] = {}  # the row, and until when it may be used
        self._lock = threading.Lock()
        self._dropped = [0] * _PLACES  # how often one of the rows that share a place was dropped

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, row_id: int, now: float) -> R | None:
        """The row, where it is known for sure."""
        found = self._rows.get(row_id)
        if found is None or now >= found[1] or now >= self._lease.until:
            return None
        return found[0]

    def ticket(self, row_id: int) -> int:
        """To be taken before Redis is asked for a row that is to be kept."""
        return self._dropped[row_id % _PLACES]

    def keep(self, row_id: int, row: R, ticket: int, now: float) -> None:
        """Keeps a row that Redis has, unless a write was heard of since the ticket was taken: it may be the old one."""
        if not self._size or now >= self._lease.until:
            return
        with self._lock:
            if ticket != self._dropped[row_id % _PLACES]:
                return
            self._rows.pop(row_id, None)  # so that it moves to the end
            if len(self._rows) >= self._size:
                drop_oldest(self._rows, 1 + self._size // PARTS)
            self._rows[row_id] = (row, now + TTL_S * (SHORTEST + (1 - SHORTEST) * random.random()))

    def drop(self, row_id: int) -> None:
        """The row was written."""
        with self._lock:
            self._dropped[row_id % _PLACES] += 1
            self._rows.pop(row_id, None)

    def clear(self) -> None:
        """Anything may have been written."""
        with self._lock:
            self._dropped = [count + 1 for count in self._dropped]
            self._rows.clear()
