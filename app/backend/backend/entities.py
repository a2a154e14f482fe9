"""What the service is about, free of HTTP, SQL and Redis."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

STATUSES = ("active", "inactive", "suspended")
SORTS = ("created_at", "-created_at", "updated_at", "-updated_at", "name", "-name")  # "-": the greatest first
NEWEST_FIRST = "-created_at"


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
class UserCopy:
    """A user as clients get it: JSON, ready to be sent."""

    id: int
    version: int
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class UserFields:
    """What a client decides about a user, already validated."""

    name: str
    email: str
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UserChange:
    """Some of what a client decides about a user, already validated; None stays as it is."""

    name: str | None
    email: str | None
    status: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestKey:
    """What tells that a request is sent again: whose it is, the hash of the key, and the fingerprint of its content."""

    owner: str
    key_hash: bytes
    fingerprint: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Which users a list has, and in which order. None does not narrow it."""

    sort: str = NEWEST_FIRST  # one of SORTS
    statuses: tuple[str, ...] | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None  # the first moment that is too late
    search: str | None = None  # an e-mail address, or beginnings of words of the name


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a list: what it is sorted by, and the id, which decides between equals."""

    key: datetime | str
    id: int


@dataclass(frozen=True, slots=True)
class Page:
    """A stretch of a list; it continues after `end`, which is None for the last one."""

    users: tuple[User, ...]
    end: Position | None


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


ANONYMOUS = Caller(user_id=None, role="")
