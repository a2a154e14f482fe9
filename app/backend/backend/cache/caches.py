"""All copies of rows that one process reads: in Redis and in its memory, one cache for each kind of rows."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from backend.cache.invalidations import Hearer, Invalidations
from backend.cache.link import Link
from backend.cache.memory import Lease, Memory
from backend.cache.offers import Offers
from backend.cache.versioned import Form, NoCache, R, VersionedCache
from backend.observability.instruments import Instruments


class Caches:
    """Where copies of rows are kept: in Redis, and of each kind `near_rows` in memory. `untold`: given kind, id and
    version of each write that Redis could not be told of."""

    def __init__(
        self, link: Link | None, near_rows: int, instruments: Instruments, untold: Callable[[str, int, int], None]
    ) -> None:
        self._link = link
        self._size = near_rows
        self._instruments = instruments
        self._untold = untold
        self._kinds: dict[str, VersionedCache[Any]] = {}
        self._lease = Lease()
        self._invalidations = Invalidations(link, self._lease) if link is not None else None
        self._offers = Offers(link) if link is not None else None

    def of(self, form: Form[R], written: Callable[[int], None] = lambda row_id: None) -> VersionedCache[R] | NoCache[R]:
        """The cache of one kind of rows. `written`: told of each that any process wrote, before that is answered."""
        if self._link is None or self._invalidations is None:
            return NoCache()
        memory: Memory[R] = Memory(self._lease, self._size)
        self._invalidations.hearers[form.name] = Hearer(memory, written)
        told, untold = partial(self._invalidations.told, form.name), partial(self._untold, form.name)
        reads = self._instruments.cache_reads(form.name)
        cache = VersionedCache(self._link, form, reads, memory, self._offers, told, untold)
        self._kinds[form.name] = cache
        return cache

    def heard(self, kind: str, row_id: int, version: int) -> None:
        """Another process wrote a row and could not tell Redis of it. Raises ValueError for an unknown kind."""
        if kind not in self._kinds or self._invalidations is None:
            raise ValueError(kind)
        self._kinds[kind].heard(row_id, version)
        self._invalidations.hearers[kind].written(row_id)

    def missed(self) -> None:
        """Such writes may have been missed: what is in memory may be old."""
        if self._invalidations is not None:
            self._invalidations.missed()

    def pay(self) -> None:
        """Tells Redis of the writes that it could not be told of, where that is possible by now."""
        for cache in self._kinds.values():
            cache.pay()

    def is_near(self) -> bool:
        """Whether copies in memory may be used now."""
        return time.monotonic() < self._lease.until

    def near_rows(self) -> int:
        """How many copies are in memory."""
        return sum(len(hearer.memory) for hearer in self._invalidations.hearers.values()) if self._invalidations else 0

    def start(self) -> None:
        """Hears of writes from now on: until then nothing is kept in memory. Sends copies from a thread."""
        if self._invalidations is not None:
            self._invalidations.start()
        if self._offers is not None:
            self._offers.start()

    def close(self) -> None:
        """Hears of writes no more, and sends no copies."""
        if self._invalidations is not None:
            self._invalidations.close()
        if self._offers is not None:
            self._offers.close()
