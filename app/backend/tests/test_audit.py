"""The audit log: who did what to whom, kept with the write itself, and who looked at whose data."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from backend.observability.instruments import Instruments
from backend.repository.audit import AuditRepository
from backend.repository.pool import Pool

from app.backend.tests.auth_help import PASSWORD, Person, join, log_in

ADA = {"name": "Ada Lovelace", "email": "ada@example.com"}
NOTED = "SELECT action, actor, subject, details FROM audit_log ORDER BY at, id"


@pytest.fixture
def api(start: Any) -> Any:
    return start(AUTH_REQUIRED="true").api


@pytest.fixture
def people(api: Any, sql: Any) -> Callable[[str, str], Person]:
    """Somebody new with a role, of whom the log knows nothing yet."""

    def make(name: str, role: str = "user") -> Person:
        made = join(api, name, sql, role)
        sql("DELETE FROM audit_log")
        return made

    return make


@contextmanager
def held(sql: Any) -> Iterator[None]:
    """Nobody gets at the log meanwhile."""
    sql("BEGIN")
    sql("LOCK TABLE audit_log IN ACCESS EXCLUSIVE MODE")
    try:
        yield
    finally:
        sql("COMMIT")


def test_every_write_of_a_user_is_noted_with_who_made_it(people: Any, sql: Any) -> None:
    root = people("Root", "admin")
    ada = root("POST", "/api/users", ADA, X_Correlation_Id="r-1").json["id"]
    root("PUT", f"/api/users/{ada}", ADA | {"email": "countess@example.com", "status": "inactive"})
    root("PATCH", f"/api/users/{ada}", {"name": "Ada King"}, Content_Type="application/merge-patch+json")
    root("PATCH", f"/api/users/{ada}", {"name": "Ada King"}, Content_Type="application/merge-patch+json")
    root("POST", "/api/users", ADA, Idempotency_Key="k")
    root("POST", "/api/users", ADA, Idempotency_Key="k")
    assert root("POST", "/api/users", ADA).status == 409
    assert root("PUT", f"/api/users/{ada}", ADA, If_Match='"1"').status == 412
    root("DELETE", f"/api/users/{ada}")
    assert sql(NOTED) == [
        ("user.created", root.id, ada, {}),
        ("user.changed", root.id, ada, {"fields": ["email", "status"]}),
        ("user.changed", root.id, ada, {"fields": ["name"]}),
        ("user.changed", root.id, ada, {"fields": []}),
        ("user.created", root.id, ada + 1, {}),
        ("user.deleted", root.id, ada, {}),
    ]
    assert sql("SELECT correlation_id FROM audit_log ORDER BY at LIMIT 1") == [("r-1",)]
    assert len(root("GET", "/api/audit").json["items"]) == 6, "all of them as the document says"


def test_every_write_of_an_account_is_noted_with_who_made_it(api: Any, people: Any, sql: Any) -> None:
    root = people("Root", "admin")
    ada = join(api, "Ada")
    root("PUT", f"/api/users/{ada.id}/role", {"role": "auditor"})
    assert ada("PUT", "/api/auth/password", {"current": PASSWORD, "new": "another long password"}).status == 204
    assert ada("PUT", "/api/auth/password", {"current": "wrong", "new": "a third long password"}).status == 401
    for _ in range(2):
        assert log_in(api, ada.email, "another long password").status == 200
    ada("POST", "/api/auth/logout")
    ada.tokens = log_in(api, ada.email, "another long password").json
    ada("POST", "/api/auth/logout?everywhere=true")
    assert sql(NOTED) == [
        ("user.registered", ada.id, ada.id, {}),
        ("login", ada.id, ada.id, {}),
        ("role.changed", root.id, ada.id, {"role": "auditor"}),
        ("password.changed", ada.id, ada.id, {}),
        ("login", ada.id, ada.id, {}),
        ("login", ada.id, ada.id, {}),
        ("logout", ada.id, ada.id, {}),
        ("login", ada.id, ada.id, {}),
        ("logout", ada.id, ada.id, {"everywhere": True}),
    ]
    assert len(root("GET", "/api/audit").json["items"]) == 9, "all of them as the document says"


def test_logins_that_fail_are_noted_with_whose_address_was_given(api: Any, people: Any, sql: Any, until: Any) -> None:
    ada = people("Ada")
    assert log_in(api, ada.email, "a wrong password").status == 401
    assert log_in(api, "nobody@example.com").status == 401
    until(lambda: len(sql(NOTED)) == 2)
    assert sql(NOTED) == [("login.failed", None, ada.id, {}), ("login.failed", None, None, {})]
    sql("UPDATE users SET status = 'suspended'")
    assert log_in(api, ada.email).status == 401
    until(lambda: sql(NOTED)[2:] == [("login.failed", None, ada.id, {})])


def test_a_refresh_token_that_comes_back_is_noted_as_nobodys_doing(api: Any, people: Any, sql: Any) -> None:
    ada = people("Ada")
    assert api("POST", "/api/auth/refresh", {"refresh_token": ada.tokens["refresh_token"]}).status == 200
    sql("UPDATE logins SET rotated_at = rotated_at - interval '1 minute'")
    assert api("POST", "/api/auth/refresh", {"refresh_token": ada.tokens["refresh_token"]}).status == 401
    assert sql(NOTED) == [("refresh.reused", None, ada.id, {})]


def test_what_an_operator_does_in_the_container_is_noted_too(api: Any, people: Any, launch: Any, sql: Any) -> None:
    ada = people("Ada")
    assert launch("role", ada.email, "admin", module="backend.accounts").ended()[0] == 0
    assert launch("password", ada.email, module="backend.accounts").ended("set by an operator\n")[0] == 0
    assert sql(NOTED) == [("role.changed", None, ada.id, {"role": "admin"}), ("password.changed", None, ada.id, {})]


def test_what_cannot_be_noted_does_not_happen(people: Any, sql: Any) -> None:
    root = people("Root", "admin")
    ada = root("POST", "/api/users", ADA).json["id"]
    sql("ALTER TABLE audit_log ADD CHECK (action = 'user.created') NOT VALID")
    tried = [
        root("PUT", f"/api/users/{ada}", ADA | {"name": "Ada King"}),
        root("DELETE", f"/api/users/{ada}"),
        root("PUT", f"/api/users/{root.id}/role", {"role": "user"}),
        root("POST", "/api/auth/logout"),
    ]
    assert [answer.status for answer in tried] == [500, 500, 500, 500]
    assert root("GET", f"/api/users/{ada}").json["name"] == "Ada Lovelace"
    assert root("GET", "/api/auth/me").json["role"] == "admin"


def test_looks_at_the_data_of_others_are_noted_and_at_ones_own_are_not(people: Any, sql: Any, until: Any) -> None:
    ada, eve = people("Ada"), people("Eve", "auditor")
    for path in (f"/api/users/{ada.id}", "/api/auth/me"):
        assert ada("GET", path).status == 200
    for _ in range(2):  # from the database, then from the cache
        assert eve("GET", f"/api/users/{ada.id}").status == 200
    assert eve("GET", "/api/users/4711").status == 404
    eve("GET", "/api/users?search=ada@example.com&status=active")
    until(lambda: len(sql(NOTED)) == 3)
    assert sql(NOTED) == [
        ("user.read", eve.id, ada.id, {}),
        ("user.read", eve.id, ada.id, {}),
        ("users.listed", eve.id, None, {"parameters": ["search", "status"], "users": 1}),
    ]


def test_a_look_does_not_wait_until_it_is_noted_and_is_noted_once_that_is_possible(
    start: Any, people: Any, sql: Any, until: Any
) -> None:
    ada, eve = people("Ada"), people("Eve", "auditor")
    running = start(AUTH_REQUIRED="true", DATABASE_LOCK_TIMEOUT="0.1")
    eve.api = running.api
    with held(sql):
        assert eve("GET", f"/api/users/{ada.id}").status == 200
        until(lambda: 'repository="AuditRepository",method="append",state="ERROR"' in _metrics(running))
        assert eve("GET", f"/api/users/{ada.id}").headers["X-Cache"] == "hit"
    until(lambda: len(sql(NOTED)) == 2)
    assert "audit_reads_lost_total 0" in _metrics(running)


def _metrics(running: Any) -> str:
    return str(running.management("GET", "/actuator/prometheus").content.decode())


def test_looks_that_wait_are_noted_before_the_process_ends(start: Any, people: Any, sql: Any) -> None:
    eve = people("Eve", "auditor")
    running = start(AUTH_REQUIRED="true")
    eve.api = running.api
    for _ in range(3):
        eve("GET", "/api/users")
    running.backend.close()
    assert [row[0] for row in sql(NOTED)] == ["users.listed"] * 3


def test_without_sign_in_there_is_nobody_whose_looks_could_be_noted(start: Any, sql: Any) -> None:
    running = start(AUTH_REQUIRED="false")
    user_id = running.api("POST", "/api/users", ADA).json["id"]
    running.api("GET", f"/api/users/{user_id}")
    running.api("GET", "/api/users")
    running.backend.close()
    assert sql(NOTED) == [("user.created", None, user_id, {})]


def test_pages_of_the_log_have_each_entry_once_the_latest_first(people: Any, sql: Any) -> None:
    eve = people("Eve", "auditor")
    sql(
        "INSERT INTO audit_log (at, action, subject) SELECT date_trunc('minute', now()) - n / 3 * interval '1 s',"
        " 'user.created', n FROM generate_series(1, 10) n"
    )
    seen, query = [], "limit=4&action=user.created"
    while True:
        page = eve("GET", f"/api/audit?{query}").json
        seen += page["items"]
        if page["next_cursor"] is None:
            break
        query = f"limit=4&action=user.created&cursor={page['next_cursor']}"
    assert sorted(entry["subject"] for entry in seen) == list(range(1, 11))
    assert seen == sorted(seen, key=lambda entry: (entry["at"], entry["id"]), reverse=True)
    refused = eve("GET", f"/api/audit?{query.replace('user.created', 'login')}")
    assert (refused.status, refused.json["code"]) == (400, "cursor_of_another_list")
    assert eve("GET", "/api/audit?cursor=bm90aGluZw").json["code"] == "not_a_cursor"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("subject=7", [0, 2]),
        ("actor=8", [1, 2]),
        ("action=login", [0]),
        ("action=login,logout", [0, 1]),
        ("from=2026-03-02T00:00:00Z", [1, 2]),
        ("to=2026-03-02T00:00:00Z", [0]),
        ("subject=7&actor=8&from=2026-03-02T00:00:00Z&to=2026-03-04T00:00:00Z", [2]),
    ],
)
def test_the_log_is_narrowed_by_whom_what_and_when(people: Any, sql: Any, query: str, found: list[int]) -> None:
    eve = people("Eve", "auditor")
    rows = [("2026-03-01", "login", 7, 7), ("2026-03-02", "logout", 8, 9), ("2026-03-03", "user.changed", 8, 7)]
    for row in rows:
        sql("INSERT INTO audit_log (at, action, actor, subject) VALUES (%s, %s, %s, %s)", *row)
    items = eve("GET", f"/api/audit?to=2026-04-01T00:00:00Z&{query}").json["items"]
    assert [(e["at"][:10], e["action"], e["actor"], e["subject"]) for e in reversed(items)] == [rows[n] for n in found]


def test_the_log_is_for_auditors_and_administrators_and_tells_who_read_it(people: Any, sql: Any, until: Any) -> None:
    ada, eve = people("Ada"), people("Eve", "auditor")
    assert ada("GET", "/api/audit").status == 403
    assert eve("GET", f"/api/audit?subject={ada.id}").status == 200
    until(lambda: sql(NOTED) == [("audit.listed", eve.id, ada.id, {"entries": 0})])


def test_the_log_outlives_the_user_and_holds_nothing_personal(api: Any, people: Any, sql: Any) -> None:
    root, ada = people("Root", "admin"), people("Ada")
    ada("PATCH", f"/api/users/{ada.id}", {"name": "Augusta"}, Content_Type="application/merge-patch+json")
    root("GET", f"/api/users?search={ada.email}")
    ada("DELETE", f"/api/users/{ada.id}")
    items = root("GET", f"/api/audit?subject={ada.id}").json["items"]
    assert [entry["action"] for entry in items] == ["user.deleted", "user.changed"]
    text = str(sql("SELECT audit_log::text FROM audit_log"))
    assert not [personal for personal in ("Ada", "Augusta", "example.com", "127.0.0.1") if personal in text]


# -- partitions

PARTITIONS = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'audit_log'::regclass ORDER BY 1"


def _months(sql: Any, *ahead: int) -> list[str]:
    """The names of the partitions of the months so many after this one."""
    this = "date_trunc('month', now() AT TIME ZONE 'UTC')"
    return [
        sql(f"SELECT to_char({this} + make_interval(months => %s), '\"audit_log_\"YYYY_MM')", n)[0][0] for n in ahead
    ]


def _make_month(sql: Any, name: str) -> None:
    day = name.removeprefix("audit_log_").replace("_", "-") + "-01"
    until = f"(timestamp '{day}' + interval '1 month') AT TIME ZONE 'UTC'"
    sql(f"CREATE TABLE {name} PARTITION OF audit_log FOR VALUES FROM ('{day} 00:00Z') TO ({until})")


@pytest.fixture
def log(database: Any) -> Iterator[AuditRepository]:
    pool = Pool(database)
    yield AuditRepository(pool, Instruments().invocations)
    pool.close()


def test_the_migration_makes_the_months_that_writes_need_first(sql: Any, log: AuditRepository) -> None:
    made = [name for (name,) in sql(PARTITIONS)]
    assert made == [*_months(sql, 0, 1, 2), "audit_log_default"]
    assert log.keep(24) == ([], []), "and there is nothing left to do"


def test_a_month_that_is_made_late_takes_over_what_was_caught_meanwhile(sql: Any, log: AuditRepository) -> None:
    (this_month,) = _months(sql, 0)
    sql(f"DROP TABLE {this_month}")
    sql("INSERT INTO audit_log (action) VALUES ('login')")
    assert sql("SELECT count(*) FROM audit_log_default") == [(1,)]
    assert log.keep(24) == ([this_month], [])
    assert sql("SELECT tableoid::regclass::text, action FROM audit_log") == [(this_month, "login")]


def test_months_past_the_retention_are_dropped_whole(sql: Any, log: AuditRepository) -> None:
    kept, old, older = _months(sql, -2, -3, -30)
    for name in (kept, old, older):
        _make_month(sql, name)
    sql("INSERT INTO audit_log (at, action) SELECT now() - n * interval '1 month', 'login' FROM unnest(ARRAY[1, 5]) n")
    assert log.keep(2) == ([], sorted([old, older]))
    assert kept in [name for (name,) in sql(PARTITIONS)]
    assert sql("SELECT count(*) FROM audit_log") == [(1,)], "what was caught without a partition goes, too"


def test_several_processes_keep_the_partitions_at_once_while_others_write(sql: Any, database: Any) -> None:
    for name in _months(sql, 0, 1, 2):
        sql(f"DROP TABLE {name}")
    pool = Pool(database)
    log, results = AuditRepository(pool, Instruments().invocations), []
    together = threading.Barrier(6)

    def keep() -> None:
        together.wait(10)
        results.append(len(log.keep(24)[0]))

    def write() -> None:
        together.wait(10)
        for _ in range(50):
            sql_of_its_own("INSERT INTO audit_log (action) VALUES ('login')")

    def sql_of_its_own(statement: str) -> None:
        with pool.lend() as pooled, pooled.connection.cursor() as cursor:
            cursor.execute(statement)

    threads = [threading.Thread(target=task) for task in (keep, keep, keep, write, write, write)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [0, 0, 3]
    assert sql("SELECT count(*) FROM audit_log") == [(150,)]
    pool.close()


def test_the_service_sees_to_the_partitions_itself(start: Any, sql: Any, until: Any) -> None:
    (old, *_), ahead = _months(sql, -13), _months(sql, 2)[0]
    sql(f"DROP TABLE {ahead}")
    _make_month(sql, old)
    start(AUDIT_RETENTION_MONTHS="12")
    until(lambda: (ahead,) in sql(PARTITIONS) and (old,) not in sql(PARTITIONS))
