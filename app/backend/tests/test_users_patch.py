"""PATCH with a merge patch (RFC 7396): what is not named stays as it is, and nothing can be removed."""

from __future__ import annotations

import threading
from typing import Any

import pytest

ADA = {"name": "Ada Lovelace", "email": "ada@example.com", "status": "inactive"}
MERGE_PATCH = "application/merge-patch+json"


@pytest.fixture
def patch(api: Any) -> Any:
    """Patches user 1."""
    api("POST", "/api/users", ADA)
    return lambda body, **headers: api("PATCH", "/api/users/1", body, **{"Content_Type": MERGE_PATCH} | headers)


@pytest.mark.parametrize(
    "change", [{"name": "Ada King"}, {"email": "ada@king.org"}, {"status": "active"}, {"name": "A", "status": "active"}]
)
def test_only_what_is_named_changes(api: Any, patch: Any, change: dict[str, str]) -> None:
    before = api("GET", "/api/users/1").json
    answer = patch(change)
    assert (answer.status, answer.headers["ETag"]) == (200, '"2"')
    assert answer.json | {"updated_at": ""} == before | change | {"updated_at": ""}
    assert answer.json["updated_at"] > before["updated_at"]
    assert api("GET", "/api/users/1").json == answer.json


def test_a_patch_that_names_nothing_leaves_every_field_as_it_is(patch: Any) -> None:
    answer = patch({})
    assert (answer.status, {name: answer.json[name] for name in ADA}) == (200, ADA)


def test_a_user_is_found_by_the_name_that_a_patch_gave_and_keeps_it_through_others(api: Any, patch: Any) -> None:
    patch({"name": "Grace Hopper"})
    patch({"status": "active"})
    assert [user["id"] for user in api("GET", "/api/users?search=hop").json["items"]] == [1]
    assert api("GET", "/api/users?search=ada").json["items"] == []


def test_no_field_can_be_removed_and_all_that_is_wrong_is_named(api: Any, patch: Any) -> None:
    answer = patch({"name": None, "email": "x", "status": None, "age": 7})
    assert answer.status == 400
    assert [(error["field"], error["code"]) for error in answer.json["errors"]] == [
        ("age", "unknown_field"),
        ("name", "required"),
        ("status", "required"),
        ("email", "not_an_email"),
    ]
    assert answer.json["errors"][1]["detail"] == (
        "The field 'name' cannot be removed: give it a value, or leave it out."
    )
    assert {name: api("GET", "/api/users/1").json[name] for name in ADA} == ADA


@pytest.mark.parametrize("body", [b"[]", b"3", b"null"])
def test_a_patch_that_is_no_object_is_refused(patch: Any, body: bytes) -> None:
    answer = patch(body)
    assert (answer.status, answer.json["code"]) == (400, "not_an_object")


@pytest.mark.parametrize("sent", ["application/json", "application/json-patch+json", ""])
def test_another_kind_of_patch_is_refused_with_the_one_that_is_taken(patch: Any, sent: str) -> None:
    answer = patch({"name": "Ada King"}, Content_Type=sent)
    assert (answer.status, answer.json["code"]) == (415, "unsupported_media_type")
    assert (answer.headers["Accept-Patch"], answer.headers["Accept"]) == (MERGE_PATCH, MERGE_PATCH)


def test_a_patch_to_anothers_address_or_of_nobody_is_refused(api: Any, patch: Any) -> None:
    api("POST", "/api/users", {"name": "Bob", "email": "bob@example.com"})
    assert patch({"email": "BOB@example.com"}).json["code"] == "already_taken"
    assert api("PATCH", "/api/users/7", {"name": "x"}, Content_Type=MERGE_PATCH).status == 404


def test_two_who_patch_different_fields_at_once_both_succeed(api: Any, patch: Any) -> None:
    changes = [{"name": "Ada King"}, {"email": "ada@king.org"}, {"status": "suspended"}] * 4
    together = threading.Barrier(len(changes))

    def send(change: dict[str, str]) -> None:
        together.wait(10)
        patch(change)

    threads = [threading.Thread(target=send, args=(change,)) for change in changes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    user = api("GET", "/api/users/1")
    assert (user.json["name"], user.json["email"], user.json["status"]) == ("Ada King", "ada@king.org", "suspended")
    assert user.headers["ETag"] == '"13"'


def test_the_document_names_the_type_and_requires_no_field(api: Any) -> None:
    document = api("GET", "/api/openapi.json").json
    content = document["paths"]["/api/users/{user_id}"]["patch"]["requestBody"]["content"]
    assert list(content) == [MERGE_PATCH]
    assert document["components"]["schemas"]["UserPatch"]["required"] == []
    assert MERGE_PATCH in api("GET", "/api/docs").content.decode()
