"""Sealed values: what they give away, and where they open."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
from typing import Any

import pytest
from backend.keys import Key, pii_keys_from_json
from backend.sealing import PLAIN, CannotOpen, Sealed, sealer_of

from app.backend.tests.conftest import BACKEND
from app.backend.tests.parts import Clock

INDEX, OLD, NEW = Key("index", b"i" * 32), Key("old", b"o" * 32), Key("new", b"n" * 40, 2000.0)


@pytest.mark.parametrize("text", ["Ada", "王 小明", "x" * 254, "", "🦊", "\x01old:nothing of the kind"])
def test_a_sealed_text_opens_and_shows_nothing_of_itself(text: str) -> None:
    sealer = Sealed([INDEX, OLD])
    first, second = sealer.seal("name", 7, text), sealer.seal("name", 7, text)
    assert sealer.open("name", 7, first) == sealer.open("name", 7, second) == text
    assert first != second, "each has a nonce of its own"
    assert first.startswith("\x01old:")
    assert len(text) < 5 or (text not in first and text.encode() not in base64.b64decode(first[5:]))


@pytest.mark.parametrize(("column", "user_id"), [("email", 7), ("name", 8), ("name", 77)])
def test_it_opens_nowhere_else(column: str, user_id: int) -> None:
    sealer = Sealed([INDEX, OLD])
    with pytest.raises(CannotOpen, match="was not sealed for this place"):
        sealer.open(column, user_id, sealer.seal("name", 7, "Ada"))


def test_one_bit_more_or_less_and_it_does_not_open() -> None:
    sealer = Sealed([INDEX, OLD])
    stored = sealer.seal("name", 7, "Ada")
    content = base64.b64decode(stored[5:])
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1
        with pytest.raises(CannotOpen):
            sealer.open("name", 7, stored[:5] + base64.b64encode(bytes(changed)).decode())
    for broken in (stored[:-4], stored[:5], "\x01old", "\x01old:%%%"):
        with pytest.raises(CannotOpen):
            sealer.open("name", 7, broken)


def test_a_key_that_is_gone_is_named() -> None:
    stored = Sealed([INDEX, OLD]).seal("name", 7, "Ada")
    with pytest.raises(CannotOpen, match="the name of user 7 is sealed with the key old, which is not in PII_KEYS"):
        Sealed([INDEX, NEW]).open("name", 7, stored)
    with pytest.raises(CannotOpen, match="the name of user 7 is sealed, and PII_KEYS is not set"):
        PLAIN.open("name", 7, stored)


def test_a_key_seals_from_its_time_on_and_opens_before_and_after() -> None:
    clock = Clock()
    sealer = Sealed([INDEX, NEW], clock)
    assert (sealer.seal("name", 7, "Ada"), sealer.prefix) == ("Ada", "")
    both = Sealed([INDEX, OLD, NEW], clock)
    before = both.seal("name", 7, "Ada")
    clock.now = 2000.0
    after = both.seal("name", 7, "Ada")
    assert (before[:5], after[:5]) == ("\x01old:", "\x01new:")
    assert [sealer.open("name", 7, after), both.open("name", 7, before), both.open("name", 7, "Ada")] == ["Ada"] * 3


BODY = b'{"id":7,"name":"Ada Lovelace"}'


def test_a_copy_opens_for_its_user_only_and_shows_nothing_of_itself() -> None:
    sealer = Sealed([INDEX, OLD])
    first, second = sealer.seal_copy(7, BODY), sealer.seal_copy(7, BODY)
    assert sealer.open_copy(7, first) == sealer.open_copy(7, second) == BODY
    assert first != second, "each has a nonce of its own"
    assert first.startswith(b"\x01old:")
    assert b"Ada" not in first
    with pytest.raises(CannotOpen):
        sealer.open_copy(77, first)


def test_of_a_copy_no_bit_can_be_changed() -> None:
    sealer = Sealed([INDEX, OLD])
    stored = sealer.seal_copy(7, BODY)
    for place in range(1, len(stored)):
        changed = bytearray(stored)
        changed[place] ^= 1
        with pytest.raises(CannotOpen):
            sealer.open_copy(7, bytes(changed))
    for broken in (stored[:-1], stored[:12], stored[:5], b"\x01old", b"\x01\xff:", b"\x01"):
        with pytest.raises(CannotOpen):
            sealer.open_copy(7, broken)


def test_copies_are_sealed_from_a_keys_time_on_and_for_who_has_it() -> None:
    clock = Clock()
    both, alone = Sealed([INDEX, OLD, NEW], clock), Sealed([INDEX, NEW], clock)
    assert (alone.seal_copy(7, BODY), alone.open_copy(7, BODY)) == (BODY, BODY)
    before = both.seal_copy(7, BODY)
    clock.now = 2000.0
    after = both.seal_copy(7, BODY)
    assert (before[:5], after[:5]) == (b"\x01old:", b"\x01new:")
    assert both.open_copy(7, before) == alone.open_copy(7, after) == BODY
    for sealer in (alone, PLAIN):
        with pytest.raises(CannotOpen):
            sealer.open_copy(7, before)
    assert PLAIN.open_copy(7, PLAIN.seal_copy(7, BODY)) == BODY


def test_marks_stay_whatever_key_seals_and_tell_kinds_apart() -> None:
    one, other = Sealed([INDEX, OLD]), Sealed([INDEX, NEW, OLD])
    assert one.email_mark("Ada@Example.com") == other.email_mark("ada@example.com") != one.email_mark("bob@example.com")
    assert one.name_mark("Ada") != one.name_mark("ada")
    assert one.word_marks(["a", "ad"]) == other.word_marks(["a", "ad"])
    assert one.name_mark("a") != one.email_mark("a")
    assert one.email_mark("a") != Sealed([Key("index", b"j" * 32), OLD]).email_mark("a")


def test_the_mark_of_an_address_is_an_hmac_of_it_in_lower_case_under_a_key_derived_for_that() -> None:
    def mac(key: bytes, content: bytes) -> bytes:
        padded = key.ljust(64, b"\0")
        inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in padded) + content).digest()
        return hashlib.sha256(bytes(byte ^ 0x5C for byte in padded) + inner).digest()

    assert Sealed([INDEX, OLD]).email_mark("Ada@example.com") == mac(mac(b"i" * 32, b"pii email"), b"ada@example.com")


def _json(*keys: dict[str, Any]) -> str:
    return json.dumps([{"key": base64.b64encode(b"k" * 32).decode()} | key for key in keys])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("secret", "it is not JSON"),
        (_json({"kid": "index"}), 'there must be a key with the kid "index", and one or more that seal'),
        (_json({"kid": "a"}, {"kid": "b"}), 'there must be a key with the kid "index", and one or more that seal'),
        (
            _json({"kid": "index", "signs_from": "2026-01-01T00:00:00Z"}, {"kid": "a"}),
            'the key "index" never changes: it has no signs_from',
        ),
        (_json({"kid": "index"}, {"kid": "a", "key": "c2hvcnQ="}), r"key 2 \(a\) has 5 bytes, not at least 32"),
    ],
)
def test_keys_that_are_of_no_use_are_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        pii_keys_from_json(text)


def test_all_sealing_keys_may_begin_later() -> None:
    keys = pii_keys_from_json(_json({"kid": "index"}, {"kid": "a", "signs_from": "2999-01-01T00:00:00Z"}))
    assert sealer_of(keys).seal("name", 1, "Ada") == "Ada"


def test_who_has_no_keys_loads_nothing_for_them() -> None:
    asked = "import sys, backend.assembly; sys.exit('cryptography' in sys.modules)"
    subprocess.run([sys.executable, "-c", asked], env={"PYTHONPATH": str(BACKEND)}, check=True)
    assert sealer_of(()) is PLAIN
