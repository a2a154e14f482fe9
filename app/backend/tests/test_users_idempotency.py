"""Idempotency-Key: a POST that is sent again creates nobody twice, in whatever order the requests come."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from backend.repository.idempotency import PURGE_ROWS

ADA = {"name": "Ada Lovelace", "email": "ada@example.com"}
BOB = {"name": "Bob", "email": "bob@example.com"}
KEY = "8e03978e-40d5-43dd-bc93-6894a57f9324"
WAITS = "SELECT 1 FROM pg_locks WHERE NOT granted"


def post(api: Any, body: Any, key: str = KEY) -> Any:
    return api("POST", "/api/users", body, Idempotency_Key=key)


def told(answer: Any) -> tuple[Any, ...]:
    """What a client takes from an answer."""
    return answer.status, answer.content, answer.headers["Location"], answer.headers["ETag"]


def replayed(answer: Any) -> bool:
    return answer.headers.get("Idempotency-Replayed") == "true"


def side_by_side(tasks: list[Callable[[], Any]]) -> list[Any]:
    """What the tasks give, begun at one moment in a thread each."""
    together, results = threading.Barrier(len(tasks)), []

    def run(task: Callable[[], Any]) -> None:
        together.wait(10)
        results.append(task())

    threads = [threading.Thread(target=run, args=(task,)) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(results) == len(tasks)
    return results


def test_a_request_that_is_sent_again_gets_the_same_answer_and_creates_nobody(start: Any, sql: Any) -> None:
    running = start()
    first = post(running.api, ADA)
    again = post(running.api, {"email": " ada@example.com", "status": "active", "name": "Ada Lovelace "})
    assert (first.status, replayed(first), replayed(again)) == (201, False, True)
    assert told(again) == told(first)
    assert sql("SELECT count(*) FROM users") == [(1,)]
    measured = running.management("GET", "/actuator/metrics/users.created").json["measurements"]
    assert [one["value"] for one in measured] == [1]


def test_the_answer_stays_the_same_whatever_became_of_the_user(api: Any) -> None:
    first = post(api, ADA)
    api("PUT", "/api/users/1", BOB)
    assert told(post(api, ADA)) == told(first)
    api("DELETE", "/api/users/1")
    assert told(post(api, ADA)) == told(first)
    assert api("GET", "/api/users/1").status == 404


def test_the_same_key_with_another_request_is_refused(api: Any, sql: Any) -> None:
    post(api, ADA)
    for other in (BOB, ADA | {"status": "inactive"}, ADA | {"email": "ADA@example.com"}):
        answer = post(api, other)
        assert (answer.status, answer.json["code"]) == (422, "idempotency_key_reused")
    assert sql("SELECT count(*) FROM users") == [(1,)]


def test_another_key_is_another_request(api: Any) -> None:
    post(api, ADA)
    assert post(api, ADA, "another").json["code"] == "already_taken"
    assert post(api, BOB, "another").status == 201


def test_a_request_that_failed_leaves_nothing_behind_and_may_be_mended(api: Any, sql: Any) -> None:
    api("POST", "/api/users", ADA)
    assert post(api, ADA).status == 409
    assert post(api, {"name": ""}).status == 400
    assert sql("SELECT count(*) FROM idempotency_keys") == [(0,)]
    assert (post(api, BOB).status, replayed(post(api, BOB))) == (201, True)


@pytest.mark.parametrize("key", ["x", "x" * 255, "a b", '"quoted"', "\u00fc"])
def test_a_key_is_any_short_line_of_text(api: Any, key: str) -> None:
    assert (replayed(post(api, ADA, key)), replayed(post(api, ADA, key))) == (False, True)


@pytest.mark.parametrize(("key", "code"), [("", "required"), ("x" * 256, "too_long"), ("a\x80", "not_printable")])
def test_a_key_of_another_form_is_refused_and_never_left_out(api: Any, sql: Any, key: str, code: str) -> None:
    answer = post(api, ADA, key)
    assert (answer.status, answer.json["code"], answer.json["errors"][0]["field"]) == (400, code, "Idempotency-Key")
    assert sql("SELECT count(*) FROM users") == [(0,)]


def test_of_eight_at_once_one_creates_and_all_get_its_answer(api: Any, sql: Any) -> None:
    def until_answered() -> Any:
        while (answer := post(api, ADA)).status == 409:
            assert (answer.json["code"], answer.headers["Retry-After"]) == ("in_progress", "1")
        return answer

    answers = side_by_side([until_answered] * 8)
    assert len({told(answer) for answer in answers}) == 1 and answers[0].status == 201
    assert sorted(replayed(answer) for answer in answers) == [False] + [True] * 7
    assert sql("SELECT count(*) FROM users") == [(1,)]


def test_of_different_requests_with_one_key_at_once_one_wins_and_the_others_are_told(api: Any, sql: Any) -> None:
    bodies = [{"name": f"User {number}", "email": f"user{number}@example.com"} for number in range(8)]
    answers = side_by_side([lambda body=body: post(api, body) for body in bodies])  # type: ignore[misc]
    assert sorted(answer.status for answer in answers) == [201] + [422] * 7
    assert sql("SELECT count(*) FROM users") == [(1,)]


def test_of_one_user_with_different_keys_at_once_one_is_created_and_one_key_is_noted(api: Any, sql: Any) -> None:
    answers = side_by_side([lambda key=str(number): post(api, ADA, key) for number in range(8)])  # type: ignore[misc]
    assert sorted(answer.status for answer in answers) == [201] + [409] * 7
    assert {answer.json["code"] for answer in answers if answer.status == 409} == {"already_taken"}
    assert sql("SELECT count(*) FROM idempotency_keys") == [(1,)]


@pytest.fixture
def under_way(api: Any, sql: Any) -> Any:
    """Another process' request with the same key, which has noted it and is not at its end."""
    post(api, ADA)
    sql("DELETE FROM users")
    ((key_hash,),) = sql("DELETE FROM idempotency_keys RETURNING key_hash")
    sql("BEGIN")
    sql("INSERT INTO idempotency_keys VALUES ('', %s, 'other', 7)", key_hash)
    return sql


def test_a_request_waits_for_the_same_one_and_goes_on_where_that_fails(api: Any, under_way: Any, until: Any) -> None:
    answers: list[Any] = []
    waiting = threading.Thread(target=lambda: answers.append(post(api, ADA)))
    waiting.start()
    until(lambda: under_way(WAITS))
    under_way("ROLLBACK")
    waiting.join(20)
    assert (answers[0].status, replayed(answers[0])) == (201, False)


def test_a_request_does_not_wait_for_ever(api: Any, under_way: Any) -> None:
    answer = post(api, ADA)
    assert (answer.status, answer.json["code"], answer.headers["Retry-After"]) == (409, "in_progress", "1")
    under_way("COMMIT")
    assert post(api, ADA).status == 422, "what was noted meanwhile is another request"
    assert under_way("SELECT count(*) FROM users") == [(0,)]


def test_a_key_may_be_used_for_another_request_after_a_day(api: Any, sql: Any) -> None:
    post(api, ADA)
    sql("UPDATE idempotency_keys SET created_at = now() - interval '23 hours 59 minutes'")
    assert post(api, BOB).status == 422
    sql("UPDATE idempotency_keys SET created_at = now() - interval '24 hours'")
    made = post(api, BOB)
    assert (made.status, made.json["name"], replayed(made)) == (201, "Bob", False)
    assert told(post(api, BOB)) == told(made)


def test_what_has_expired_is_deleted_in_small_batches_along_the_way(api: Any, sql: Any) -> None:
    sql(
        "INSERT INTO idempotency_keys SELECT '', sha256(n::text::bytea), 'x', n, now() - interval '25 hours'"
        " FROM generate_series(1, %s) AS n",
        PURGE_ROWS + 5,
    )
    post(api, ADA)
    assert sql("SELECT count(*) FROM idempotency_keys") == [(1 + 5,)]
    post(api, BOB, "another")
    assert sql("SELECT count(*) FROM idempotency_keys") == [(2,)]


def test_what_another_transaction_holds_is_left_for_the_next_batch(api: Any, sql: Any) -> None:
    sql("INSERT INTO idempotency_keys VALUES ('', 'a', 'x', 7, now() - interval '25 hours')")
    sql("BEGIN")
    sql("SELECT 1 FROM idempotency_keys FOR UPDATE")
    assert post(api, ADA).status == 201
    sql("ROLLBACK")
    assert sql("SELECT count(*) FROM idempotency_keys") == [(2,)]


def test_nothing_of_what_was_sent_is_kept_with_the_key(api: Any, sql: Any) -> None:
    post(api, ADA)
    ((stored,),) = sql("SELECT row_to_json(noted)::text FROM idempotency_keys AS noted")
    for secret in (KEY, "Ada", "ada@example.com"):
        assert secret not in stored and secret.encode().hex() not in stored
