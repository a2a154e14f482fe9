"""Runs migrations and keeps their history: one runner at a time, one transaction a file."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import psycopg2
from psycopg2.extensions import connection as Connection

from backend.config import Database
from backend.migrations.plan import (
    BASELINE,
    DELETED,
    SQL,
    Applied,
    Repair,
    pending,
    problems,
    repairing,
    undoing,
)
from backend.migrations.scripts import UNDO, MigrationError, Script
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
SELECT coalesce(max(installed_rank), 0) + 1, %s, %s, %s, %s, %s, current_user, %s, %s FROM flyway_schema_history
"""
_BASELINE_TEXT = "<< Flyway Baseline >>"
# Tables, views and sequences of the schema, but for those that an extension brought.
_OWN_RELATIONS = """
SELECT count(*) FROM pg_class WHERE relnamespace = current_schema()::regnamespace
    AND relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
    AND NOT EXISTS (SELECT 1 FROM pg_depend WHERE objid = pg_class.oid AND deptype = 'e')
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
    # The service's limits suit requests; an index on a large table takes its time.
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0; SET lock_timeout = 0")


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
        waiting = pending(scripts, history)
        if not history and _holds_something(connection):
            raise MigrationError(
                "the schema holds tables but no history of migrations: if they are what the files up to some version "
                "make, say so with `baseline --version N`; else give the service a schema of its own."
            )
        _make_history(connection)
        for script in waiting:
            _run(connection, script, (script.version or None, script.description, SQL, script.name, script.checksum))
    return waiting


def undo(connection: Connection, scripts: Sequence[Script], wait_s: float, down_to: str | None) -> list[Script]:
    """Takes the newest version back, or all above `down_to`; the undo files that were run. Raises MigrationError."""
    with only_runner(connection, wait_s):
        history = read_history(connection)
        wrong = problems(scripts, history)
        if wrong:
            raise MigrationError(" ".join(wrong))
        chosen = undoing(scripts, history, down_to)
        for script, row in chosen:
            _run(connection, script, (row.version, row.description, DELETED, row.script, row.checksum))
    return [script for script, _ in chosen]


def baseline(connection: Connection, wait_s: float, version: str) -> None:
    """Says that the schema is what the files up to `version` make. Raises MigrationError where a history says more."""
    with only_runner(connection, wait_s):
        history = read_history(connection)
        if [(row.type, row.version) for row in history] == [(BASELINE, version)]:
            return
        if history:
            raise MigrationError("there is a history already: a baseline is only for a schema without one.")
        _make_history(connection)
        with connection.cursor() as cursor:
            cursor.execute(_RECORD, (version, _BASELINE_TEXT, BASELINE, _BASELINE_TEXT, None, 0, True))


def repair(connection: Connection, scripts: Sequence[Script], wait_s: float) -> Repair:
    """Makes the history say what the files say, in one transaction; the schema is not touched."""
    with only_runner(connection, wait_s):
        change = repairing(scripts, read_history(connection))
        with _transaction(connection), connection.cursor() as cursor:
            for row in change.forget:
                cursor.execute("DELETE FROM flyway_schema_history WHERE installed_rank = %s", (row.rank,))
            for row, script in change.align:
                cursor.execute(
                    "UPDATE flyway_schema_history SET description = %s, script = %s, checksum = %s"
                    " WHERE installed_rank = %s",
                    (script.description, script.name, script.checksum, row.rank),
                )
            for row in change.mark_deleted:
                cursor.execute(_RECORD, (row.version, row.description, DELETED, row.script, row.checksum, 0, True))
    return change


def _make_history(connection: Connection) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_CREATE_HISTORY)


def _holds_something(connection: Connection) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(_OWN_RELATIONS)
        return bool(cursor.fetchone()[0])


@contextmanager
def _transaction(connection: Connection) -> Iterator[None]:
    """Autocommit again afterwards; rolled back where it is left by an error."""
    connection.autocommit = False
    try:
        yield
        connection.commit()
    except BaseException:
        if not connection.closed:
            connection.rollback()
        raise
    finally:
        if not connection.closed:
            connection.autocommit = True


def _run(connection: Connection, script: Script, noted: tuple[str | None, str, str, str, int | None]) -> None:
    """One file and its row in the history: together, or neither; or, outside a transaction, a row of the failure.

    `noted`: version, description, type, name and checksum in that row.
    """
    started = time.monotonic()

    def record(success: bool) -> None:
        took_ms = round((time.monotonic() - started) * 1000)
        with connection.cursor() as cursor:
            cursor.execute(_RECORD, (*noted, took_ms, success))

    try:
        if script.transactional:
            with _transaction(connection), connection.cursor() as cursor:
                cursor.execute(script.sql)
                record(True)
        else:
            with connection.cursor() as cursor:
                cursor.execute(script.sql)
            record(True)
    except psycopg2.Error as error:
        kept = "Nothing of it was kept."
        if not script.transactional:
            kept = "It runs outside a transaction, so something of it may be there: mend the schema, then `repair`."
            if not connection.closed:
                record(False)
        raise MigrationError(f"{script.name}: {' '.join(str(error).split())}. {kept}") from error
    done = "undone" if script.kind == UNDO else "migrated"
    took_ms = round((time.monotonic() - started) * 1000)
    log.info(done, extra={"fields": {"script": script.name, "duration_ms": took_ms}})
