"""Copies of rows in Redis and in memory, cache-aside, that no slow reader can make old again.

A value is `<version>:<text>`. A write to the row leaves `<version>:` behind, which is a miss and at the same time a
mark that no reader who saw the row before that write may fill in: without it, a slow reader could put an old row back
for as long as copies live. The mark of a deleted row carries a version that nothing exceeds. What Redis has is kept in
this process's memory once it was asked for again, and every write is told to all memories before it is answered.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from itertools import islice
from time import perf_counter
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from backend.cache.link import Link
from backend.cache.memory import Lease, Memory
from backend.cache.offers import PUT, Offers
from backend.cache.wire import Command, RedisError, get
from backend.observability.tracing import CLIENT, Tags, record

MAX_OWED, PAID_AT_ONCE = 10_000, 500
ABSENT_TTL_S = 10
_ABSENT = b"0:!"
_DELETED = 2**53 - 1  # Redis scripts count in doubles


class Row(Protocol):
    """What is kept: `version` counts the writes to it."""

    @property
    def id(self) -> int: ...

    @property
    def version(self) -> int: ...


R = TypeVar("R", bound=Row)


class Absent:
    """Stands for a row that there is not."""


ABSENT = Absent()


@dataclass(frozen=True, slots=True)
class Form(Generic[R]):
    """How rows of one kind are kept. `read` gets id, version and text; it raises ValueError or TypeError for what
    some other version of the service left there."""

    name: str
    key: Callable[[int], bytes]
    ttl_s: int
    write: Callable[[R], bytes]
    read: Callable[[int, int, bytes], R]

    def parse(self, row_id: int, stored: bytes) -> R | Absent | None:
        """The row in a stored value; None for a mark, and for what cannot be read."""
        version, _, text = stored.partition(b":")
        if not text:
            return None
        if stored == _ABSENT:
            return ABSENT
        try:
            return self.read(row_id, int(version), text)
        except (ValueError, TypeError):
            return None


class Question(NamedTuple):
    """What Redis is to be asked for a copy, together with other things."""

    row_id: int
    command: Command
    ticket: int


class VersionedCache(Generic[R]):
    """Never raises for a Redis that is away: a read is a miss, a write is owed until Redis is back.

    `was_read`: what is called at each hit, and what at each miss. `told`: given the rows whose writes Redis knows of;
    returns when no process has them in its memory any more, False where it could not reach them. `untold`: given each
    write that is owed, id and version, so that others can do what this process cannot.
    """

    def __init__(
        self,
        link: Link,
        form: Form[R],
        was_read: tuple[Callable[[], None], Callable[[], None]] = (lambda: None, lambda: None),
        memory: Memory[R] | None = None,
        offers: Offers | None = None,
        told: Callable[[Collection[int]], bool] = lambda row_ids: True,
        untold: Callable[[int, int], None] = lambda row_id, version: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._link = link
        self._form = form
        self._hit, self._missed = was_read
        self._memory: Memory[R] = memory if memory is not None else Memory(Lease(), 0)
        self._offers = offers if offers is not None else Offers(link)
        self._told = told
        self._untold = untold
        self._clock = clock
        # How traces tell of it: the kind of key, not whose it is.
        kind = form.key(0).decode().replace("{0}", "{id}")
        self._tags: Tags = {"db.system": "redis", "peer.service": "redis", "cache.key": kind}
        self.hits: Tags = {**self._tags, "cache.hit": True}
        self.misses: Tags = {**self._tags, "cache.hit": False}
        self._lock, self._paying = threading.Lock(), threading.Lock()
        self._owed: dict[int, int] = {}  # row id -> version of a write that Redis has not heard of

    def get(self, row_id: int) -> R | Absent | None:
        """The copy, None for a miss."""
        return self.near(row_id, self._clock()) or self.far(row_id)

    def far(self, row_id: int) -> R | Absent | None:
        """The copy that Redis has, None for a miss."""
        question, began = self.question(row_id), perf_counter()
        answers = self._link.ask([question.command]) if question is not None else None
        found = self.read(question, answers[0] if answers else None)
        record("cache get", began, CLIENT, self.hits if found is not None else self.misses)
        return found

    def near(self, row_id: int, now: float) -> R | None:
        """The copy, where it is in memory; `now` by `time.monotonic`."""
        # While something is owed all is asked of Redis: that is when debts are paid.
        found = self._memory.get(row_id, now) if not self._owed else None
        if found is not None:
            self._hit()
        return found

    def question(self, row_id: int) -> Question | None:
        """What to ask Redis for a copy; None where it must not be asked now."""
        if self._owed and not self.pay():
            return None
        key = self._form.key(row_id)
        self._offers.hurry(key)
        return tuple.__new__(Question, (row_id, get(key), self._memory.ticket(row_id)))

    def read(self, question: Question | None, answer: Any) -> R | Absent | None:
        """The copy in Redis' answer, None for a miss."""
        found = self._form.parse(question.row_id, answer) if question and isinstance(answer, bytes) else None
        if found is None:
            self._missed()
        else:
            self._hit()
        if question is not None and found is not None and not isinstance(found, Absent):
            # Not at `put`: what is asked for once only would drive out what is asked for again and again.
            self._memory.keep(question.row_id, found, question.ticket, self._clock())
        return found

    def put(self, row: R) -> None:
        """Offers a row read from the database; an older one never replaces a newer one."""
        if row.id not in self._owed and self._link.is_open():
            self._offer(row.id, row.version, self._form.write(row), self._form.ttl_s)

    def put_absent(self, row_id: int) -> None:
        """There is no such row: for a moment nobody has to ask the database. Any row's version is newer."""
        if self._link.is_open() and row_id not in self._owed:
            self._offer(row_id, 0, _ABSENT[2:], ABSENT_TTL_S)

    def forget(self, row_id: int, version: int, *, deleted: bool = False) -> None:
        """Tells that the row has this version after a write, or had it before it was deleted."""
        told = _DELETED if deleted else version
        self._offers.withdraw(self._form.key(row_id))
        # Tried even while Redis rests: a copy that should be gone is worse than a slow write.
        self._memory.drop(row_id)
        if not self._is_told({row_id: told}):
            self._owe(row_id, told)
            self._untold(row_id, told)

    def heard(self, row_id: int, version: int) -> None:
        """Another process wrote the row and could not tell Redis: it is done in its place."""
        self._offers.withdraw(self._form.key(row_id))
        self._memory.drop(row_id)
        if not self._link.is_open() or not self._mark({row_id: version}):
            self._owe(row_id, version)
        self._memory.drop(row_id)  # what was read from Redis before it had the mark

    def pay(self) -> bool:
        """Tells of the writes that are owed, so that nothing stale is read once Redis is back; whether none is left."""
        if not self._owed:
            return True
        with self._paying:
            while self._owed:
                with self._lock:
                    some = dict(islice(self._owed.items(), PAID_AT_ONCE))
                if not self._link.is_open() or not self._is_told(some):
                    return False
                with self._lock:
                    for row_id, version in some.items():
                        if self._owed[row_id] == version:
                            del self._owed[row_id]
        return True

    # -- within

    def _mark(self, written: Mapping[int, int]) -> bool:
        """Whether Redis knows of writes, id -> version."""
        ttl = b"%d" % self._form.ttl_s
        marks = [(self._form.key(row_id), (b"%d" % version, b"", ttl)) for row_id, version in written.items()]
        began, failure = perf_counter(), None
        try:
            PUT.run_each(self._link.wire.ask, marks)
        except RedisError as error:
            failure = type(error)
            self._link.failed(error)
        record("cache put", began, CLIENT, self._tags, failure)
        return failure is None

    def _is_told(self, written: Mapping[int, int]) -> bool:
        """Whether Redis, and then all memories, know of writes."""
        return self._mark(written) and self._told(written.keys())

    def _owe(self, row_id: int, version: int) -> None:
        with self._lock:
            if len(self._owed) < MAX_OWED or row_id in self._owed:
                self._owed[row_id] = max(version, self._owed.get(row_id, 0))

    def _offer(self, row_id: int, version: int, text: bytes, ttl_s: int) -> None:
        began = perf_counter()
        if self._offers.add(self._form.key(row_id), b"%d" % version, text, b"%d" % ttl_s):
            record("cache put", began, CLIENT, self._tags, None if self._link.is_open() else RedisError)


class NoCache(Generic[R]):
    """Where none is configured: every read is a miss."""

    misses: Tags = {}
    hits: Tags = {}

    def get(self, row_id: int) -> R | Absent | None:
        """Nothing is ever here."""
        return None

    def near(self, row_id: int, now: float) -> R | None:
        """Nothing is ever here, either."""
        return None

    def far(self, row_id: int) -> R | Absent | None:
        """Nor anywhere else."""
        return None

    def question(self, row_id: int) -> Question | None:
        """Nobody is asked."""
        return None

    def read(self, question: Question | None, answer: Any) -> R | Absent | None:
        """Nothing is ever found."""
        return None

    def put_absent(self, row_id: int) -> None:
        """Kept nowhere."""

    def put(self, row: R) -> None:
        """Kept nowhere."""

    def forget(self, row_id: int, version: int, *, deleted: bool = False) -> None:
        """Nothing to forget."""
