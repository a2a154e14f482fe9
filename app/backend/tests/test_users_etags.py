"""Conditional requests (RFC 9110, 13): what a client has is not sent again, and no change is overwritten unseen."""

from __future__ import annotations

import threading
from typing import Any

import pytest

ADA = {"name": "Ada Lovelace", "email": "ada@example.com"}
MERGE_PATCH = "application/merge-patch+json"
KING = {"name": "Ada King", "email": "ada@example.com"}


@pytest.fixture
def ada(api: Any) -> Any:
    """The service with user 1, in version 2."""
    assert api("POST", "/api/users", ADA).headers["ETag"] == '"1"'
    assert api("PUT", "/api/users/1", ADA).headers["ETag"] == '"2"'
    return api


@pytest.mark.parametrize("known", ['"2"', 'W/"2"', "*", '"1", "2"', '"x,y" ,W/"2"', ', "2",'])
def test_what_the_client_has_is_not_sent_again_neither_from_the_database_nor_from_the_cache(
    ada: Any, known: str
) -> None:
    for x_cache in ("miss", "hit"):
        answer = ada("GET", "/api/users/1", If_None_Match=known)
        assert (answer.status, answer.content) == (304, b"")
        assert (answer.headers["ETag"], answer.headers["X-Cache"]) == ('"2"', x_cache)
        assert "Content-Type" not in answer.headers
    assert ada("HEAD", "/api/users/1", If_None_Match=known).status == 304


@pytest.mark.parametrize("known", ['"1"', '"02"', '"12"', '"a,2"', '"x", "3"', '"99999999999999999999999"', '""'])
def test_what_it_does_not_have_is_sent_with_its_tag(ada: Any, known: str) -> None:
    answer = ada("GET", "/api/users/1", If_None_Match=known)
    assert (answer.status, answer.headers["ETag"]) == (200, '"2"')
    assert answer.json["name"] == "Ada Lovelace"


def test_a_change_has_another_tag_at_once_also_with_a_cache(ada: Any) -> None:
    ada("GET", "/api/users/1")
    assert ada("PUT", "/api/users/1", KING).headers["ETag"] == '"3"'
    assert ada("GET", "/api/users/1", If_None_Match='"2"').json["name"] == "Ada King"
    assert ada("GET", "/api/users/1", If_None_Match='"3"').status == 304


@pytest.mark.parametrize(("method", "body"), [("PUT", KING), ("PATCH", KING), ("DELETE", None)])
@pytest.mark.parametrize("meant", ['"1"', 'W/"2"', '"1", "3"', '"x"', '"99999999999999999999999"'])
def test_a_write_for_another_version_fails_and_changes_nothing(
    ada: Any, sql: Any, method: str, body: Any, meant: str
) -> None:
    kind = {"Content_Type": MERGE_PATCH} if method == "PATCH" else {}
    answer = ada(method, "/api/users/1", body, If_Match=meant, **kind)
    assert (answer.status, answer.json["code"]) == (412, "precondition_failed")
    assert sql("SELECT name, version FROM users") == [("Ada Lovelace", 2)]


@pytest.mark.parametrize("meant", ['"2"', '"1", "2"', "*"])
def test_a_write_for_the_stored_version_is_done(ada: Any, meant: str) -> None:
    assert ada("PUT", "/api/users/1", KING, If_Match=meant).headers["ETag"] == '"3"'
    assert ada("DELETE", "/api/users/1", If_Match=meant.replace("2", "3")).status == 204


@pytest.mark.parametrize("meant", ['"2"', "*"])
def test_a_user_that_is_not_there_is_not_found_whatever_the_condition(ada: Any, meant: str) -> None:
    assert ada("PUT", "/api/users/7", KING, If_Match=meant).status == 404
    assert ada("DELETE", "/api/users/7", If_Match=meant).status == 404
    assert ada("GET", "/api/users/7", If_None_Match=meant).status == 404


@pytest.mark.parametrize("broken", ["2", '"2', '"2" "3"', "", "**", '*, "2"', 'w/"2"', '"a\\"2\\""'])
def test_a_condition_that_cannot_be_read_is_refused_and_never_left_out(ada: Any, broken: str) -> None:
    for method, header, body in (
        ("GET", "If-None-Match", None),
        ("PUT", "If-Match", KING),
        ("DELETE", "If-Match", None),
    ):
        answer = ada(method, "/api/users/1", body, **{header: broken})
        assert (answer.status, answer.json["code"], answer.json["errors"][0]["field"]) == (400, "not_an_etag", header)
    assert ada("GET", "/api/users/1").headers["ETag"] == '"2"'


def test_of_many_who_change_the_same_version_one_succeeds(ada: Any, sql: Any) -> None:
    together, statuses = threading.Barrier(8), []

    def change(number: int) -> None:
        body = {"name": f"Ada {number}", "email": "ada@example.com"}
        together.wait(10)
        statuses.append(ada("PUT", "/api/users/1", body, If_Match='"2"').status)

    threads = [threading.Thread(target=change, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(statuses) == [200] + [412] * 7
    assert sql("SELECT version FROM users") == [(3,)]
