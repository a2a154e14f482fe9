"""The audit log in PostgreSQL: who did what to whom. Writes are noted by the statements that make them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC
from typing import Any

from backend.entities import AuditEntry, AuditListing, AuditLook, AuditPage, AuditPosition
from backend.observability.metrics import Timer
from backend.repository.access import Rows, read, write
from backend.repository.invocations import Invocations
from backend.repository.pool import Pool
from backend.repository.statements import Statement

COLUMNS = "id, at, action, actor, subject, correlation_id, details"


def noting(
    action: str, source: str, first: int, *, actor: str = "", subject: str = "id", details: str = "'{}'::jsonb"
) -> str:
    """A part of a WITH list that makes an entry for each row of `source`, another part of it.

    `$first` is the statement's parameter for the actor (bigint), the one after it for the correlation id (text).
    `actor`, `subject` and `details` are SQL over the source's columns.
    """
    return (
        f"noted AS (INSERT INTO audit_log (action, actor, subject, correlation_id, details)"
        f" SELECT '{action}', {actor or f'${first}'}, {subject}, ${first + 1}, {details} FROM {source})"
    )


# Sent again after an answer was lost, it adds nothing: the entries have their ids already.
_APPEND = Statement(
    "audit_append",
    ("jsonb",),
    f"INSERT INTO audit_log ({COLUMNS}) SELECT (look->>0)::uuid, to_timestamp((look->>1)::float8), look->>2,"
    " (look->>3)::bigint, (look->>4)::bigint, look->>5, look->6 FROM jsonb_array_elements($1) AS look"
    " ON CONFLICT DO NOTHING RETURNING true",
)
_LIST = Statement(
    "audit_list",
    ("timestamptz", "uuid", "bigint", "bigint", "text[]", "timestamptz", "timestamptz", "integer"),
    f"SELECT {COLUMNS} FROM audit_log WHERE ($1 IS NULL OR (at, id) < ($1, $2)) AND ($3 IS NULL OR subject = $3)"
    " AND ($4 IS NULL OR actor = $4) AND ($5 IS NULL OR action = ANY ($5)) AND ($6 IS NULL OR at >= $6)"
    " AND ($7 IS NULL OR at < $7) ORDER BY at DESC, id DESC LIMIT $8",
    planned_each_time=True,
)
_KEEP = Statement("audit_keep", ("integer",), "SELECT made, dropped FROM audit_log_keep($1)")


def entry_from_row(row: Sequence[Any]) -> AuditEntry:
    """A row of `COLUMNS` as an entry."""
    at = row[1].astimezone(UTC)
    return AuditEntry(
        id=str(row[0]), at=at, action=row[2], actor=row[3], subject=row[4], correlation_id=row[5], details=row[6]
    )


class AuditRepository:
    """Reads and extends the audit log. Methods raise DatabaseUnavailable."""

    def __init__(self, pool: Pool, invocations: Timer) -> None:
        self._pool = pool
        self._invocations = Invocations(invocations, "AuditRepository")

    def _timed(
        self, send: Callable[..., Rows], method: str, statement: Statement, parameters: Sequence[object]
    ) -> Rows:
        return self._invocations.timed(method, send, self._pool, statement, parameters)

    def append(self, looks: Sequence[AuditLook]) -> None:
        """Adds entries about looks at data; those that are there already stay as they are."""
        self._timed(write, "append", _APPEND, (json.dumps(looks),))

    def list(self, listing: AuditListing, limit: int, after: AuditPosition | None = None) -> AuditPage:
        """At most `limit` entries, the latest first, those after a position or the first ones."""
        place = (after.at, after.id) if after is not None else (None, None)
        actions = list(listing.actions) if listing.actions is not None else None
        narrowed = (listing.subject, listing.actor, actions, listing.since, listing.until)
        # One more than asked for tells whether there is a next page.
        rows = self._timed(read, "list", _LIST, (*place, *narrowed, limit + 1))
        entries = tuple(entry_from_row(row) for row in rows[:limit])
        return AuditPage(entries, AuditPosition(entries[-1].at, entries[-1].id) if len(rows) > limit else None)

    def keep(self, retention_months: int) -> tuple[Sequence[str], Sequence[str]]:
        """Makes the partitions of this month and the next two, and drops those of months that are over for longer than
        the retention; the names of both."""
        ((made, dropped),) = self._timed(write, "keep", _KEEP, (retention_months,))
        return made, dropped
