"""Registration, logins, tokens and what ends them."""

from __future__ import annotations

import base64
import json
import threading
import time
from typing import Any

import jwt
import pytest

from app.backend.tests.auth_help import PASSWORD, join, log_in


@pytest.fixture
def api(start: Any) -> Any:
    """A service that asks who is there."""
    return start(AUTH_REQUIRED="true").api


def refresh(api: Any, token: str) -> Any:
    return api("POST", "/api/auth/refresh", {"refresh_token": token})


def keys(*kids: str, **signs_from: str) -> str:
    """AUTH_KEYS with these keys."""
    made = [{"kid": kid, "key": base64.b64encode(kid.ljust(32, ".").encode()).decode()} for kid in kids]
    for key in made:
        if key["kid"] in signs_from:
            key["signs_from"] = signs_from[key["kid"]]
    return json.dumps(made)


def test_who_registers_can_log_in_and_read_their_own_data(api: Any, sql: Any) -> None:
    ada = join(api, "Ada")
    me = ada("GET", "/api/auth/me").json
    assert (me["user"]["id"], me["user"]["name"], me["role"]) == (ada.id, "Ada", "user")
    assert ada("GET", f"/api/users/{ada.id}").status == 200
    ((stored,),) = sql("SELECT password FROM accounts")
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$") and PASSWORD not in stored


def test_a_token_says_whose_it_is_and_holds_for_an_hour(api: Any) -> None:
    ada = join(api, "Ada")
    assert (ada.tokens["token_type"], ada.tokens["expires_in"]) == ("Bearer", 3600)
    assert ada.tokens["refresh_expires_in"] == 7 * 86_400
    header = jwt.get_unverified_header(ada.tokens["access_token"])
    assert (header["alg"], header["kid"], header["typ"]) == ("HS256", "k1", "at+jwt")
    claims = jwt.decode(ada.tokens["access_token"], options={"verify_signature": False})
    assert (claims["sub"], claims["iss"], claims["aud"]) == (str(ada.id), "capstan", "capstan-api")
    assert claims["exp"] - claims["iat"] == 3600 and abs(claims["iat"] - time.time()) < 5


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"password": "short"}, "password", "wrong_length"),
        ({"password": "x" * 201}, "password", "wrong_length"),
        ({"password": None}, "password", "required"),
        ({"password": 123456789012}, "password", "not_a_text"),
        ({"password": "grace@example.com"}, "password", "too_simple"),
        ({"role": "admin"}, "role", "unknown_field"),
        ({"status": "active"}, "status", "unknown_field"),
    ],
)
def test_a_registration_that_cannot_be_is_refused(api: Any, change: dict[str, Any], field: str, code: str) -> None:
    body = {"name": "Grace", "email": "Grace@example.com", "password": PASSWORD}
    answer = api("POST", "/api/auth/register", body | change)
    assert (answer.status, answer.json["code"], answer.json["errors"][0]["field"]) == (400, code, field)


def test_without_a_token_nothing_but_the_public_addresses_answers(api: Any) -> None:
    document = api("GET", "/api/openapi.json").json
    asked = 0
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if "security" in operation:
                answer = api(method.upper(), path.replace("{user_id}", "1"))
                assert (answer.status, answer.json["code"]) == (401, "sign_in"), f"{method} {path}"
                assert answer.headers["WWW-Authenticate"] == "Bearer"
                asked += 1
    assert asked == 12


def test_an_unknown_address_and_a_wrong_password_get_the_same_answer(api: Any) -> None:
    join(api, "Ada")
    answers = [log_in(api, "ada@example.com", "wrong"), log_in(api, "nobody@example.com", "wrong")]
    assert [answer.status for answer in answers] == [401, 401]
    first, second = ({**answer.json, "correlation_id": ""} for answer in answers)
    assert first == second and first["code"] == "bad_credentials"


def test_a_suspended_user_is_out_at_once_and_cannot_log_in(api: Any, sql: Any) -> None:
    ada, root = join(api, "Ada"), join(api, "Root", sql, "admin")
    assert ada("GET", "/api/auth/me").status == 200
    body = {"name": "Ada", "email": ada.email, "status": "suspended"}
    assert root("PUT", f"/api/users/{ada.id}", body).status == 200
    assert ada("GET", "/api/auth/me").status == 401
    assert refresh(api, ada.tokens["refresh_token"]).status == 401
    assert log_in(api, ada.email).json["code"] == "bad_credentials"
    assert root("PUT", f"/api/users/{ada.id}", body | {"status": "active"}).status == 200
    assert log_in(api, ada.email).status == 200


def test_a_deleted_user_is_out_at_once(api: Any, sql: Any) -> None:
    ada, root = join(api, "Ada"), join(api, "Root", sql, "admin")
    assert ada("GET", "/api/auth/me").status == 200
    assert root("DELETE", f"/api/users/{ada.id}").status == 204
    assert ada("GET", "/api/auth/me").status == 401
    assert refresh(api, ada.tokens["refresh_token"]).status == 401
    assert sql("SELECT count(*) FROM logins WHERE user_id = %s", ada.id) == [(0,)]


def test_another_role_counts_from_the_next_request_on(api: Any, sql: Any) -> None:
    ada, root = join(api, "Ada"), join(api, "Root", sql, "admin")
    assert ada("GET", "/api/users").status == 403
    assert root("PUT", f"/api/users/{ada.id}/role", {"role": "auditor"}).status == 204
    assert ada("GET", "/api/users").status == 200
    assert root("PUT", f"/api/users/{ada.id}/role", {"role": "user"}).status == 204
    assert ada("GET", "/api/users").status == 403
    assert root("PUT", "/api/users/999/role", {"role": "user"}).status == 404


# -- refresh


def test_a_refresh_gives_new_tokens_and_the_old_one_is_spent(api: Any, sql: Any) -> None:
    ada = join(api, "Ada")
    first = refresh(api, ada.tokens["refresh_token"])
    assert first.status == 200 and first.json["refresh_token"] != ada.tokens["refresh_token"]
    ada.tokens = first.json
    assert ada("GET", "/api/auth/me").status == 200
    second = refresh(api, first.json["refresh_token"])
    assert second.status == 200


def test_a_refresh_token_that_comes_a_second_time_ends_the_login_for_everybody(api: Any, sql: Any) -> None:
    ada, other = join(api, "Ada"), log_in(api, "ada@example.com").json
    stolen = ada.tokens["refresh_token"]
    ada.tokens = refresh(api, stolen).json
    sql("UPDATE logins SET rotated_at = now() - interval '11 seconds'")
    again = refresh(api, stolen)
    assert (again.status, again.json["code"]) == (401, "bad_token")
    assert ada("GET", "/api/auth/me").status == 401, "the access token of that login is over, too"
    assert refresh(api, ada.tokens["refresh_token"]).status == 401
    ada.tokens = other
    assert ada("GET", "/api/auth/me").status == 200, "another login is not touched"


def test_a_refresh_whose_answer_was_lost_may_be_sent_again(api: Any) -> None:
    token = join(api, "Ada").tokens["refresh_token"]
    first, repeated = refresh(api, token).json, refresh(api, token).json
    assert first["refresh_token"] == repeated["refresh_token"]
    last = refresh(api, first["refresh_token"])
    assert last.status == 200
    assert refresh(api, token).status == 401, "two steps back is no repetition"
    assert refresh(api, last.json["refresh_token"]).status == 401, "so the login is over"


def test_of_many_refreshes_at_once_all_get_the_same_token(api: Any) -> None:
    token = join(api, "Ada").tokens["refresh_token"]
    answers: list[Any] = []
    threads = [threading.Thread(target=lambda: answers.append(refresh(api, token))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert [answer.status for answer in answers] == [200] * 8
    assert len({answer.json["refresh_token"] for answer in answers}) == 1


def test_an_expired_refresh_token_is_refused(api: Any, sql: Any) -> None:
    token = join(api, "Ada").tokens["refresh_token"]
    sql("UPDATE logins SET expires_at = now() - interval '1 second'")
    assert refresh(api, token).status == 401


def test_the_login_unused_for_longest_gives_way_to_the_eleventh(api: Any, sql: Any) -> None:
    ada = join(api, "Ada")
    for _ in range(10):
        assert log_in(api, ada.email).status == 200
    assert sql("SELECT count(*) FROM logins") == [(10,)]
    assert ada("GET", "/api/auth/me").status == 401


# -- the end of a login


def test_a_logout_ends_this_login_only(api: Any) -> None:
    ada = join(api, "Ada")
    here, there = ada.tokens, log_in(api, ada.email).json
    assert ada("GET", "/api/auth/me").status == 200
    assert ada("POST", "/api/auth/logout").status == 204
    assert ada("GET", "/api/auth/me").status == 401
    assert refresh(api, here["refresh_token"]).status == 401
    ada.tokens = there
    assert ada("GET", "/api/auth/me").status == 200


def test_a_logout_everywhere_ends_all(api: Any) -> None:
    ada = join(api, "Ada")
    there = log_in(api, ada.email).json
    assert ada("POST", "/api/auth/logout?everywhere=true").status == 204
    for tokens in (ada.tokens, there):
        ada.tokens = tokens
        assert ada("GET", "/api/auth/me").status == 401


def test_another_password_ends_all_other_logins(api: Any) -> None:
    ada = join(api, "Ada")
    there = log_in(api, ada.email).json
    new = "a much better one"
    wrong = ada("PUT", "/api/auth/password", {"current": "not it", "new": new})
    assert (wrong.status, wrong.json["code"]) == (401, "bad_credentials")
    assert ada("PUT", "/api/auth/password", {"current": PASSWORD, "new": new}).status == 204
    assert ada("GET", "/api/auth/me").status == 200
    assert (log_in(api, ada.email).status, log_in(api, ada.email, new).status) == (401, 200)
    ada.tokens = there
    assert ada("GET", "/api/auth/me").status == 401


def test_all_processes_hear_of_a_logout_through_redis(start: Any) -> None:
    here, there = (start(AUTH_REQUIRED="true").api for _ in range(2))
    ada = join(here, "Ada")
    for api in (here, there):
        ada.api = api
        assert ada("GET", "/api/auth/me").status == 200
    ada.api = here
    assert ada("POST", "/api/auth/logout").status == 204
    ada.api = there
    assert ada("GET", "/api/auth/me").status == 401


def test_a_session_lives_half_an_hour_in_redis_under_the_users_key(api: Any, redis_server: Any) -> None:
    ada = join(api, "Ada")
    ada("GET", "/api/auth/me")
    assert 1795 <= redis_server.client().ttl(f"session:{{{ada.id}}}") <= 1800


def test_without_redis_tokens_are_checked_against_the_database(start: Any, sql: Any) -> None:
    api = start(AUTH_REQUIRED="true", REDIS_HOST="").api
    ada = join(api, "Ada")
    assert ada("GET", "/api/auth/me").status == 200
    assert ada("POST", "/api/auth/logout").status == 204
    assert ada("GET", "/api/auth/me").status == 401


# -- keys


def test_a_new_key_signs_from_its_time_on_and_nobody_is_logged_out(start: Any) -> None:
    before = start(AUTH_REQUIRED="true", AUTH_KEYS=keys("old")).api
    ada = join(before, "Ada")
    later = start(AUTH_REQUIRED="true", AUTH_KEYS=keys("new", "old", new="2999-01-01T00:00:00Z")).api
    after = start(AUTH_REQUIRED="true", AUTH_KEYS=keys("new", "old", new="2020-01-01T00:00:00Z")).api
    for api in (later, after):
        ada.api = api
        assert ada("GET", "/api/auth/me").status == 200
    assert jwt.get_unverified_header(log_in(later, ada.email).json["access_token"])["kid"] == "old"
    fresh = refresh(after, ada.tokens["refresh_token"]).json
    assert jwt.get_unverified_header(fresh["access_token"])["kid"] == "new"
    ada.tokens, ada.api = fresh, later
    assert ada("GET", "/api/auth/me").status == 200, "pods that the new key's time has not come for know it already"
    ada.api = before
    assert ada("GET", "/api/auth/me").status == 401


# -- throttling and time


def test_after_five_wrong_passwords_the_next_try_has_to_wait_whoever_it_is(start: Any) -> None:
    first, second = (start(AUTH_REQUIRED="true").api for _ in range(2))
    join(first, "Ada")
    for email in ("ada@example.com", "nobody@example.com"):
        statuses = [log_in(api, email, "wrong").status for api in (first, second, first, second, first, second)]
        assert statuses == [401] * 5 + [429]
        held = log_in(first, email.upper())
        assert (held.status, held.json["code"]) == (429, "too_many_requests")
        assert int(held.headers["Retry-After"]) == 1


def test_many_tries_at_once_are_no_way_around(api: Any) -> None:
    join(api, "Ada")
    statuses: list[int] = []
    threads = [
        threading.Thread(target=lambda: statuses.append(log_in(api, "ada@example.com", "wrong").status))
        for _ in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert (statuses.count(401), statuses.count(429)) == (5, 7)


def test_the_right_password_after_the_pause_starts_the_count_anew(api: Any, until: Any) -> None:
    join(api, "Ada")
    for _ in range(5):
        log_in(api, "ada@example.com", "wrong")
    until(lambda: log_in(api, "ada@example.com").status == 200)
    assert [log_in(api, "ada@example.com", "wrong").status for _ in range(5)] == [401] * 5


def test_without_redis_each_process_counts_for_itself(start: Any) -> None:
    api = start(AUTH_REQUIRED="true", REDIS_HOST="").api
    assert [log_in(api, "ada@example.com", "wrong").status for _ in range(6)] == [401] * 5 + [429]


def test_an_unknown_address_takes_as_many_hashes_as_a_known_one(start: Any) -> None:
    running = start(AUTH_REQUIRED="true", REDIS_HOST="")
    join(running.api, "Ada")

    def hashes_of(email: str) -> float:
        def count() -> float:
            metric = running.management("GET", "/actuator/metrics/password.hashes").json
            return {one["statistic"]: one["value"] for one in metric["measurements"]}["COUNT"]

        before = count()
        log_in(running.api, email, "wrong")
        return count() - before

    assert hashes_of("ada@example.com") == hashes_of("nobody@example.com") == 1
