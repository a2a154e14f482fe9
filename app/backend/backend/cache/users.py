"""Users in Redis, as clients get them: key `user:{<id>}`, five minutes. The braces are literal: they make the hash tag
that keeps a user's keys on one shard."""

from __future__ import annotations

from backend.cache.versioned import Form
from backend.entities import UserCopy
from backend.sealing import CannotOpen, Sealer

TTL_S = 300


def user_key(user_id: int) -> bytes:
    """The key of one user."""
    return b"user:{%d}" % user_id


def users_form(sealer: Sealer) -> Form[UserCopy]:
    """How copies of users are kept: sealed, where names and addresses are in the database."""

    def write(copy: UserCopy) -> bytes:
        return sealer.seal_copy(copy.id, copy.body)

    def read(user_id: int, version: int, text: bytes) -> UserCopy:
        try:
            body = sealer.open_copy(user_id, text)
        except CannotOpen as error:
            raise ValueError from error
        # What another release left there, or anybody else, is no copy.
        if not (body.startswith(b'{"id":%d,' % user_id) and body.endswith(b"}")):
            raise ValueError(body)
        return UserCopy(id=user_id, version=version, body=body)

    return Form("users", user_key, TTL_S, write, read)
