"""Streaming replicas, each with a pool of its own, and whether a read may go to one.

A replica is as fresh as a time, by this process's clock: whatever anybody was told to be committed before that time can
be seen on it. Four times a second its watcher notes the time, asks the primary where its log ends, and the replica how
far it has replayed. Once that is as far, the replica is as fresh as the time that was noted: a commit is in the log
before anyone is told of it, and counts as replayed once it can be seen.

A read goes to a replica that is at most MAX_STALENESS_S old and fresher than this process's last write of what is read.
It needs no round trip for that, and a write needs not be told its place in the log, which would be known only after it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg2
from psycopg2.extensions import connection as Connection

from backend.config import Database
from backend.repository.failures import reason
from backend.repository.pool import Pool, connect

log = logging.getLogger(__name__)

MAX_STALENESS_S = 1.0
LOOK_EVERY_S = 0.25
PATIENCE_S = 1.0  # for one answer to a watcher: a later one is of no use
REMEMBERED_WRITES = 10_000
NEVER = float("-inf")

_BEHIND = "it is behind the primary"
# Both in bytes from the beginning of the log.
_LOG_ENDS = "SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint, (pg_current_wal_flush_lsn() - '0/0')::bigint"
_REPLAYED = "SELECT pg_is_in_recovery(), (pg_last_wal_replay_lsn() - '0/0')::bigint"
_PAGE_BYTES = 8192
_LONGEST_PAGE_HEADER_BYTES = 40  # less than such a header and a record together


class NotAReplica(Exception):
    """The server is a primary, or became one."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Where the primary's log ended, asked at a time or later."""

    at: float
    position: int


def end_of_log(inserted: int, flushed: int) -> int:
    """Where the primary's last record ends, as a replica that has replayed it says.

    At the beginning of a page the primary tells the place behind the page's header, where the next record will be. As
    long as there is none, which may be long after a switch of files, no replica gets there.
    """
    behind_header = flushed % _PAGE_BYTES == 0 and 0 < inserted - flushed <= _LONGEST_PAGE_HEADER_BYTES
    return flushed if behind_header else inserted


def freshness(marks: Iterable[Mark], replayed: int) -> float:
    """How fresh a replica is that has replayed the log up to there."""
    return max((mark.at for mark in marks if mark.position <= replayed), default=NEVER)


class _Line:
    """A watcher's own connection to a server: opened when it is needed, and anew after an error."""

    def __init__(self, database: Database) -> None:
        self._database = dataclasses.replace(database, statement_timeout_s=PATIENCE_S)
        self._connection: Connection | None = None

    def ask(self, sql: str) -> tuple[Any, ...]:
        """The only row. Raises psycopg2.Error."""
        try:
            if self._connection is None:
                self._connection = connect(self._database, "capstan-replica-watch")
            with self._connection.cursor() as cursor:
                cursor.execute(sql)
                row: tuple[Any, ...] = cursor.fetchone()
        except psycopg2.Error:
            self.close()
            raise
        return row

    def close(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(psycopg2.Error):
                self._connection.close()
        self._connection = None


class Replica:
    """One replica, its pool and its watcher; without `start` only `look` finds out how fresh it is."""

    def __init__(
        self, primary: Database, database: Database, pool: Pool, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.address = f"{database.host}:{database.port}"
        self.pool = pool
        self.fresh_as_of = NEVER
        self._primary, self._replica = _Line(primary), _Line(database)
        self._marks: deque[Mark] = deque(maxlen=2 * round(MAX_STALENESS_S / LOOK_EVERY_S))
        self._clock = clock
        self._stop = threading.Event()

    def start(self) -> None:
        """Watches it from a thread, and fills its pool."""
        self.pool.start()
        threading.Thread(target=self._watch, name="replica-watch", daemon=True).start()

    def close(self) -> None:
        """Ends the watcher and the pool."""
        self._stop.set()
        self.pool.close()

    def is_fresh(self) -> bool:
        """Whether it was as the primary is MAX_STALENESS_S ago at most."""
        return self._clock() - self.fresh_as_of <= MAX_STALENESS_S

    def set_aside(self) -> None:
        """It is not read from until it was looked at again."""
        self.fresh_as_of = NEVER

    def look(self) -> None:
        """Finds out how fresh it is. Raises psycopg2.Error where a server does not answer, and NotAReplica."""
        at = self._clock()
        # Without the primary the replica only ages; it may be read from until it is too old.
        self._marks.append(Mark(at, end_of_log(*self._primary.ask(_LOG_ENDS))))
        try:
            in_recovery, replayed = self._replica.ask(_REPLAYED)
        except psycopg2.Error:
            self.set_aside()
            raise
        if not in_recovery:
            self.set_aside()
            raise NotAReplica(f"{self.address} is no replica")
        # Not the best that was ever found: after a crash it may come back with less than it had.
        self.fresh_as_of = freshness(self._marks, replayed)

    def _watch(self) -> None:
        told = _BEHIND  # as every replica is until it was looked at
        while not self._stop.is_set():
            try:
                self.look()
                trouble = "" if self.is_fresh() else _BEHIND
            except (psycopg2.Error, NotAReplica) as error:
                trouble = reason(error)
            if trouble != told:
                told = trouble
                self._tell(trouble)
            self._stop.wait(LOOK_EVERY_S)
        self._primary.close()
        self._replica.close()

    def _tell(self, trouble: str) -> None:
        if trouble:
            log.warning("replica: not read from", extra={"fields": {"replica": self.address, "why": trouble}})
        else:
            log.info("replica: read from", extra={"fields": {"replica": self.address}})


class Replicas:
    """All replicas, and what this process wrote that they may not have yet."""

    def __init__(self, replicas: Sequence[Replica] = (), *, clock: Callable[[], float] = time.monotonic) -> None:
        self.all = tuple(replicas)
        self._clock = clock
        self._turn = 0
        self._lock = threading.Lock()
        # User id -> when this process last wrote it: lately, and before that. Earlier writes are forgotten.
        self._lately: dict[int, float] = {}
        self._before: dict[int, float] = {}
        self._lately_began = self._forgotten_until = self._last_write = NEVER

    def for_user(self, user_id: int) -> Replica | None:
        """Where this user may be read; None: on the primary."""
        if not self.all:
            return None
        # In this order: `wrote`, which may be at work, moves a user from left to right.
        written = (self._lately.get(user_id, NEVER), self._before.get(user_id, NEVER), self._forgotten_until)
        return self._fresher(max(written))

    def for_any(self) -> Replica | None:
        """Where users may be read that are not known beforehand; None: on the primary."""
        return self._fresher(self._last_write) if self.all else None

    def wrote(self, user_id: int) -> None:
        """A user was written. To be told after the commit and before the client is."""
        if not self.all:
            return
        with self._lock:
            now = self._last_write = self._clock()
            if now - self._lately_began > MAX_STALENESS_S or len(self._lately) >= REMEMBERED_WRITES:
                # As a rule these are older than any replica that is read from.
                self._forgotten_until = self._lately_began
                self._before = self._lately
                self._lately, self._lately_began = {}, now
            self._lately[user_id] = now

    def fresh(self) -> int:
        """How many there are to read from now."""
        return sum(replica.is_fresh() for replica in self.all)

    def start(self) -> None:
        """Starts all watchers and pools."""
        for replica in self.all:
            replica.start()

    def close(self) -> None:
        """Ends all watchers and pools."""
        for replica in self.all:
            replica.close()

    def _fresher(self, least: float) -> Replica | None:
        """One that is as fresh as `least` and not too old, each in its turn."""
        least = max(least, self._clock() - MAX_STALENESS_S)
        count = len(self.all)
        self._turn = turn = (self._turn + 1) % count  # two threads at once only take the same turn
        for position in range(turn, turn + count):
            replica = self.all[position % count]
            if replica.fresh_as_of >= least:
                return replica
        return None
