"""Users in PostgreSQL. Every method is one statement, hence one transaction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import Any

import psycopg2.errors

from backend.entities import Page, User, UserFields
from backend.errors import Conflict
from backend.observability.metrics import Timer
from backend.repository.access import Rows, read, write
from backend.repository.pool import Pool
from backend.repository.replicas import Replica, Replicas
from backend.repository.statements import Statement, run

COLUMNS = "id, name, email, status, created_at, updated_at, version"

_LIST = Statement(
    "users_list",
    ("bigint", "text", "integer"),
    f"SELECT {COLUMNS} FROM users WHERE id < $1 AND ($2 IS NULL OR status = $2) ORDER BY id DESC LIMIT $3",
)
_GET = Statement("users_get", ("bigint",), f"SELECT {COLUMNS} FROM users WHERE id = $1")
_CREATE = Statement(
    "users_create",
    ("text", "text", "text"),
    f"INSERT INTO users (name, email, status) VALUES ($1, $2, $3) RETURNING {COLUMNS}",
)
_UPDATE = Statement(
    "users_update",
    ("bigint", "text", "text", "text"),
    "UPDATE users SET name = $2, email = $3, status = $4, updated_at = now(), updated_by = current_user,"
    f" version = version + 1 WHERE id = $1 RETURNING {COLUMNS}",
)
_DELETE = Statement("users_delete", ("bigint",), f"DELETE FROM users WHERE id = $1 RETURNING {COLUMNS}")
_PING = Statement("ping", (), "SELECT 1")

_AFTER_ALL_IDS = 2**63 - 1


def user_from_row(row: tuple[Any, ...]) -> User:
    """A row of `COLUMNS` as a user."""
    return User(
        id=row[0], name=row[1], email=row[2], status=row[3], created_at=row[4], updated_at=row[5], version=row[6]
    )


class UserRepository:
    """Reads and writes users. Methods raise DatabaseUnavailable; those that write an e-mail address, Conflict."""

    def __init__(self, pool: Pool, invocations: Timer, replicas: Replicas | None = None) -> None:
        self._pool = pool
        self._replicas = replicas or Replicas()
        self._invocations = invocations

    @contextmanager
    def _timed(self, method: str) -> Iterator[None]:
        began, state = perf_counter(), "ERROR"
        try:
            yield
            state = "SUCCESS"
        finally:
            self._invocations.record(perf_counter() - began, "UserRepository", method, state)

    def _read(self, method: str, statement: Statement, parameters: Sequence[object], replica: Replica | None) -> Rows:
        with self._timed(method):
            return read(self._pool, statement, parameters, replica)

    def _write(self, method: str, statement: Statement, parameters: Sequence[object]) -> Rows:
        """The users that the statement wrote, as rows of `COLUMNS`."""
        with self._timed(method):
            try:
                rows = write(self._pool, statement, parameters)
            except psycopg2.errors.UniqueViolation:
                raise email_taken() from None
        for row in rows:
            self._replicas.wrote(row[0])
        return rows

    def list(self, limit: int, cursor: int | None = None, status: str | None = None) -> Page:
        """At most `limit` users, newest first, after `cursor` (the id that ended the page before)."""
        # One more than asked for tells whether there is a next page.
        given = (_AFTER_ALL_IDS if cursor is None else cursor, status, limit + 1)
        rows = self._read("list", _LIST, given, self._replicas.for_any())
        users = tuple(user_from_row(row) for row in rows[:limit])
        return Page(users, users[-1].id if len(rows) > limit else None)

    def get(self, user_id: int) -> User | None:
        """The user, None where there is none."""
        rows = self._read("get", _GET, (user_id,), self._replicas.for_user(user_id))
        return user_from_row(rows[0]) if rows else None

    def create(self, fields: UserFields) -> User:
        """The new user as stored."""
        rows = self._write("create", _CREATE, (fields.name, fields.email, fields.status))
        return user_from_row(rows[0])

    def update(self, user_id: int, fields: UserFields) -> User | None:
        """The user as stored now, None where there is none."""
        rows = self._write("update", _UPDATE, (user_id, fields.name, fields.email, fields.status))
        return user_from_row(rows[0]) if rows else None

    def delete(self, user_id: int) -> User | None:
        """The user that was deleted, None where there was none."""
        rows = self._write("delete", _DELETE, (user_id,))
        return user_from_row(rows[0]) if rows else None

    def ping(self, timeout_s: float) -> None:
        """Returns when the database answers; waits for a free connection at most `timeout_s`."""
        with self._timed("ping"), self._pool.lend(timeout_s) as pooled:
            run(pooled, _PING)


def email_taken() -> Conflict:
    """What is raised where the address is another user's."""
    # The driver's own message repeats the address; `from None` keeps it out of logs.
    return Conflict("email", "This e-mail address belongs to another user.")
