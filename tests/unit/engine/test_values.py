"""References in text, unknowns and secrets."""

from __future__ import annotations

import pytest
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.errors import InvalidDescription
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.values import (
    Reference,
    Secret,
    Unknown,
    contains,
    known,
    parse_markers,
    plain,
    references_in,
    resolve,
)

DB = Reference("aws.db_instance/main", "address", serial=7)


def test_a_marker_survives_concatenation_and_names_its_reference() -> None:
    text = f"postgres://{DB.marker()}:5432/app"
    assert list(parse_markers(text)) == [DB]
    assert resolve(text, lambda reference: "db.example") == "postgres://db.example:5432/app"


@pytest.mark.parametrize("transform", [str.upper, lambda text: text.replace("main", "mian"), lambda text: text[:-4]])
def test_a_transformed_marker_is_an_error(transform: object) -> None:
    with pytest.raises(InvalidDescription):
        list(references_in({"a": [transform(DB.marker())]}))  # type: ignore[operator]


def test_text_with_one_unknown_is_unknown_as_a_whole() -> None:
    value = resolve({"url": f"http://{DB.marker()}/"}, lambda reference: Unknown("aws.db_instance/main.address"))
    assert str(value["url"]) == "(known after apply)"
    with pytest.raises(AssertionError):
        known(value)


def test_a_whole_marker_keeps_the_type_of_its_value() -> None:
    assert resolve(DB.marker(), lambda reference: 5432) == 5432


def test_text_with_a_secret_is_secret_and_never_shown() -> None:
    value = resolve(f"password={DB.marker()}", lambda reference: Secret("hunter2", "v3"))
    assert value.reveal() == "password=hunter2"
    assert "hunter2" not in repr({"a": value}) + str(plain({"a": value}))
    assert contains([value], Secret)


def test_base64_is_done_by_the_engine() -> None:
    marker = Reference("aws.db_instance/main", "address", "base64").marker()
    assert resolve(marker, lambda reference: "db") == "ZGI="


def test_secrets_are_the_same_when_their_stored_versions_are() -> None:
    assert Secret("a", "v1") == Secret("b", "v1")
    assert Secret("a", "v1") != Secret("a", "v2")
    assert Secret("a") == Secret("a")


def test_references_inside_a_secret_are_found_and_filled_in_and_the_whole_stays_secret() -> None:
    secret = Secret(f"app:hunter2@{DB.marker()}:5432", "v3", "AWSCURRENT v3")
    assert list(references_in({"url": secret})) == [DB]
    found = resolve({"url": secret}, lambda reference: "db.example.com")["url"]
    assert found.reveal() == "app:hunter2@db.example.com:5432"
    assert (str(found), found.version) == ("(secret AWSCURRENT v3)", "v3")
    assert resolve(secret, lambda reference: Unknown("db")) == Unknown("db")


@pytest.mark.parametrize(
    ("noted", "said", "same"), [("v1", "v1", True), ("v1", "v2", False), ("", "v1", False), ("v1", "", True)]
)
def test_a_secret_that_cannot_be_read_back_differs_only_by_another_version(noted: str, said: str, same: bool) -> None:
    live, wanted = Secret.unread(noted), Secret("hunter2", said)
    assert ((live == wanted), (wanted == live)) == (same, same)
    with pytest.raises(AssertionError, match="cannot be read back"):
        live.reveal()
