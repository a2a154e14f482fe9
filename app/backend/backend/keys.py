"""Signing keys: several at a time, each with an id, so that a new one can come without logging anybody out."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

KEY_MIN_BYTES = 32
INDEX_KID = "index"  # of the key in PII_KEYS that makes marks


@dataclass(frozen=True, slots=True)
class Key:
    """A secret under its id. It signs from `signs_from` on (seconds since the epoch), and verifies at any time."""

    kid: str
    secret: bytes = field(repr=False)
    signs_from: float = 0.0

    def mac(self, purpose: bytes, content: bytes) -> bytes:
        """A code that only this key makes; one made for one purpose means nothing for another."""
        return hmac.digest(hmac.digest(self.secret, purpose, "sha256"), content, "sha256")


def keys_from_json(text: str) -> tuple[Key, ...]:
    """Keys from `[{"kid": "…", "key": "<base64, 32 bytes or more>", "signs_from": "2026-12-01T00:00:00Z"}, …]`.

    Raises ValueError, whose message never holds a key.
    """
    try:
        given = json.loads(text)
    except ValueError:
        raise ValueError("it is not JSON") from None
    if not isinstance(given, list) or not given:
        raise ValueError("it is not a list of keys")
    keys = tuple(_key(number, one) for number, one in enumerate(given, 1))
    if len({key.kid for key in keys}) != len(keys):
        raise ValueError("two keys have the same kid")
    if all(key.signs_from > 0 for key in keys):
        raise ValueError("one key must be without signs_from: it signs until another's time has come")
    return keys


def pii_keys_from_json(text: str) -> tuple[Key, ...]:
    """The same for PII_KEYS: the one key called "index", which always stays, and those that seal."""
    keys = keys_from_json(text)
    index = [key for key in keys if key.kid == INDEX_KID]
    if len(index) != 1 or len(keys) < 2:
        raise ValueError(f'there must be a key with the kid "{INDEX_KID}", and one or more that seal')
    if index[0].signs_from:
        raise ValueError(f'the key "{INDEX_KID}" never changes: it has no signs_from')
    return keys


def _key(number: int, given: object) -> Key:
    if not isinstance(given, dict) or not given.keys() <= {"kid", "key", "signs_from"}:
        raise ValueError(f"key {number} is not an object of kid, key and, where wanted, signs_from")
    kid, encoded = given.get("kid"), given.get("key")
    # No dot: it parts the segments of tokens.
    if not (isinstance(kid, str) and kid.isascii() and kid.replace("-", "").replace("_", "").isalnum()):
        raise ValueError(f"the kid of key {number} is not made of letters, digits, - and _")
    try:
        secret = base64.b64decode(encoded if isinstance(encoded, str) else "", validate=True)
        since = given.get("signs_from")
        signs_from = 0.0 if since is None else datetime.fromisoformat(since)
    except (ValueError, TypeError):
        wanted = "key must be base64, signs_from a time like 2026-12-01T00:00:00Z"
        raise ValueError(f"key {number} ({kid}): {wanted}") from None
    if isinstance(signs_from, datetime):
        if signs_from.tzinfo is None:
            raise ValueError(f"key {number} ({kid}): signs_from has no time zone")
        signs_from = signs_from.timestamp()
    if len(secret) < KEY_MIN_BYTES:
        raise ValueError(f"key {number} ({kid}) has {len(secret)} bytes, not at least {KEY_MIN_BYTES}")
    return Key(kid, secret, signs_from)


class KeyRing:
    """The keys of one process."""

    def __init__(self, keys: Sequence[Key], clock: Callable[[], float] = time.time) -> None:
        self.by_kid = {key.kid: key for key in keys}
        self._keys = tuple(keys)
        self._clock = clock

    def signing(self) -> Key:
        """Of those whose time has come, the one whose time came last."""
        now = self._clock()
        return max((key for key in self._keys if key.signs_from <= now), key=lambda key: key.signs_from)
