"""Users in PostgreSQL. Every method is one statement, hence one transaction, but for `create_once`.

A statement that writes also notes it in the audit log: there is neither one without the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import psycopg2.errors

from backend.entities import SORTS, Listing, Origin, Page, Position, RequestKey, User, UserChange, UserCopy, UserFields
from backend.errors import InProgress
from backend.forms import copy_of
from backend.observability.metrics import Timer
from backend.repository import idempotency
from backend.repository.access import Rows, read, write
from backend.repository.audit import noting
from backend.repository.invocations import Invocations
from backend.repository.personal import email_taken, of_changed, of_new
from backend.repository.pool import Pool, Pooled
from backend.repository.replicas import Replica, Replicas
from backend.repository.search import wanted
from backend.repository.statements import Statement, run
from backend.repository.transactions import transaction
from backend.sealing import PLAIN, Sealer

LOCK_WAIT_S = 2.0  # for a request with the same idempotency key that is under way

COLUMNS = "id, name, email, status, created_at, updated_at, version"


def _list_statement(sort: str) -> Statement:
    column = sort.removeprefix("-")
    direction, after = ("DESC", "<") if sort.startswith("-") else ("ASC", ">")
    type_ = "text" if column == "name" else "timestamptz"
    return Statement(
        f"users_by_{column}_{direction.lower()}",
        (type_, "bigint", "text[]", "timestamptz", "timestamptz", "text", "text[]", "integer", "bytea", "text[]"),
        f"SELECT {COLUMNS} FROM users"
        f" WHERE ($1 IS NULL OR ({column}, id) {after} ($1, $2)) AND ($3 IS NULL OR status = ANY ($3))"
        " AND ($4 IS NULL OR created_at >= $4) AND ($5 IS NULL OR created_at < $5)"
        " AND ($6 IS NULL OR lower(email) = lower($6) OR email_mark = $9)"
        " AND ($7 IS NULL OR beginnings @> $7 OR beginnings @> $10)"
        f" ORDER BY {column} {direction}, id {direction} LIMIT $8",
        planned_each_time=True,
    )


LISTS = {sort: _list_statement(sort) for sort in SORTS}
_MATCHES = "($2 IS NULL OR version = ANY ($2))"  # decided where the row is locked: nobody writes in between
_TIME = """to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""  # as `time_text` writes it
_GET = Statement(
    "users_get",
    ("bigint",),
    f"SELECT version, name, email, status, {_TIME.format('created_at')}, {_TIME.format('updated_at')}"
    " FROM users WHERE id = $1",
)
# What `of_new` gives.
INSERT_TYPES = ("bigint", "text", "text", "text", "text[]", "bytea", "bytea")
INSERT = (
    "INSERT INTO users (id, name, email, status, beginnings, name_mark, email_mark) OVERRIDING SYSTEM VALUE"
    f" VALUES (coalesce($1, nextval('users_id_seq')), $2, $3, $4, $5, $6, $7) RETURNING {COLUMNS}"
)
_CREATE = Statement(
    "users_create",
    (*INSERT_TYPES, "bigint", "text"),
    f"WITH made AS ({INSERT}), {noting('user.created', 'made', 8)} SELECT {COLUMNS} FROM made",
)


def _differs(column: str) -> str:
    """The column's name where its value changed. One text is sealed otherwise each time: then marks tell."""
    marks = f"(u.{column}_mark IS NULL OR u.{column}_mark IS DISTINCT FROM b.{column}_mark)"
    return f"CASE WHEN u.{column} <> b.{column} AND {marks} THEN '{column}' END"


_CHANGED = "jsonb_build_object('fields', changed)"  # their names only
_UPDATE = Statement(
    "users_update",
    ("bigint", "bigint[]", "text", "text", "text", "text[]", "bytea", "bytea", "bigint", "text"),
    f"WITH before AS (SELECT * FROM users WHERE id = $1 AND {_MATCHES} FOR UPDATE),"
    " written AS (UPDATE users u SET name = coalesce($3, u.name), email = coalesce($4, u.email),"
    " status = coalesce($5, u.status), beginnings = coalesce($6, u.beginnings),"
    " name_mark = CASE WHEN $3 IS NULL THEN u.name_mark ELSE $7 END,"
    " email_mark = CASE WHEN $4 IS NULL THEN u.email_mark ELSE $8 END, updated_at = now(),"
    " updated_by = current_user, version = u.version + 1 FROM before b WHERE u.id = b.id RETURNING u.*, array_remove("
    f"ARRAY[{_differs('name')}, {_differs('email')}, CASE WHEN u.status <> b.status THEN 'status' END], NULL)"
    f" AS changed), {noting('user.changed', 'written', 9, details=_CHANGED)}"
    f" SELECT {COLUMNS} FROM written",
)
_DELETE = Statement(
    "users_delete",
    ("bigint", "bigint[]", "bigint", "text"),
    f"WITH gone AS (DELETE FROM users WHERE id = $1 AND {_MATCHES} RETURNING {COLUMNS}),"
    " notes AS (DELETE FROM idempotency_keys WHERE owner IN (SELECT id::text FROM gone)),"
    f" {noting('user.deleted', 'gone', 3)} SELECT {COLUMNS} FROM gone",
)
_PING = Statement("ping", (), "SELECT 1")


def user_from_row(row: tuple[Any, ...], sealer: Sealer) -> User:
    """A row of `COLUMNS` as a user. Raises CannotOpen."""
    user_id, name, email = row[0], sealer.open("name", row[0], row[1]), sealer.open("email", row[0], row[2])
    return User(id=user_id, name=name, email=email, status=row[3], created_at=row[4], updated_at=row[5], version=row[6])


def list_parameters(listing: Listing, limit: int, after: Position | None, sealer: Sealer = PLAIN) -> tuple[object, ...]:
    """What the statements of `LISTS` take."""
    email, words = wanted(listing.search) if listing.search is not None else (None, None)
    statuses = list(listing.statuses) if listing.statuses is not None else None
    return (
        *((after.key, after.id) if after is not None else (None, None)),
        *(statuses, listing.created_from, listing.created_to, email, words, limit),
        sealer.email_mark(email) if email is not None else None,
        sealer.word_marks(words) if words is not None else None,
    )


def position_of(user: User, listing: Listing) -> Position:
    """Where the user is in the list."""
    return Position(getattr(user, listing.sort.removeprefix("-")), user.id)


class UserRepository:
    """Reads and writes users. Methods raise DatabaseUnavailable; those that write an e-mail address, Conflict."""

    def __init__(
        self, pool: Pool, invocations: Timer, replicas: Replicas | None = None, sealer: Sealer = PLAIN
    ) -> None:
        self._pool = pool
        self._sealer = sealer
        self._replicas = replicas or Replicas()
        self._invocations = Invocations(invocations, "UserRepository")

    def _read(self, method: str, statement: Statement, parameters: Sequence[object], replica: Replica | None) -> Rows:
        return self._invocations.timed(method, read, self._pool, statement, parameters, replica)

    def _write(self, method: str, statement: Statement, parameters: Sequence[object]) -> Rows:
        """The users that the statement wrote, as rows of `COLUMNS`."""
        try:
            rows = self._invocations.timed(method, write, self._pool, statement, parameters)
        except psycopg2.errors.UniqueViolation:
            raise email_taken() from None
        for row in rows:
            self._replicas.wrote(row[0])
        return rows

    def list(self, listing: Listing, limit: int, after: Position | None = None) -> Page:
        """At most `limit` users of a list, those after a position or its first ones."""
        # One more than asked for tells whether there is a next page.
        given = list_parameters(listing, limit + 1, after, self._sealer)
        rows = self._read("list", LISTS[listing.sort], given, self._replicas.for_any())
        users = tuple(user_from_row(row, self._sealer) for row in rows[:limit])
        return Page(users, position_of(users[-1], listing) if len(rows) > limit else None)

    def get(self, user_id: int) -> UserCopy | None:
        """The user as clients get it, None where there is none."""
        rows = self._read("get", _GET, (user_id,), self._replicas.for_user(user_id))
        if not rows:
            return None
        (version, name, email, status, created_at, updated_at), opened = rows[0], self._sealer.open
        name, email = opened("name", user_id, name), opened("email", user_id, email)
        return copy_of(user_id, version, name, email, status, created_at, updated_at)

    def create(self, fields: UserFields, origin: Origin) -> User:
        """The new user as stored."""
        given = (*of_new(self._send, self._sealer, fields), *origin)
        return user_from_row(self._write("create", _CREATE, given)[0], self._sealer)

    def create_once(self, fields: UserFields, key: RequestKey, origin: Origin) -> tuple[User, bool]:
        """(the user as it was created, whether an earlier request with this key did that).

        Raises KeyReused where that was another request, InProgress where it takes long.
        """
        user, earlier = self._invocations.timed("create", self._claim_or_insert, fields, key, origin)
        self._replicas.wrote(user.id)
        return user, earlier

    def update(
        self, user_id: int, change: UserFields | UserChange, origin: Origin, if_match: Sequence[int] | None = None
    ) -> User | None:
        """The user as stored now; None where there is none, or none of these versions."""
        given = (user_id, if_match, *of_changed(self._send, self._sealer, user_id, change), *origin)
        rows = self._write("update", _UPDATE, given)
        return user_from_row(rows[0], self._sealer) if rows else None

    def delete(self, user_id: int, origin: Origin, if_match: Sequence[int] | None = None) -> User | None:
        """The user that was deleted; None where there was none, or none of these versions."""
        rows = self._write("delete", _DELETE, (user_id, if_match, *origin))
        return user_from_row(rows[0], self._sealer) if rows else None

    def _send(self, statement: Statement, parameters: Sequence[object]) -> Rows:
        return write(self._pool, statement, parameters)

    def _claim_or_insert(self, fields: UserFields, key: RequestKey, origin: Origin) -> tuple[User, bool]:
        with self._pool.lend(wary=True) as pooled:
            try:
                with transaction(pooled, LOCK_WAIT_S):
                    earlier = idempotency.claim(pooled, key)
                    if earlier is not None:
                        return _as_created(fields, *earlier), True
                    return self._insert(pooled, fields, key, origin), False
            except psycopg2.errors.UniqueViolation:
                raise email_taken() from None
            except psycopg2.errors.LockNotAvailable:
                raise InProgress from None

    def _insert(self, pooled: Pooled, fields: UserFields, key: RequestKey, origin: Origin) -> User:
        given = of_new(lambda statement, parameters: run(pooled, statement, parameters), self._sealer, fields)
        user = user_from_row(run(pooled, _CREATE, (*given, *origin))[0], self._sealer)
        idempotency.settle(pooled, key, user.id)
        return user

    def ping(self, timeout_s: float) -> None:
        """Returns when the database answers; waits for a free connection at most `timeout_s`."""
        self._invocations.timed("ping", self._ping, timeout_s)

    def _ping(self, timeout_s: float) -> None:
        with self._pool.lend(timeout_s) as pooled:
            run(pooled, _PING)


def _as_created(fields: UserFields, user_id: int, at: datetime) -> User:
    """The user that these fields made, as it was then: all else of a new row is its id and the moment."""
    return User(
        id=user_id,
        name=fields.name,
        email=fields.email,
        status=fields.status,
        created_at=at,
        updated_at=at,
        version=1,
    )
