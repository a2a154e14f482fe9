"""Everything that is stored of one user, read by one statement: all of it as it was at one moment."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from backend.entities import AuditEntry, Login, RepeatableRequest, UserExport
from backend.observability.metrics import Timer
from backend.repository.access import read
from backend.repository.invocations import Invocations
from backend.repository.pool import Pool
from backend.repository.statements import Statement
from backend.repository.users import COLUMNS, user_from_row
from backend.sealing import Sealer

_EXPORT = Statement(
    "users_export",
    ("bigint",),
    f"SELECT {COLUMNS}, (SELECT role FROM accounts WHERE user_id = $1),"
    " (SELECT coalesce(jsonb_agg(jsonb_build_object('id', id, 'used_at', rotated_at, 'expires_at', expires_at)"
    " ORDER BY rotated_at), '[]') FROM logins WHERE user_id = $1),"
    " (SELECT coalesce(jsonb_agg(jsonb_build_object('at', created_at, 'user_id', user_id) ORDER BY created_at), '[]')"
    " FROM idempotency_keys WHERE owner = $1::text),"
    " (SELECT coalesce(jsonb_agg(to_jsonb(a) ORDER BY at, id), '[]') FROM audit_log a WHERE subject = $1)"
    " FROM users WHERE id = $1",
)


class ExportRepository:
    """Methods raise DatabaseUnavailable."""

    def __init__(self, pool: Pool, invocations: Timer, sealer: Sealer) -> None:
        self._pool = pool
        self._sealer = sealer
        self._invocations = Invocations(invocations, "ExportRepository")

    def export(self, user_id: int) -> UserExport | None:
        """What is stored of the user, None where there is none. From the primary: nothing is missing."""
        rows = self._invocations.timed("export", read, self._pool, _EXPORT, (user_id,))
        return export_from_row(rows[0], self._sealer) if rows else None


def export_from_row(row: tuple[Any, ...], sealer: Sealer) -> UserExport:
    """A row of the user's `COLUMNS`, role, logins, requests and entries."""
    *user, role, logins, requests, entries = row
    return UserExport(
        user=user_from_row(tuple(user), sealer),
        role=role,
        logins=tuple(
            Login(id=one["id"], used_at=_moment(one["used_at"]), expires_at=_moment(one["expires_at"]))
            for one in logins
        ),
        requests=tuple(RepeatableRequest(at=_moment(one["at"]), user_id=one["user_id"]) for one in requests),
        entries=tuple(AuditEntry(**{**one, "at": _moment(one["at"])}) for one in entries),
    )


def _moment(text: str) -> datetime:
    """A moment as PostgreSQL writes it into JSON, in the zone of the connection, which is UTC."""
    return datetime.fromisoformat(text)
