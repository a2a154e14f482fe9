"""Users in Redis: key `user:{<id>}`, five minutes. The braces are literal: they make the hash tag that keeps a user's
keys on one shard."""

from __future__ import annotations

import json
from datetime import datetime

from backend.cache.versioned import Form
from backend.entities import User

TTL_S = 300


def user_key(user_id: int) -> bytes:
    """The key of one user."""
    return b"user:{%d}" % user_id


def _write(user: User) -> bytes:
    return json.dumps(
        [user.id, user.name, user.email, user.status, user.created_at.isoformat(), user.updated_at.isoformat()],
        ensure_ascii=False,
    ).encode()


def _read(version: int, text: bytes) -> User:
    user_id, name, email, status, created_at, updated_at = json.loads(text)
    return User(
        id=user_id,
        name=name,
        email=email,
        status=status,
        created_at=datetime.fromisoformat(created_at),
        updated_at=datetime.fromisoformat(updated_at),
        version=version,
    )


USERS = Form("users", user_key, TTL_S, _write, _read)
