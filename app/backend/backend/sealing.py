"""Personal values as the database and Redis have them: sealed with AES-256-GCM, and found by marks, which are HMACs.

A sealed value is U+0001, the key's id, ":", then nonce, ciphertext and tag in base64. No name or address holds a
control character, so nothing that a client sends passes for one. A value opens only where it was sealed for: table,
column and user are its associated data. Copies in Redis are the same without base64. There are so many of them that
nonces drawn at random could repeat under one key, so each user's have a key of their own, derived from it.
"""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from backend.keys import INDEX_KID, Key

SEALED = "\x01"
_SEALED = SEALED.encode()
_NONCE_BYTES = 12
_WORD_BYTES = 12  # of the mark of a name's beginning: two are hardly ever alike, and a search would only find too much


class CannotOpen(Exception):
    """Something sealed whose key is not among PII_KEYS, or that was not sealed for the place where it was found."""


class Sealer(Protocol):
    """Makes stored values and reads them. Marks are None where there are no keys."""

    @property
    def has_keys(self) -> bool: ...
    @property
    def prefix(self) -> str: ...
    def seal(self, column: str, user_id: int, text: str) -> str: ...
    def open(self, column: str, user_id: int, stored: str) -> str: ...
    def seal_copy(self, user_id: int, body: bytes) -> bytes: ...
    def open_copy(self, user_id: int, stored: bytes) -> bytes: ...
    def email_mark(self, email: str) -> bytes | None: ...
    def name_mark(self, name: str) -> bytes | None: ...
    def word_marks(self, words: Sequence[str]) -> list[str] | None: ...


class Plain:
    """Without PII_KEYS: values are stored as they are."""

    has_keys = False
    prefix = ""

    def seal(self, column: str, user_id: int, text: str) -> str:
        """The text itself."""
        return text

    def open(self, column: str, user_id: int, stored: str) -> str:
        """The text itself. Raises CannotOpen for what was sealed while there were keys."""
        if stored.startswith(SEALED):
            raise CannotOpen(f"the {column} of user {user_id} is sealed, and PII_KEYS is not set")
        return stored

    def seal_copy(self, user_id: int, body: bytes) -> bytes:
        """The body itself."""
        return body

    def open_copy(self, user_id: int, stored: bytes) -> bytes:
        """The body itself. Raises CannotOpen for what a process with keys left there."""
        if stored.startswith(_SEALED):
            raise CannotOpen(f"the copy of user {user_id} is sealed, and PII_KEYS is not set")
        return stored

    def email_mark(self, email: str) -> bytes | None:
        """None."""
        return None

    def name_mark(self, name: str) -> bytes | None:
        """None."""
        return None

    def word_marks(self, words: Sequence[str]) -> list[str] | None:
        """None."""
        return None


class Sealed:
    """With PII_KEYS. What is stored as it is, is read as it is."""

    has_keys = True

    def __init__(self, keys: Sequence[Key], clock: Callable[[], float] = time.time) -> None:
        # Only who has keys pays for the import.
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._invalid: type[Exception] = InvalidTag
        (self._index,) = (key for key in keys if key.kid == INDEX_KID)
        self._keys = [key for key in keys if key.kid != INDEX_KID]
        self._by_kid = {key.kid: key for key in self._keys}
        self._aes_gcm = AESGCM
        self._ciphers: dict[str, Any] = {key.kid: AESGCM(key.mac(b"derive", b"pii seal")) for key in self._keys}
        self._clock = clock

    @property
    def prefix(self) -> str:
        """What all begins with that is sealed now; "" while the time of no key has come."""
        now = self._clock()
        come = [key for key in self._keys if key.signs_from <= now]
        return f"{SEALED}{max(come, key=lambda key: key.signs_from).kid}:" if come else ""

    def seal(self, column: str, user_id: int, text: str) -> str:
        """The value to store in a column of `users`."""
        prefix = self.prefix
        if not prefix:
            return text
        content = _encrypted(self._ciphers[prefix[1:-1]], text.encode(), _place(column, user_id))
        return prefix + base64.b64encode(content).decode()

    def open(self, column: str, user_id: int, stored: str) -> str:
        """The text of a stored value. Raises CannotOpen."""
        if not stored.startswith(SEALED):
            return stored
        kid, _, encoded = stored[1:].partition(":")
        cipher = self._ciphers.get(kid)
        if cipher is None:
            raise CannotOpen(f"the {column} of user {user_id} is sealed with the key {kid}, which is not in PII_KEYS")
        try:
            opened = _decrypted(cipher, base64.b64decode(encoded), _place(column, user_id))
        except (ValueError, self._invalid):
            raise CannotOpen(f"the {column} of user {user_id} was not sealed for this place") from None
        return opened.decode()

    def seal_copy(self, user_id: int, body: bytes) -> bytes:
        """What to keep of a user for others, in Redis."""
        prefix = self.prefix
        if not prefix:
            return body
        return prefix.encode() + _encrypted(self._copy_cipher(prefix[1:-1], user_id), body)

    def open_copy(self, user_id: int, stored: bytes) -> bytes:
        """The body of a copy. Raises CannotOpen."""
        if not stored.startswith(_SEALED):
            return stored
        kid, _, content = stored[1:].partition(b":")
        try:
            return _decrypted(self._copy_cipher(kid.decode(), user_id), content)
        except (KeyError, ValueError, self._invalid):
            raise CannotOpen(f"the copy of user {user_id} was not sealed for this place with a key of ours") from None

    def _copy_cipher(self, kid: str, user_id: int) -> Any:
        """Of one user's copies. Raises KeyError for a key that is not among ours."""
        return self._aes_gcm(self._by_kid[kid].mac(b"pii copy", b"%d" % user_id))

    def email_mark(self, email: str) -> bytes | None:
        """What an address is found by, whatever its case."""
        return self._index.mac(b"pii email", email.lower().encode())

    def name_mark(self, name: str) -> bytes | None:
        """What tells that a name is still the same."""
        return self._index.mac(b"pii name", name.encode())

    def word_marks(self, words: Sequence[str]) -> list[str] | None:
        """What the beginnings of a name's words are found by."""
        marks = (self._index.mac(b"pii word", word.encode()) for word in words)
        return [base64.b64encode(mark[:_WORD_BYTES]).decode() for mark in marks]


PLAIN: Sealer = Plain()


def sealer_of(keys: Sequence[Key]) -> Sealer:
    """The sealer of these PII_KEYS, of which there may be none."""
    return Sealed(keys) if keys else PLAIN


def _place(column: str, user_id: int) -> bytes:
    return f"users.{column}.{user_id}".encode()


def _encrypted(cipher: Any, content: bytes, place: bytes | None = None) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    sealed: bytes = cipher.encrypt(nonce, content, place)
    return nonce + sealed


def _decrypted(cipher: Any, sealed: bytes, place: bytes | None = None) -> bytes:
    content: bytes = cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], place)
    return content
