"""What the service is about, free of HTTP, SQL and Redis."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

STATUSES = ("active", "inactive", "suspended")


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """One stored user. Times are aware, in UTC."""

    id: int
    name: str
    email: str
    status: str
    created_at: datetime
    updated_at: datetime
    version: int  # counts the writes to this row, from 1; a cached copy is as fresh as its version


@dataclass(frozen=True, slots=True, kw_only=True)
class UserFields:
    """What a client decides about a user, already validated."""

    name: str
    email: str
    status: str


@dataclass(frozen=True, slots=True)
class Page:
    """A stretch of the user list, newest first; `next_cursor` continues it, None at its end."""

    users: tuple[User, ...]
    next_cursor: int | None


ROLES = ("user", "auditor", "admin")


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What of a user decides whether a token still holds, and what it allows. `logins`: those not logged out."""

    id: int  # the user's
    role: str
    active: bool
    logins: frozenset[str]
    version: int  # counts what changed of all this


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What a login needs of an account."""

    user_id: int
    password: str  # argon2id, in PHC's string format
    active: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks. Without a user id: somebody unknown, who may only do what everybody may."""

    user_id: int | None
    role: str
    login: str = ""
    by_cookie: bool = False


ANONYMOUS = Caller(user_id=None, role="")
