"""Requests that may be sent again: what the first of them made, kept for a day.

Neither the key nor what the client sent is kept. The repeated request brings both again, and the fingerprint, made with
the key, tells that they are the same.
"""

from __future__ import annotations

from datetime import datetime

from backend.entities import RequestKey
from backend.errors import InProgress, KeyReused
from backend.repository.pool import Pooled
from backend.repository.statements import Statement, run

_KEPT = "interval '24 hours'"
PURGE_ROWS = 20  # more than the one that comes with each request, so that what has expired gets less

# Waits for a transaction that has noted the same key and is not at its end. One that has expired gives way.
_CLAIM = Statement(
    "idempotency_claim",
    ("text", "bytea", "bytea"),
    "INSERT INTO idempotency_keys AS noted (owner, key_hash, fingerprint) VALUES ($1, $2, $3)"
    " ON CONFLICT (owner, key_hash) DO UPDATE SET fingerprint = $3, user_id = NULL, created_at = now()"
    f" WHERE noted.created_at <= now() - {_KEPT} RETURNING true",
)
_RECALL = Statement(
    "idempotency_recall",
    ("text", "bytea"),
    "SELECT fingerprint, user_id, created_at FROM idempotency_keys WHERE owner = $1 AND key_hash = $2",
)
_SETTLE = Statement(
    "idempotency_settle",
    ("text", "bytea", "bigint"),
    "UPDATE idempotency_keys SET user_id = $3 WHERE owner = $1 AND key_hash = $2 RETURNING true",
)
_PURGE = Statement(
    "idempotency_purge",
    ("integer",),
    "DELETE FROM idempotency_keys WHERE (owner, key_hash) IN (SELECT owner, key_hash FROM idempotency_keys"
    f" WHERE created_at <= now() - {_KEPT} ORDER BY created_at LIMIT $1 FOR UPDATE SKIP LOCKED) RETURNING true",
)


def claim(pooled: Pooled, key: RequestKey) -> tuple[int, datetime] | None:
    """None for the first request with this key, which is now to be settled in the same transaction; else the id and
    the creation of the user that the first one made. Raises KeyReused where that was another request."""
    if run(pooled, _CLAIM, (key.owner, key.key_hash, key.fingerprint)):
        return None
    rows = run(pooled, _RECALL, (key.owner, key.key_hash))
    if not rows:
        raise InProgress  # it expired in this moment; sent once more, the request is the first one
    fingerprint, user_id, created_at = rows[0]
    if bytes(fingerprint) != key.fingerprint:
        raise KeyReused
    return user_id, created_at


def settle(pooled: Pooled, key: RequestKey, user_id: int) -> None:
    """Notes what the request made, and deletes a few notes that have expired."""
    run(pooled, _SETTLE, (key.owner, key.key_hash, user_id))
    # The last thing before the end, and past all that is locked: nobody waits for it, and it waits for nobody.
    run(pooled, _PURGE, (PURGE_ROWS,))
