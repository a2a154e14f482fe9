"""Users in Redis, as clients get them: key `user:{<id>}`, five minutes. The braces are literal: they make the hash tag
that keeps a user's keys on one shard."""

from __future__ import annotations

from backend.cache.versioned import Form
from backend.entities import UserCopy

TTL_S = 300


def user_key(user_id: int) -> bytes:
    """The key of one user."""
    return b"user:{%d}" % user_id


def _write(copy: UserCopy) -> bytes:
    return copy.body


def _read(user_id: int, version: int, text: bytes) -> UserCopy:
    # What another release left there, or anybody else, is no copy.
    if not (text.startswith(b'{"id":%d,' % user_id) and text.endswith(b"}")):
        raise ValueError(text)
    return UserCopy(id=user_id, version=version, body=text)


USERS = Form("users", user_key, TTL_S, _write, _read)
