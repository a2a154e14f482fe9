"""Runs migrations: one runner at a time, one transaction a file."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import psycopg2
from psycopg2.extensions import connection as Connection

from backend.config import Database
from backend.migrations.plan import Applied, pending, problems
from backend.migrations.scripts import MigrationError, Script
from backend.repository.pool import connect

log = logging.getLogger(__name__)

RETRY_S = 1.0
_COLUMNS = "installed_rank, version, description, type, script, checksum, installed_by, installed_on, success"
# The table as Flyway 10 makes it on PostgreSQL.
_CREATE_HISTORY = """
CREATE TABLE IF NOT EXISTS flyway_schema_history (
    installed_rank integer       NOT NULL CONSTRAINT flyway_schema_history_pk PRIMARY KEY,
    version        varchar(50),
    description    varchar(200)  NOT NULL,
    type           varchar(20)   NOT NULL,
    script         varchar(1000) NOT NULL,
    checksum       integer,
    installed_by   varchar(100)  NOT NULL,
    installed_on   timestamp     NOT NULL DEFAULT now(),
    execution_time integer       NOT NULL,
    success        boolean       NOT NULL
);
CREATE INDEX IF NOT EXISTS flyway_schema_history_s_idx ON flyway_schema_history (success);
"""
_RECORD = """
INSERT INTO flyway_schema_history
    (installed_rank, version, description, type, script, checksum, installed_by, execution_time, success)
SELECT coalesce(max(installed_rank), 0) + 1, %s, %s, 'SQL', %s, %s, current_user, %s, true FROM flyway_schema_history
"""


def wait_for_database(
    database: Database, *, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
) -> Connection:
    """A connection, waiting for the server at most `database.wait_s`; every new reason is logged once.

    Raises MigrationError with the last reason.
    """
    deadline = clock() + database.wait_s
    told = ""
    while True:
        try:
            connection = connect(database, "capstan-migrations")
        except psycopg2.OperationalError as error:
            reason = " ".join(str(error).split())
            if clock() >= deadline:
                raise MigrationError(f"no database within {database.wait_s:g} s: {reason}") from None
            if reason != told:
                log.info("waiting for the database: %s", reason)
                told = reason
            sleep(RETRY_S)
        else:
            _allow_long_statements(connection)
            return connection


def _allow_long_statements(connection: Connection) -> None:
    # The service's limit suits requests; an index on a large table takes its time.
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")


def java_hash(text: str) -> int:
    """Java's String.hashCode, for text of the basic plane."""
    value = 0
    for character in text:
        value = (31 * value + ord(character)) & 0xFFFFFFFF
    return value - 2**32 if value >= 2**31 else value


def lock_number(schema: str) -> int:
    """The advisory lock that Flyway takes for the history table of `schema`, so that the two exclude each other."""
    return int.from_bytes(b"Flyway", "big") + java_hash(f'"{schema}"."flyway_schema_history"')


@contextmanager
def only_runner(connection: Connection, wait_s: float) -> Iterator[None]:
    """Holds the lock that one runner at a time can have; waits for it. Raises MigrationError."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_schema()")
        number = lock_number(cursor.fetchone()[0])
        # lock_timeout = 0 would mean to wait for ever.
        cursor.execute("SELECT set_config('lock_timeout', %s, false)", (f"{max(1, round(wait_s * 1000))}ms",))
        try:
            cursor.execute("SELECT pg_advisory_lock(%s)", (number,))
        except psycopg2.errors.LockNotAvailable:
            raise MigrationError(f"another runner has been migrating for more than {wait_s:g} s.") from None
        cursor.execute("SET lock_timeout = 0")
    try:
        yield
    finally:
        if not connection.closed:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", (number,))


def read_history(connection: Connection) -> list[Applied]:
    """What was run; empty where there is no history table yet."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('flyway_schema_history')")
        if cursor.fetchone()[0] is None:
            return []
        cursor.execute(f"SELECT {_COLUMNS} FROM flyway_schema_history ORDER BY installed_rank")
        return [Applied(*row) for row in cursor.fetchall()]


def migrate(connection: Connection, scripts: Sequence[Script], wait_s: float) -> list[Script]:
    """Runs what is pending and returns it. Raises MigrationError; what was run before stays."""
    with only_runner(connection, wait_s):
        history = read_history(connection)
        wrong = problems(scripts, history)
        if wrong:
            raise MigrationError(" ".join(wrong))
        with connection.cursor() as cursor:
            cursor.execute(_CREATE_HISTORY)
        waiting = pending(scripts, history)
        for script in waiting:
            _run(connection, script)
    return waiting


def _run(connection: Connection, script: Script) -> None:
    """One file and its row in the history, in one transaction."""
    started = time.monotonic()
    connection.autocommit = False
    try:
        with connection.cursor() as cursor:
            cursor.execute(script.sql)
            took_ms = round((time.monotonic() - started) * 1000)
            cursor.execute(_RECORD, (script.version, script.description, script.name, script.checksum, took_ms))
        connection.commit()
    except psycopg2.Error as error:
        if not connection.closed:
            connection.rollback()
        raise MigrationError(f"{script.name}: {' '.join(str(error).split())}. Nothing of it was kept.") from error
    finally:
        if not connection.closed:
            connection.autocommit = True
    log.info("migrated", extra={"fields": {"script": script.name, "duration_ms": took_ms}})
