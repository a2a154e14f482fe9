"""What the service is about, free of HTTP, SQL and Redis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

STATUSES = ("active", "inactive", "suspended")
SORTS = ("created_at", "-created_at", "updated_at", "-updated_at", "name", "-name")  # "-": the greatest first
NEWEST_FIRST = "-created_at"


class User(NamedTuple):
    """One stored user. Times are aware, in UTC."""

    id: int
    name: str
    email: str
    status: str
    created_at: datetime
    updated_at: datetime
    version: int  # counts the writes to this row, from 1; a cached copy is as fresh as its version


class UserCopy(NamedTuple):
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


class Caller(NamedTuple):
    """Who asks. Without a user id: somebody unknown, who may only do what everybody may."""

    user_id: int | None
    role: str
    login: str = ""


ANONYMOUS = Caller(user_id=None, role="")


class Origin(NamedTuple):
    """Where a change or a look comes from: who asks, None where nobody knows, and the request's correlation id."""

    actor: int | None = None
    correlation_id: str | None = None


# What the audit log tells of. Looks at data are told of only where it is somebody else's.
ACTIONS = (
    "user.created",
    "user.registered",
    "user.changed",
    "user.deleted",
    "user.read",
    "user.exported",
    "users.listed",
    "role.changed",
    "password.changed",
    "login",
    "login.failed",
    "logout",
    "refresh.reused",
    "audit.listed",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One entry of the audit log; `actor` and `subject` are ids of users, who may be gone."""

    id: str  # a UUID
    at: datetime
    action: str  # one of ACTIONS
    actor: int | None
    subject: int | None
    correlation_id: str | None
    details: Mapping[str, Any]  # never personal data


class AuditLook(NamedTuple):
    """Somebody looked at data, as it is to be noted; `at`: seconds since the epoch. All else is as in an entry."""

    id: str
    at: float
    action: str
    actor: int | None
    subject: int | None
    correlation_id: str | None
    details: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditListing:
    """Which entries of the audit log are asked for, the latest first. None does not narrow it."""

    subject: int | None = None
    actor: int | None = None
    actions: tuple[str, ...] | None = None
    since: datetime | None = None
    until: datetime | None = None  # the first moment that is too late


@dataclass(frozen=True, slots=True)
class AuditPosition:
    """A place in the audit log."""

    at: datetime
    id: str


@dataclass(frozen=True, slots=True)
class AuditPage:
    """A stretch of the audit log; it continues after `end`, which is None for the last one."""

    entries: tuple[AuditEntry, ...]
    end: AuditPosition | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A login that may still be refreshed."""

    id: str  # a UUID
    used_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatableRequest:
    """A request with an Idempotency-Key: when it came, and which user it created."""

    at: datetime
    user_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UserExport:
    """Everything that is stored of one user; `role` is None without an account."""

    user: User
    role: str | None
    logins: tuple[Login, ...]
    requests: tuple[RepeatableRequest, ...]
    entries: tuple[AuditEntry, ...]
