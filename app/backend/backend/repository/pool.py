"""A pool of PostgreSQL connections with a bound on its size, on idleness and on age.

Built for threads: waiting and all traffic with the server happen outside the lock. A connection that was not
used for a moment is tried before it is handed out, so that a failed-over or restarted server costs no request.
"""

from __future__ import annotations

import contextlib
import logging
import random
import select
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from threading import get_ident

import psycopg2
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from backend.config import Database
from backend.errors import DatabaseUnavailable
from backend.repository.failures import failure, reason

log = logging.getLogger(__name__)

TRUST_FOR_S = 0.5  # a connection used this recently is handed out untried
HOUSEKEEPING_EVERY_S = 10.0
IDLE_IN_TRANSACTION_S = 60  # no request leaves a transaction open that long: the server ends such a session


@dataclass(eq=False, slots=True)
class Pooled:
    """A connection, when it must end, when it was last given back, its database, the statements it has prepared, and
    the cursor that runs them: a new one each time costs a fifth of a read."""

    connection: Connection
    expires_at: float
    idle_since: float
    database: Database
    prepared: set[str] = field(default_factory=set)
    cursor: Cursor = field(init=False)

    def __post_init__(self) -> None:
        self.cursor = self.connection.cursor()


@dataclass(frozen=True, slots=True)
class PoolStats:
    """A moment's figures: connections in use, idle and being opened, and threads waiting for one."""

    active: int
    idle: int
    opening: int
    waiting: int


def together(figures: Iterable[PoolStats]) -> PoolStats:
    """The figures of several pools as those of one."""
    each = list(figures)
    return PoolStats(*(sum(getattr(one, name) for one in each) for name in PoolStats.__slots__))


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
        options=" ".join(f"-c {name}={value}" for name, value in _session(database).items()),
    )
    connection.autocommit = True
    return connection


def _session(database: Database) -> dict[str, str | int]:
    """The server's settings for a connection; its limits are in milliseconds."""
    return {
        "statement_timeout": round(database.statement_timeout_s * 1000),
        "lock_timeout": round(database.lock_timeout_s * 1000),
        "idle_in_transaction_session_timeout": IDLE_IN_TRANSACTION_S * 1000,
        "timezone": "UTC",
    }


class _Loan:
    """One lending, for the length of a `with` block, and who has it."""

    __slots__ = ("_pool", "holder", "pooled", "reported", "since", "timeout_s", "wary")

    pooled: Pooled
    since: float

    def __init__(self, pool: Pool, timeout_s: float, wary: bool) -> None:
        self._pool = pool
        self.timeout_s = timeout_s
        self.wary = wary
        self.holder = get_ident()
        self.reported = False

    def __enter__(self) -> Pooled:
        self._pool._begin(self)
        return self.pooled

    def __exit__(self, kind: object, error: BaseException | None, where: object) -> None:
        self._pool._end(self, error)


class Pool:
    """At most `pool_size` connections of one database; see `Database` for the figures."""

    def __init__(
        self,
        database: Database,
        *,
        open_connection: Callable[[Database], Connection] = connect,
        clock: Callable[[], float] = time.monotonic,
        acquired: Callable[[float], None] = lambda seconds: None,
        leaked: Callable[[], None] = lambda: None,
    ) -> None:
        self._database = database
        self._acquired = acquired  # told how long each wait for a connection was
        self._leaked = leaked  # told of each connection that is lent for too long
        self._open_connection = open_connection
        self._clock = clock
        self._changed = threading.Condition()
        # The most recently used is at the right end. Connections are taken out and put back in single steps of the
        # interpreter, which need no lock; it guards what is counted here, and who waits.
        self._idle: deque[Pooled] = deque()
        self._open = 0  # idle or in use
        self._opening = 0
        self._waiting = 0
        self._loans: set[_Loan] = set()
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
            self._changed.notify_all()
        self._close_idle()

    def stats(self) -> PoolStats:
        """The pool's figures now."""
        with self._changed:
            idle = len(self._idle)
            return PoolStats(self._open - idle, idle, self._opening, self._waiting)

    def lend(self, timeout_s: float | None = None, *, wary: bool = False) -> _Loan:
        """A connection for the length of a `with` block; waits for a free one at most `timeout_s`.

        `wary`: it is not known to be dead already, as far as that can be told without a round trip.

        Raises DatabaseUnavailable when none came free in time or none can be opened; in place of the driver's errors
        within the block, what `failure` makes of them. Other errors pass through.
        """
        return _Loan(self, self._database.connection_timeout_s if timeout_s is None else timeout_s, wary)

    def report_leaks(self) -> None:
        """Warns of connections that have been lent for too long, once each, with the place where their holders are."""
        threshold_s = self._database.leak_threshold_s
        if not threshold_s:
            return
        now = self._clock()
        # The copy is made in one step of the interpreter, so lending and giving back need no lock for it.
        for loan in [one for one in tuple(self._loans) if now - one.since >= threshold_s and not one.reported]:
            loan.reported = True
            self._leaked()
            thread, stack = _place(loan.holder)
            fields = {"held_s": round(now - loan.since, 3), "thread": thread, "stack": stack}
            log.warning("pool: a connection is lent for long", extra={"fields": fields})

    def tidy(self) -> None:
        """Drops what has been idle or alive for too long, then opens up to the minimum of idle connections."""
        now, idle = self._clock(), list(self._idle)
        old = [p for p in idle if p.expires_at <= now]
        spare = len(idle) - len(old) - self._database.pool_min_idle
        stale = [p for p in idle if p not in old and now - p.idle_since >= self._database.idle_timeout_s]
        for pooled in old + stale[: max(0, spare)]:
            with contextlib.suppress(ValueError):  # somebody took it meanwhile
                self._idle.remove(pooled)
                self._drop(pooled)
        while self._reserve_spare():
            self._put_back(self._open_reserved())

    # -- within

    def _begin(self, loan: _Loan) -> None:
        began = self._clock()
        try:
            loan.pooled = self._acquire(began, loan)
        finally:
            loan.since = self._clock()
            self._acquired(loan.since - began)
        self._loans.add(loan)

    def _end(self, loan: _Loan, error: BaseException | None) -> None:
        pooled, connection = loan.pooled, loan.pooled.connection
        self._loans.discard(loan)
        if loan.reported:
            fields = {"held_s": round(self._clock() - loan.since, 3)}
            log.warning("pool: a connection came back after all", extra={"fields": fields})
        if error is None and not connection.closed and connection.get_transaction_status() == 0:
            self._put_back(pooled)
            return
        if isinstance(error, psycopg2.errors.ReadOnlySqlTransaction):
            # The server was demoted. A new connection may lead to the one that took over.
            _close(pooled)
        broken = bool(connection.closed)
        if not broken and connection.get_transaction_status() != 0:
            # In autocommit mode the driver's own rollback() does nothing.
            with contextlib.suppress(psycopg2.Error):
                pooled.cursor.execute("ROLLBACK")
        self._put_back(pooled)
        if isinstance(error, psycopg2.Error) and (meaning := failure(error, broken=broken)):
            raise meaning from error

    def _acquire(self, began: float, loan: _Loan) -> Pooled:
        while True:
            try:
                pooled = self._idle.pop()
            except IndexError:
                waited = self._wait(began + loan.timeout_s, loan.timeout_s)
                if waited is None:
                    return self._open_reserved()
                pooled = waited
            if self._usable(pooled, loan.wary):
                return pooled
            self._drop(pooled)

    def _wait(self, deadline: float, timeout_s: float) -> Pooled | None:
        """A connection that came back; None: room for a new one was reserved instead."""
        with self._changed:
            self._waiting += 1  # before the first look: whoever puts one back after that look sees it, and notifies
            try:
                while True:
                    if self._stop.is_set():
                        raise DatabaseUnavailable("the pool is closed")
                    with contextlib.suppress(IndexError):
                        return self._idle.pop()
                    if self._open + self._opening < self._database.pool_size:
                        self._opening += 1
                        return None
                    left_s = deadline - self._clock()
                    if left_s <= 0:
                        raise DatabaseUnavailable(f"no connection came free within {timeout_s:g} s")
                    self._changed.wait(left_s)
            finally:
                self._waiting -= 1

    def _open_reserved(self) -> Pooled:
        """Opens the connection that room was reserved for; counted as open on success, as nothing on failure."""
        try:
            connection = self._open_connection(self._database)
        except psycopg2.OperationalError as error:
            with self._changed:
                self._opening -= 1
                self._changed.notify()
            raise DatabaseUnavailable(reason(error)) from error
        now = self._clock()
        # Ages are spread by a twentieth so that connections opened together do not end together.
        lifetime_s = self._database.max_lifetime_s * random.uniform(0.95, 1.0)
        with self._changed:
            self._opening -= 1
            self._open += 1
        return Pooled(connection, now + lifetime_s, now, self._database)

    def _reserve_spare(self) -> bool:
        with self._changed:
            wanted = len(self._idle) + self._opening < self._database.pool_min_idle
            if self._stop.is_set() or not wanted or self._open + self._opening >= self._database.pool_size:
                return False
            self._opening += 1
            return True

    def _usable(self, pooled: Pooled, wary: bool) -> bool:
        now = self._clock()
        if pooled.connection.closed or pooled.expires_at <= now:
            return False
        trusted = now - pooled.idle_since < TRUST_FOR_S and pooled.idle_since > self._doubt_before
        if trusted and not (wary and _has_news(pooled)):
            return True
        try:
            pooled.cursor.execute("SELECT 1")
        except psycopg2.Error:
            return False
        return True

    def _put_back(self, pooled: Pooled) -> None:
        now = self._clock()
        if pooled.connection.closed:
            self._doubt_before = now
            self._drop(pooled)
        elif pooled.expires_at <= now:
            self._drop(pooled)
        else:
            pooled.idle_since = now
            self._idle.append(pooled)
            if self._stop.is_set():
                self._close_idle()
            elif self._waiting:
                with self._changed:
                    self._changed.notify()

    def _drop(self, pooled: Pooled) -> None:
        """Closes one that is neither idle nor in use, which makes room for another one."""
        _close(pooled)
        with self._changed:
            self._open -= 1
            self._changed.notify()

    def _close_idle(self) -> None:
        with contextlib.suppress(IndexError):
            while True:
                self._drop(self._idle.pop())

    def _keep(self) -> None:
        # A leak is told at most a quarter of its threshold late.
        every_s = min(HOUSEKEEPING_EVERY_S, max(0.1, (self._database.leak_threshold_s or HOUSEKEEPING_EVERY_S) / 4))
        while not self._stop.is_set():
            self.report_leaks()
            try:
                self.tidy()
            except DatabaseUnavailable as error:
                log.warning("pool: no connection: %s", error)
            self._stop.wait(every_s)


def _close(pooled: Pooled) -> None:
    with contextlib.suppress(psycopg2.Error):
        pooled.connection.close()


def _has_news(pooled: Pooled) -> bool:
    """Whether something was received that nobody asked for: as a rule, that the server ended the connection."""
    watch = select.poll()
    watch.register(pooled.connection.fileno(), select.POLLIN)
    return bool(watch.poll(0))


def _place(thread_id: int) -> tuple[str, str]:
    """A thread's name and where it is now."""
    name = next((thread.name for thread in threading.enumerate() if thread.ident == thread_id), "")
    frame = sys._current_frames().get(thread_id)
    return (name, "".join(traceback.format_stack(frame))) if frame else (name, "the thread has ended")
