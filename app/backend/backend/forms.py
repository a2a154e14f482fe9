"""How a user is written: the same text for clients and for the cache, so that a copy is passed on as it is."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from json.encoder import encode_basestring
from typing import Any

from backend.entities import User, UserCopy

_quoted = encode_basestring  # a text as JSON has it, what is no ASCII as it is


def time_text(value: datetime) -> str:
    """In UTC, RFC 3339."""
    return value.astimezone(UTC).isoformat("T", "microseconds")[:26] + "Z"


def user_to_json(user: User) -> dict[str, Any]:
    """A user as clients see it."""
    return {
        "id": user.id,
        "name": user.name,
        "email": user.email,
        "status": user.status,
        "created_at": time_text(user.created_at),
        "updated_at": time_text(user.updated_at),
    }


def to_json(body: object) -> bytes:
    """JSON without superfluous spaces, in UTF-8."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def copy_of(
    user_id: int, version: int, name: str, email: str, status: str, created_at: str, updated_at: str
) -> UserCopy:
    """A user as it is handed out: what `to_json` makes of `user_to_json`, in a tenth of the time. Times are as
    `time_text` writes them."""
    text = (
        f'{{"id":{user_id},"name":{_quoted(name)},"email":{_quoted(email)},"status":"{status}",'
        f'"created_at":"{created_at}","updated_at":"{updated_at}"}}'
    )
    return tuple.__new__(UserCopy, (user_id, version, text.encode()))
