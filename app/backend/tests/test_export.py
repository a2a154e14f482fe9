"""What is stored of a person, given to them whole, and gone whole."""

from __future__ import annotations

from typing import Any

import pytest

from app.backend.tests.auth_help import Person, join, log_in

PERSONAL = ("Zenobia", "zenobia", "Palmyra", "palmyra")


@pytest.fixture
def api(start: Any) -> Any:
    return start(AUTH_REQUIRED="true").api


def all_rows(sql: Any) -> str:
    """Every row of every table, as text."""
    tables = [name for (name,) in sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
    return "\n".join(f"{name} {row}" for name in tables for (row,) in sql(f'SELECT t::text FROM "{name}" t'))


def all_of_redis(redis_server: Any) -> str:
    """Every key with its value, as text."""
    client = redis_server.client()
    read = {"string": client.get, "hash": client.hgetall}
    return "\n".join(f"{key} {read[client.type(key)](key)}" for key in client.scan_iter())


def zenobia_of(api: Any, sql: Any) -> Person:
    """Somebody who has left traces wherever there may be any."""
    person = join(api, "Zenobia", sql, "admin")
    log_in(api, person.email, "wrong")
    log_in(api, person.email)
    change = {"name": "Zenobia of Palmyra"}
    person("PATCH", f"/api/users/{person.id}", change, Content_Type="application/merge-patch+json")
    made = person("POST", "/api/users", {"name": "Bob", "email": "bob@example.com"}, Idempotency_Key="Palmyra")
    assert made.status == 201
    person("GET", f"/api/users/{person.id}")
    person("GET", "/api/users?search=zenobia")
    return person


def test_somebody_gets_all_that_is_stored_of_them(api: Any, sql: Any, until: Any) -> None:
    zenobia = zenobia_of(api, sql)
    until(lambda: sql("SELECT id FROM audit_log WHERE action = 'login.failed'"))
    answer = zenobia("GET", f"/api/users/{zenobia.id}/export")
    assert answer.headers["Content-Disposition"] == f'attachment; filename="user-{zenobia.id}.json"'
    found = answer.json
    assert found["user"] == zenobia("GET", f"/api/users/{zenobia.id}").json
    assert found["role"] == "admin"
    stored = sql("SELECT id::text, rotated_at, expires_at FROM logins WHERE user_id = %s ORDER BY 2", zenobia.id)
    assert [login["id"] for login in found["logins"]] == [row[0] for row in stored]
    assert [login["used_at"] for login in found["logins"]] == [f"{row[1]:%Y-%m-%dT%H:%M:%S.%fZ}" for row in stored]
    ((bob, at),) = sql("SELECT user_id, created_at FROM idempotency_keys")
    assert found["requests"] == [{"at": f"{at:%Y-%m-%dT%H:%M:%S.%fZ}", "user_id": bob}]
    noted = ["user.registered", "login", "login.failed", "login", "user.changed"]
    assert [entry["action"] for entry in found["audit"]] == noted


def test_it_is_for_the_person_and_for_administrators_and_is_noted(api: Any, sql: Any, until: Any) -> None:
    ada, bob, eve = join(api, "Ada"), join(api, "Bob"), join(api, "Eve", sql, "auditor")
    root = join(api, "Root", sql, "admin")
    asked = [person("GET", f"/api/users/{ada.id}/export").status for person in (ada, bob, eve, root)]
    assert asked == [200, 403, 403, 200]
    assert root("GET", "/api/users/4711/export").status == 404
    noted = "SELECT actor FROM audit_log WHERE action = 'user.exported' AND subject = %s ORDER BY at"
    assert until(lambda: len(rows := sql(noted, ada.id)) == 2 and rows) == [(ada.id,), (root.id,)]


def test_a_user_without_an_account_can_be_exported(api: Any, sql: Any) -> None:
    root = join(api, "Root", sql, "admin")
    made = root("POST", "/api/users", {"name": "Ada", "email": "ada@example.com"}).json
    found = root("GET", f"/api/users/{made['id']}/export").json
    assert (found["user"], found["role"], found["logins"], found["requests"]) == (made, None, [], [])


def test_whoever_is_deleted_is_nowhere_any_more(api: Any, sql: Any, redis_server: Any, until: Any) -> None:
    zenobia = zenobia_of(api, sql)
    personal = [word for word in PERSONAL if word in all_rows(sql) + all_of_redis(redis_server)]
    assert personal == list(PERSONAL), "what is sought can be found"
    ((key_hash,),) = sql("SELECT key_hash FROM idempotency_keys")
    login = sql("SELECT id::text FROM logins LIMIT 1")[0][0]
    assert zenobia("DELETE", f"/api/users/{zenobia.id}").status == 204
    left = all_rows(sql) + all_of_redis(redis_server)
    assert [word for word in PERSONAL if word in left] == []
    assert bytes(key_hash).hex() not in left and login not in left
    assert zenobia("GET", f"/api/users/{zenobia.id}").status == 401
    tables = [table for table in left.splitlines() if table.startswith(("accounts", "logins", "idempotency_keys"))]
    assert tables == []
    (row,) = sql("SELECT actor, subject FROM audit_log WHERE action = 'user.deleted'")
    assert row == (zenobia.id, zenobia.id), "only the audit log knows that there was somebody"
