"""The HTTP interface of users, over real sockets, PostgreSQL and Redis."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

ADA = {"name": "Ada Lovelace", "email": "ada@example.com"}


def test_a_created_user_has_an_id_and_an_address_where_it_can_be_read(api: Any) -> None:
    made = api("POST", "/api/users", ADA)
    assert made.status == 201
    assert made.headers["Location"] == "/api/users/1"
    read = api("GET", "/api/users/1").json
    assert read == made.json
    assert (read["id"], read["name"], read["email"], read["status"]) == (1, "Ada Lovelace", "ada@example.com", "active")
    assert read["created_at"].endswith("Z") and datetime.fromisoformat(read["created_at"]).tzinfo
    assert set(read) == {"id", "name", "email", "status", "created_at", "updated_at"}


def test_a_change_is_stored_and_moves_only_the_time_of_the_update(api: Any, sql: Any) -> None:
    before = api("POST", "/api/users", ADA).json
    changed = api("PUT", "/api/users/1", {"name": "Ada King", "email": "ada@king.org", "status": "suspended"})
    assert changed.status == 200
    assert changed.json["created_at"] == before["created_at"]
    assert changed.json["updated_at"] > before["updated_at"]
    assert sql("SELECT name, email, status, version, updated_by FROM users") == [
        ("Ada King", "ada@king.org", "suspended", 2, "app")
    ]


def test_a_deleted_user_is_gone(api: Any, sql: Any) -> None:
    api("POST", "/api/users", ADA)
    deleted = api("DELETE", "/api/users/1")
    assert (deleted.status, deleted.content) == (204, b"")
    assert api("GET", "/api/users/1").status == 404
    assert sql("SELECT count(*) FROM users") == [(0,)]


def test_the_list_is_newest_first_and_continues_at_its_cursor(api: Any) -> None:
    for number in range(1, 6):
        api("POST", "/api/users", {"name": f"User {number}", "email": f"user{number}@example.com"})
    first = api("GET", "/api/users?limit=2").json
    second = api("GET", f"/api/users?limit=2&cursor={first['next_cursor']}").json
    third = api("GET", f"/api/users?limit=2&cursor={second['next_cursor']}").json
    assert [[user["id"] for user in page["items"]] for page in (first, second, third)] == [[5, 4], [3, 2], [1]]
    assert third["next_cursor"] is None


def test_a_page_that_ends_with_the_last_user_has_no_next_one(api: Any) -> None:
    for number in range(1, 3):
        api("POST", "/api/users", {"name": f"User {number}", "email": f"user{number}@example.com"})
    assert api("GET", "/api/users?limit=2").json["next_cursor"] is None


def test_the_list_can_be_narrowed_to_a_status(api: Any) -> None:
    api("POST", "/api/users", ADA)
    api("POST", "/api/users", {"name": "Bob", "email": "bob@example.com", "status": "inactive"})
    assert [user["name"] for user in api("GET", "/api/users?status=inactive").json["items"]] == ["Bob"]


def test_an_empty_list_is_an_answer(api: Any) -> None:
    assert api("GET", "/api/users").json == {"items": [], "next_cursor": None}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=ten", "limit"),
        ("limit=", "limit"),
        ("cursor=-1", "cursor"),
        ("cursor=9223372036854775808", "cursor"),
        ("status=gone", "status"),
    ],
)
def test_a_wrong_query_is_refused_with_the_parameter(api: Any, query: str, field: str) -> None:
    answer = api("GET", f"/api/users?{query}")
    assert (answer.status, answer.json["errors"][0]["field"]) == (400, field)


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"name": None}, "name", "required"),
        ({"name": "  "}, "name", "required"),
        ({"name": "x" * 101}, "name", "too_long"),
        ({"name": "a\u0000b"}, "name", "not_printable"),
        ({"name": "a\ud800b"}, "name", "not_printable"),
        ({"name": 7}, "name", "not_a_text"),
        ({"email": "ada"}, "email", "not_an_email"),
        ({"email": "ada@localhost"}, "email", "not_an_email"),
        ({"email": "a@b@example.com"}, "email", "not_an_email"),
        ({"email": "a" * 250 + "@b.io"}, "email", "too_long"),
        ({"status": "gone"}, "status", "not_a_choice"),
        ({"status": ["active"]}, "status", "not_a_choice"),
        ({"id": 5}, "id", "unknown_field"),
    ],
)
def test_a_wrong_field_is_refused_by_name(api: Any, change: dict[str, Any], field: str, code: str) -> None:
    answer = api("POST", "/api/users", ADA | change)
    assert answer.status == 400
    assert (answer.json["status"], answer.json["code"], answer.json["errors"][0]["field"]) == (400, code, field)
    assert answer.json["detail"]


def test_all_wrong_fields_are_named_at_once(api: Any) -> None:
    answer = api("POST", "/api/users", {"name": "", "email": "x", "status": "y"})
    assert [error["field"] for error in answer.json["errors"]] == ["name", "email", "status"]


@pytest.mark.parametrize("body", [b"{", b"\xff", b"", b"[" * 30, b'{"name": NaN}'])
def test_a_body_that_is_not_json_is_refused(api: Any, body: bytes) -> None:
    answer = api("POST", "/api/users", body)
    assert (answer.status, answer.json["code"]) == (400, "not_json")


@pytest.mark.parametrize("sent", ["application/x-www-form-urlencoded", "application/merge-patch+json", "text/json", ""])
def test_a_body_of_another_type_is_refused_with_the_one_that_is_taken(api: Any, sent: str) -> None:
    answer = api("POST", "/api/users", ADA, Content_Type=sent)
    assert (answer.status, answer.json["code"]) == (415, "unsupported_media_type")
    assert (answer.headers["Accept"], "Accept-Patch" in answer.headers) == ("application/json", False)
    assert api("POST", "/api/users", ADA, Content_Type="Application/JSON ; charset=utf-8").status == 201


@pytest.mark.parametrize("body", [[], "text", 3, None])
def test_json_that_is_no_object_is_refused(api: Any, body: Any) -> None:
    answer = api("POST", "/api/users", str(body).replace("None", "null").replace("text", '"text"').encode())
    assert (answer.status, answer.json["code"]) == (400, "not_an_object")


def test_a_body_above_the_limit_is_refused(start: Any) -> None:
    answer = start(MAX_UPLOAD_SIZE="100B").api("POST", "/api/users", {"name": "x" * 200, "email": "x@example.com"})
    assert (answer.status, answer.json["code"]) == (413, "too_large")


def test_an_address_is_given_once_whatever_its_case(api: Any) -> None:
    api("POST", "/api/users", ADA)
    answer = api("POST", "/api/users", {"name": "Other", "email": "ADA@Example.com"})
    assert (answer.status, answer.headers["Content-Type"]) == (409, "application/problem+json")
    detail = "This e-mail address belongs to another user."
    assert answer.json == {
        "type": "urn:capstan:problem:already_taken",
        "title": "Already taken",
        "status": 409,
        "detail": detail,
        "code": "already_taken",
        "errors": [{"field": "email", "code": "already_taken", "detail": detail}],
        "correlation_id": answer.headers["X-Correlation-Id"],
    }


def test_a_change_to_anothers_address_is_refused(api: Any) -> None:
    api("POST", "/api/users", ADA)
    api("POST", "/api/users", {"name": "Bob", "email": "bob@example.com"})
    assert api("PUT", "/api/users/2", {"name": "Bob", "email": "ada@example.com"}).status == 409
    assert api("GET", "/api/users/2").json["email"] == "bob@example.com"


@pytest.mark.parametrize("key", ["7", "0", "-1", "abc", "1.5", "9223372036854775808", "9" * 400, "%C2%B2"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_a_user_that_is_not_there_is_not_found(api: Any, method: str, key: str) -> None:
    answer = api(method, f"/api/users/{key}", ADA if method == "PUT" else None)
    assert (answer.status, answer.json["code"]) == (404, "not_found")


def test_an_unknown_address_is_answered_with_a_problem_document(api: Any) -> None:
    answer = api("GET", "/api/nothing")
    assert (answer.status, answer.json["code"], answer.headers["Content-Type"]) == (
        404,
        "not_found",
        "application/problem+json",
    )


def test_a_method_that_is_not_taken_names_those_that_are(api: Any) -> None:
    answer = api("PATCH", "/api/users")
    assert (answer.status, answer.json["code"]) == (405, "method_not_allowed")
    assert set(answer.headers["Allow"].split(",")) == {"GET", "POST"}


def test_text_from_a_client_is_never_sql(api: Any) -> None:
    name = "Robert'); DROP TABLE users; --"
    api("POST", "/api/users", {"name": name, "email": "o'hara+tag@example.com"})
    assert api("GET", "/api/users").json["items"][0]["name"] == name


def test_names_of_all_scripts_come_back_as_they_went_in(api: Any) -> None:
    api("POST", "/api/users", {"name": "Ünal 王 🚀", "email": "u@example.com"})
    assert api("GET", "/api/users/1").json["name"] == "Ünal 王 🚀"
    assert api("GET", "/api/users/1").json["name"] == "Ünal 王 🚀"


@pytest.mark.parametrize(
    "moment",
    [
        *("2026-01-01 00:00:00+00", "1999-12-31 23:59:59.9+00", "2026-07-01 12:00:00.000001+05:30"),
        *("0900-03-04 05:06:07.080910+00", "9998-12-31 23:59:59.999999+00"),
    ],
)
def test_a_user_is_written_in_one_way_wherever_it_comes_from(api: Any, sql: Any, moment: str) -> None:
    api("POST", "/api/users", {"name": 'Ünal "王" \\ 🚀 \u2003/', "email": "u@example.com", "status": "inactive"})
    sql("UPDATE users SET created_at = %s, updated_at = %s", moment, moment)
    listed = api("GET", "/api/users").content
    missed, hit = api("GET", "/api/users/1"), api("GET", "/api/users/1")
    assert (missed.headers["X-Cache"], hit.headers["X-Cache"]) == ("miss", "hit")
    assert missed.content == hit.content and missed.content in listed


def test_head_has_the_headers_of_get_and_no_body(api: Any) -> None:
    api("POST", "/api/users", ADA)
    head, got = api("HEAD", "/api/users/1"), api("GET", "/api/users/1")
    assert (head.status, head.content) == (200, b"")
    assert head.headers["Content-Length"] == str(len(got.content))


def test_a_correlation_id_is_kept_or_made_and_answered(api: Any) -> None:
    assert api("GET", "/api/users", X_Correlation_Id="abc-123").headers["X-Correlation-Id"] == "abc-123"
    made = api("GET", "/api/users").headers["X-Correlation-Id"]
    assert len(made) == 32
    assert api("GET", "/api/users", X_Correlation_Id="a b").headers["X-Correlation-Id"] != "a b"


def test_settings_tell_clients_about_features(start: Any) -> None:
    api = start(FEATURE_FLAG_NEW_UI="true", MAX_UPLOAD_SIZE="5MB").api
    assert api("GET", "/api/settings").json == {
        "version": "0.1.0",
        "features": {"new_ui": True},
        "max_upload_bytes": 5000000,
    }
