"""A pool of PostgreSQL connections with a bound on its size, on idleness and on age.

Built for threads: waiting and all traffic with the server happen outside the lock. A connection that was not
used for a moment is tried before it is handed out, so that a failed-over or restarted server costs no request.
"""

from __future__ import annotations

import contextlib
import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import psycopg2
from psycopg2.extensions import connection as Connection

from backend.config import Database
from backend.errors import DatabaseUnavailable

log = logging.getLogger(__name__)

TRUST_FOR_S = 0.5  # a connection used this recently is handed out untried
HOUSEKEEPING_EVERY_S = 10.0


@dataclass(eq=False, slots=True)
class Pooled:
    """A connection, when it must end, when it was last given back, and the statements it has prepared."""

    connection: Connection
    expires_at: float
    idle_since: float
    prepared: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class PoolStats:
    """A moment's figures: connections in use, idle and being opened, and threads waiting for one."""

    active: int
    idle: int
    opening: int
    waiting: int


def connect(database: Database, application_name: str = "capstan-backend") -> Connection:
    """A connection in autocommit mode. Raises psycopg2.OperationalError."""
    connection = psycopg2.connect(
        host=database.host,
        port=database.port,
        dbname=database.name,
        user=database.user,
        password=database.password,
        sslmode=database.sslmode,
        sslrootcert=database.sslrootcert,
        application_name=application_name,
        connect_timeout=max(2, min(5, round(database.connection_timeout_s))),
        # A peer that vanished without a word is noticed within about 30 s, so failover is, too.
        keepalives_idle=15,
        keepalives_interval=5,
        keepalives_count=3,
        tcp_user_timeout=15_000,
        options=f"-c statement_timeout={round(database.statement_timeout_s * 1000)} -c timezone=UTC",
    )
    connection.autocommit = True
    return connection


class Pool:
    """At most `pool_size` connections of one database; see `Database` for the figures."""

    def __init__(
        self,
        database: Database,
        *,
        open_connection: Callable[[Database], Connection] = connect,
        clock: Callable[[], float] = time.monotonic,
        acquired: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        self._database = database
        self._acquired = acquired  # told how long each wait for a connection was
        self._open_connection = open_connection
        self._clock = clock
        self._changed = threading.Condition()
        self._idle: deque[Pooled] = deque()  # the most recently used at the right end
        self._active = 0
        self._opening = 0
        self._waiting = 0
        self._doubt_before = float("-inf")  # when a connection last broke: those idle since then are tried first
        self._stop = threading.Event()
        self._keeper: threading.Thread | None = None

    def start(self) -> None:
        """Opens the minimum of idle connections in the background, and keeps it."""
        self._keeper = threading.Thread(target=self._keep, name="pool-keeper", daemon=True)
        self._keeper.start()

    def close(self) -> None:
        """Closes idle connections at once; those in use when they are given back. Nothing is lent any more."""
        self._stop.set()
        with self._changed:
            idle, self._idle = list(self._idle), deque()
            self._changed.notify_all()
        for pooled in idle:
            _close(pooled)

    def stats(self) -> PoolStats:
        """The pool's figures now."""
        with self._changed:
            return PoolStats(self._active, len(self._idle), self._opening, self._waiting)

    @contextlib.contextmanager
    def lend(self, timeout_s: float | None = None) -> Iterator[Pooled]:
        """A connection for the length of a `with` block; waits for a free one at most `timeout_s`.

        Raises DatabaseUnavailable when none came free in time or none can be opened, also when the server goes away
        within the block. Other database errors pass through.
        """
        began = self._clock()
        try:
            pooled = self._acquire(self._database.connection_timeout_s if timeout_s is None else timeout_s)
        finally:
            self._acquired(self._clock() - began)
        try:
            yield pooled
        except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
            raise DatabaseUnavailable(_reason(error)) from error
        finally:
            self._release(pooled)

    def tidy(self) -> None:
        """Drops what has been idle or alive for too long, then opens up to the minimum of idle connections."""
        with self._changed:
            now = self._clock()
            old = [p for p in self._idle if p.expires_at <= now]
            spare = len(self._idle) - len(old) - self._database.pool_min_idle
            stale = [p for p in self._idle if p not in old and now - p.idle_since >= self._database.idle_timeout_s]
            drop = old + stale[: max(0, spare)]
            self._idle = deque(p for p in self._idle if p not in drop)
        for pooled in drop:
            _close(pooled)
        while self._reserve_spare():
            self._give_back(self._open_reserved())

    # -- within

    def _acquire(self, timeout_s: float) -> Pooled:
        deadline = self._clock() + timeout_s
        while True:
            pooled = self._take(deadline, timeout_s)
            if pooled is None:
                return self._open_reserved()
            if self._usable(pooled):
                return pooled
            _close(pooled)
            with self._changed:
                self._active -= 1
                self._changed.notify()

    def _take(self, deadline: float, timeout_s: float) -> Pooled | None:
        """An idle connection, now counted as active; None: room for a new one was reserved instead."""
        with self._changed:
            self._waiting += 1
            try:
                while True:
                    if self._stop.is_set():
                        raise DatabaseUnavailable("the pool is closed")
                    if self._idle:
                        self._active += 1
                        return self._idle.pop()
                    if self._active + self._opening < self._database.pool_size:
                        self._opening += 1
                        return None
                    left_s = deadline - self._clock()
                    if left_s <= 0:
                        raise DatabaseUnavailable(f"no connection came free within {timeout_s:g} s")
                    self._changed.wait(left_s)
            finally:
                self._waiting -= 1

    def _open_reserved(self) -> Pooled:
        """Opens the connection that room was reserved for; counted as active on success, as nothing on failure."""
        try:
            connection = self._open_connection(self._database)
        except psycopg2.OperationalError as error:
            with self._changed:
                self._opening -= 1
                self._changed.notify()
            raise DatabaseUnavailable(_reason(error)) from error
        now = self._clock()
        # Ages are spread by a twentieth so that connections opened together do not end together.
        lifetime_s = self._database.max_lifetime_s * random.uniform(0.95, 1.0)
        with self._changed:
            self._opening -= 1
            self._active += 1
        return Pooled(connection, now + lifetime_s, now)

    def _reserve_spare(self) -> bool:
        with self._changed:
            total = self._active + self._opening + len(self._idle)
            wanted = len(self._idle) + self._opening < self._database.pool_min_idle
            if self._stop.is_set() or not wanted or total >= self._database.pool_size:
                return False
            self._opening += 1
            return True

    def _usable(self, pooled: Pooled) -> bool:
        now = self._clock()
        if pooled.connection.closed or pooled.expires_at <= now:
            return False
        if now - pooled.idle_since < TRUST_FOR_S and pooled.idle_since > self._doubt_before:
            return True
        try:
            with pooled.connection.cursor() as cursor:
                cursor.execute("SELECT 1")
        except psycopg2.Error:
            return False
        return True

    def _release(self, pooled: Pooled) -> None:
        if not pooled.connection.closed and pooled.connection.info.transaction_status != 0:
            # In autocommit mode the driver's own rollback() does nothing.
            with contextlib.suppress(psycopg2.Error), pooled.connection.cursor() as cursor:
                cursor.execute("ROLLBACK")
        self._give_back(pooled)

    def _give_back(self, pooled: Pooled) -> None:
        now = self._clock()
        with self._changed:
            self._active -= 1
            if pooled.connection.closed:
                self._doubt_before = now
            keep = not (pooled.connection.closed or self._stop.is_set() or pooled.expires_at <= now)
            if keep:
                pooled.idle_since = now
                self._idle.append(pooled)
            self._changed.notify()
        if not keep:
            _close(pooled)

    def _keep(self) -> None:
        while not self._stop.is_set():
            try:
                self.tidy()
            except DatabaseUnavailable as error:
                log.warning("pool: no connection: %s", error)
            self._stop.wait(HOUSEKEEPING_EVERY_S)


def _close(pooled: Pooled) -> None:
    with contextlib.suppress(psycopg2.Error):
        pooled.connection.close()


def _reason(error: Exception) -> str:
    """The first line of the driver's message; the rest repeats the statement and its values."""
    return str(error).strip().partition("\n")[0] or type(error).__name__
