"""How a user is written: the same text for clients and for the cache, so that a copy is passed on as it is."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from backend.entities import User, UserCopy


def time_text(value: datetime) -> str:
    """In UTC, RFC 3339."""
    return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


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


def copy_of(user: User) -> UserCopy:
    """The user as it is handed out."""
    return UserCopy(id=user.id, version=user.version, body=to_json(user_to_json(user)))
