"""Writes that Redis could not be told of reach the other processes by the database: NOTIFY, and LISTEN.

That takes a connection of each process, beside the pool's. It is the second way: a process that is cut off from Redis,
or ends before it is back, leaves old copies there that everybody else would go on reading.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import socket
import threading
from typing import Protocol

import psycopg2
from psycopg2.extensions import connection as Connection

from backend.config import Database
from backend.errors import DatabaseUnavailable
from backend.repository.access import write
from backend.repository.failures import reason
from backend.repository.pool import Pool, connect
from backend.repository.statements import Statement

log = logging.getLogger(__name__)

AGAIN_S = 1.0  # until the next try, where the database is away
PAY_EVERY_S = 1.0
_CHANNEL = "capstan_written"
_TELL = Statement("notices_tell", ("text",), f"SELECT pg_notify('{_CHANNEL}', $1)")


class Hearer(Protocol):
    """What is to know of writes."""

    def heard(self, kind: str, row_id: int, version: int) -> None:
        """A row has this version. Raises ValueError for a kind that it does not know."""

    def missed(self) -> None:
        """Some writes may not have been heard of."""

    def pay(self) -> None:
        """Called now and then, to tell Redis what it could not be told."""


class Notices:
    """Tells of writes, and hears of them."""

    def __init__(self, database: Database, pool: Pool) -> None:
        self._database = database
        self._pool = pool
        self._stop = threading.Event()
        self._connection: Connection | None = None
        self._thread: threading.Thread | None = None

    def tell(self, kind: str, row_id: int, version: int) -> None:
        """All processes hear soon that a row of that kind has this version."""
        try:
            write(self._pool, _TELL, (f"{kind} {row_id} {version}",))
        except DatabaseUnavailable as error:
            log.warning("cache: others may read what they have of a row that was written: %s", error)

    def start(self, hearer: Hearer) -> None:
        """Hears of writes from now on."""
        self._thread = threading.Thread(target=self._listen, args=(hearer,), name="notices", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Hears no more."""
        self._stop.set()
        connection = self._connection
        if connection is not None:
            with (
                contextlib.suppress(OSError, psycopg2.Error),
                socket.socket(fileno=os.dup(connection.fileno())) as same,
            ):
                same.shutdown(socket.SHUT_RDWR)  # wakes the thread
        if self._thread is not None:
            self._thread.join(AGAIN_S)

    # -- in the thread

    def _listen(self, hearer: Hearer) -> None:
        while not self._stop.is_set():
            try:
                with contextlib.closing(connect(self._database, "capstan-backend-notices")) as connection:
                    self._connection = connection
                    self._hear(connection, hearer)
            except psycopg2.Error as error:
                log.debug("cache: the database tells of no writes: %s", reason(error))
            except Exception:
                log.exception("cache: the database tells of no writes")
            finally:
                self._connection = None
            self._stop.wait(AGAIN_S)

    def _hear(self, connection: Connection, hearer: Hearer) -> None:
        """Until the connection breaks. Raises psycopg2.Error."""
        with connection.cursor() as cursor:
            cursor.execute(f"LISTEN {_CHANNEL}")
        hearer.missed()
        incoming = select.poll()  # unlike select() it takes any number of a file
        incoming.register(connection, select.POLLIN)
        while not self._stop.is_set():
            if not incoming.poll(PAY_EVERY_S * 1000):
                hearer.pay()
                continue
            connection.poll()
            while connection.notifies:
                _take(connection.notifies.pop(0).payload, hearer)


def _take(payload: str, hearer: Hearer) -> None:
    try:
        kind, row_id, version = payload.split()
        hearer.heard(kind, int(row_id), int(version))
    except ValueError:
        # Whoever it is from means something that we do not understand.
        hearer.missed()
