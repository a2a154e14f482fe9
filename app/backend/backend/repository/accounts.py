"""Accounts and their logins in PostgreSQL. Every method is one statement, hence one transaction.

A statement that writes also notes it in the audit log.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import psycopg2.errors

from backend.entities import Credentials, Origin, Session, User, UserFields
from backend.observability.metrics import Timer
from backend.repository.access import Rows, read, write
from backend.repository.audit import noting
from backend.repository.invocations import Invocations
from backend.repository.personal import email_taken, of_new
from backend.repository.pool import Pool
from backend.repository.replicas import Replicas
from backend.repository.statements import Statement
from backend.repository.users import COLUMNS, INSERT, INSERT_TYPES, user_from_row
from backend.sealing import PLAIN, Sealer

LOGINS_MAX = 10  # of one user at a time; the one unused for longest gives way
REPEAT_WITHIN = "10 seconds"  # a refresh whose answer was lost may be sent again for this long

_REGISTER = Statement(
    "accounts_register",
    (*INSERT_TYPES, "text", "bigint", "text"),
    f"WITH made AS ({INSERT}), account AS (INSERT INTO accounts (user_id, password) SELECT id, $8 FROM made),"
    f" {noting('user.registered', 'made', 9, actor='coalesce($9, id)')} SELECT {COLUMNS} FROM made",
)
_CREDENTIALS = Statement(
    "accounts_credentials",
    ("text", "bytea"),
    "SELECT a.user_id, a.password, u.status = 'active' FROM users u JOIN accounts a ON a.user_id = u.id"
    " WHERE lower(u.email) = lower($1) OR u.email_mark = $2",
)
_PASSWORD = Statement("accounts_password", ("bigint",), "SELECT password FROM accounts WHERE user_id = $1")
_SESSION = Statement(
    "accounts_session",
    ("bigint",),
    "SELECT a.user_id, a.role, u.status = 'active', a.version,"
    " array(SELECT replace(l.id::text, '-', '') FROM logins l WHERE l.user_id = a.user_id AND l.expires_at > now())"
    " FROM accounts a JOIN users u ON u.id = a.user_id WHERE a.user_id = $1",
)
_VERSION = Statement("accounts_version", ("bigint",), "SELECT version FROM accounts WHERE user_id = $1")
# The password that was verified is still the account's: a change of it meanwhile wins.
_LOG_IN = Statement(
    "accounts_log_in",
    ("uuid", "bigint", "text", "integer", "bigint", "text"),
    "WITH account AS (UPDATE accounts SET version = version + 1 WHERE user_id = $2 AND password = $3"
    " RETURNING user_id, version),"
    " made AS (INSERT INTO logins (id, user_id, expires_at) SELECT $1, user_id, now() + $4 * interval '1 second'"
    " FROM account),"
    " gone AS (DELETE FROM logins WHERE user_id IN (SELECT user_id FROM account) AND (expires_at <= now() OR id IN"
    f" (SELECT id FROM logins WHERE user_id = $2 ORDER BY rotated_at DESC OFFSET {LOGINS_MAX - 1}))),"
    f" {noting('login', 'account', 5, actor='coalesce($5, user_id)', subject='user_id')} SELECT version FROM account",
)
_ROTATE = Statement(
    "logins_rotate",
    ("uuid", "integer", "integer"),
    "UPDATE logins SET serial = serial + 1, rotated_at = now(), expires_at = now() + $3 * interval '1 second'"
    " WHERE id = $1 AND serial = $2 AND expires_at > now() RETURNING user_id, serial",
)
_ROTATED_JUST_NOW = Statement(
    "logins_rotated_just_now",
    ("uuid", "integer"),
    f"SELECT user_id, serial FROM logins WHERE id = $1 AND serial = $2 + 1 AND expires_at > now()"
    f" AND rotated_at > now() - interval '{REPEAT_WITHIN}'",
)


def _log_out(name: str, action: str) -> Statement:
    return Statement(
        name,
        ("uuid", "bigint", "text"),
        "WITH gone AS (DELETE FROM logins WHERE id = $1 RETURNING user_id),"
        " account AS (UPDATE accounts a SET version = version + 1 FROM gone WHERE a.user_id = gone.user_id"
        f" RETURNING a.user_id, a.version), {noting(action, 'account', 2, subject='user_id')}"
        " SELECT user_id, version FROM account",
    )


_LOG_OUT = _log_out("accounts_log_out", "logout")
_REFRESH_REUSED = _log_out("accounts_refresh_reused", "refresh.reused")
_EVERYWHERE = "jsonb_build_object('everywhere', true)"
_LOG_OUT_EVERYWHERE = Statement(
    "accounts_log_out_everywhere",
    ("bigint", "bigint", "text"),
    "WITH gone AS (DELETE FROM logins WHERE user_id = $1),"
    " account AS (UPDATE accounts SET version = version + 1 WHERE user_id = $1 RETURNING user_id, version),"
    f" {noting('logout', 'account', 2, subject='user_id', details=_EVERYWHERE)}"
    " SELECT user_id, version FROM account",
)
_CHANGE_PASSWORD = Statement(
    "accounts_change_password",
    ("bigint", "text", "text", "uuid", "bigint", "text"),
    "WITH account AS (UPDATE accounts SET password = $3, version = version + 1 WHERE user_id = $1 AND password = $2"
    " RETURNING user_id, version),"
    " gone AS (DELETE FROM logins WHERE user_id IN (SELECT user_id FROM account) AND id IS DISTINCT FROM $4),"
    f" {noting('password.changed', 'account', 5, subject='user_id')} SELECT version FROM account",
)
_SET_PASSWORD = Statement(
    "accounts_set_password",
    ("bigint", "text", "bigint", "text"),
    "WITH gone AS (DELETE FROM logins WHERE user_id = $1),"
    " account AS (INSERT INTO accounts (user_id, password) VALUES ($1, $2) ON CONFLICT (user_id)"
    " DO UPDATE SET password = $2, version = accounts.version + 1 RETURNING user_id, version),"
    f" {noting('password.changed', 'account', 3, subject='user_id')} SELECT version FROM account",
)
_REHASH = Statement(
    "accounts_rehash",
    ("bigint", "text", "text"),
    "UPDATE accounts SET password = $3 WHERE user_id = $1 AND password = $2 RETURNING version",
)
_NEW_ROLE = "jsonb_build_object('role', role)"
_SET_ROLE = Statement(
    "accounts_set_role",
    ("bigint", "text", "bigint", "text"),
    "WITH account AS (UPDATE accounts SET role = $2, version = version + 1 WHERE user_id = $1"
    " RETURNING user_id, role, version),"
    f" {noting('role.changed', 'account', 3, subject='user_id', details=_NEW_ROLE)}"
    " SELECT version FROM account",
)
_ID_OF = Statement(
    "users_id_of", ("text", "bytea"), "SELECT id FROM users WHERE lower(email) = lower($1) OR email_mark = $2"
)


class AccountRepository:
    """Reads and writes accounts. Methods raise DatabaseUnavailable; `register` also Conflict.

    A `version` that they return is the account's after the write; None: there is no such account or login.
    """

    def __init__(
        self, pool: Pool, invocations: Timer, replicas: Replicas | None = None, sealer: Sealer = PLAIN
    ) -> None:
        self._pool = pool
        self._sealer = sealer
        self._invocations = Invocations(invocations, "AccountRepository")
        self._replicas = replicas or Replicas()

    def _read(self, method: str, statement: Statement, *parameters: object) -> tuple[Any, ...] | None:
        """The row, always from the primary: who is locked out is so at once."""
        return self._timed(read, method, statement, parameters)

    def _write(self, method: str, statement: Statement, *parameters: object) -> tuple[Any, ...] | None:
        """The row that the statement gives back."""
        return self._timed(write, method, statement, parameters)

    def _timed(
        self, send: Callable[..., Rows], method: str, statement: Statement, parameters: Sequence[object]
    ) -> tuple[Any, ...] | None:
        rows = self._invocations.timed(method, send, self._pool, statement, parameters)
        return rows[0] if rows else None

    def register(self, fields: UserFields, password: str, origin: Origin) -> User:
        """The new user, with an account."""
        try:
            given = of_new(lambda statement, values: write(self._pool, statement, values), self._sealer, fields)
            row = self._write("register", _REGISTER, *given, password, *origin)
        except psycopg2.errors.UniqueViolation:
            raise email_taken() from None
        assert row is not None
        self._replicas.wrote(row[0])
        return user_from_row(row, self._sealer)

    def credentials(self, email: str) -> Credentials | None:
        """What a login with this address has to know."""
        row = self._read("credentials", _CREDENTIALS, email, self._sealer.email_mark(email))
        return Credentials(user_id=row[0], password=row[1], active=row[2]) if row else None

    def password(self, user_id: int) -> str | None:
        """The stored password of an account."""
        row = self._read("password", _PASSWORD, user_id)
        return str(row[0]) if row else None

    def session(self, user_id: int) -> Session | None:
        """What decides over the user's tokens."""
        row = self._read("session", _SESSION, user_id)
        if row is None:
            return None
        return Session(id=row[0], role=row[1], active=row[2], version=row[3], logins=frozenset(row[4]))

    def version(self, user_id: int) -> int | None:
        """The account's version."""
        return _number(self._read("version", _VERSION, user_id))

    def log_in(self, login: str, credentials: Credentials, ttl_s: int, origin: Origin) -> int | None:
        """Stores a login; None where the password was changed meanwhile."""
        given = (login, credentials.user_id, credentials.password, ttl_s, *origin)
        return _number(self._write("log_in", _LOG_IN, *given))

    def rotate(self, login: str, serial: int, ttl_s: int) -> tuple[int, int] | None:
        """(user id, new serial) where `serial` is the login's; also once more shortly after that, for lost answers."""
        row = self._write("rotate", _ROTATE, login, serial, ttl_s) or self._read(
            "rotated_just_now", _ROTATED_JUST_NOW, login, serial
        )
        return (row[0], row[1]) if row else None

    def log_out(self, login: str, origin: Origin, *, reused: bool = False) -> tuple[int, int] | None:
        """(user id, version) of the account whose login this was. `reused`: an old refresh token of it came back."""
        row = self._write("log_out", _REFRESH_REUSED if reused else _LOG_OUT, login, *origin)
        return (row[0], row[1]) if row else None

    def log_out_everywhere(self, user_id: int, origin: Origin) -> tuple[int, int] | None:
        """The same for all logins of a user."""
        row = self._write("log_out_everywhere", _LOG_OUT_EVERYWHERE, user_id, *origin)
        return (row[0], row[1]) if row else None

    def change_password(self, user_id: int, stored: str, new: str, but: str, origin: Origin) -> int | None:
        """Another password, and the end of all logins but one; None where `stored` is not the password any more."""
        return _number(self._write("change_password", _CHANGE_PASSWORD, user_id, stored, new, but, *origin))

    def set_password(self, user_id: int, new: str, origin: Origin) -> int | None:
        """A password for a user, who has an account from then on; all logins end."""
        return _number(self._write("set_password", _SET_PASSWORD, user_id, new, *origin))

    def rehash(self, user_id: int, stored: str, new: str) -> None:
        """The same password with other figures; nothing where it was changed meanwhile."""
        self._write("rehash", _REHASH, user_id, stored, new)

    def set_role(self, user_id: int, role: str, origin: Origin) -> int | None:
        """Another role."""
        return _number(self._write("set_role", _SET_ROLE, user_id, role, *origin))

    def id_of(self, email: str) -> int | None:
        """The id of the user with this address."""
        return _number(self._read("id_of", _ID_OF, email, self._sealer.email_mark(email)))


def _number(row: tuple[Any, ...] | None) -> int | None:
    return int(row[0]) if row else None
