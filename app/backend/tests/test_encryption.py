"""The service with PII_KEYS: names and addresses are sealed in the database, and everything goes on as before."""

from __future__ import annotations

import base64
import json
from contextlib import closing
from typing import Any

import pytest
from backend.migrations.runner import connect, undo
from backend.migrations.scripts import SQL_FOLDER, MigrationError, scripts_in

from app.backend.tests.auth_help import PASSWORD, join, log_in
from app.backend.tests.test_export import PERSONAL, all_rows, zenobia_of

ADA = {"name": "Ada Lovelace", "email": "ada@example.com"}
MERGE = "application/merge-patch+json"
FIELDS = "SELECT details->'fields' FROM audit_log WHERE action = 'user.changed' ORDER BY at"


def keys(*kids: str) -> str:
    """PII_KEYS with the index key and these; the last one seals."""
    made = [{"kid": kid, "key": base64.b64encode(kid.encode() * 32).decode()} for kid in ("index", *kids)]
    for number, key in enumerate(made[2:]):
        key["signs_from"] = f"202{number}-01-01T00:00:00Z"
    return json.dumps(made)


@pytest.fixture
def sealed(start: Any) -> Any:
    """A service with keys."""
    return start(PII_KEYS=keys("k1")).api


@pytest.fixture
def encrypt(launch: Any) -> Any:
    """Runs the operator's command: exit status and what it said."""

    def run(*arguments: str, **changes: str) -> tuple[int, str]:
        status, output, errors = launch("encrypt", *arguments, module="backend.accounts", **changes).ended()
        return status, output + errors

    return run


def test_nothing_personal_can_be_read_in_the_database(start: Any, sql: Any) -> None:
    api = start(PII_KEYS=keys("k1"), AUTH_REQUIRED="true").api
    zenobia = zenobia_of(api, sql)
    assert [word for word in PERSONAL if word in all_rows(sql)] == []
    found = zenobia("GET", f"/api/users/{zenobia.id}").json
    assert (found["name"], found["email"]) == ("Zenobia of Palmyra", "zenobia@example.com")
    assert zenobia("GET", f"/api/users/{zenobia.id}/export").json["user"] == found
    assert zenobia("GET", "/api/auth/me").json["user"] == found


def test_nothing_personal_can_be_read_in_redis_and_other_processes_find_their_copies(
    start: Any, sql: Any, redis_server: Any, until: Any
) -> None:
    zenobia = zenobia_of(start(PII_KEYS=keys("k1"), AUTH_REQUIRED="true").api, sql)
    first = zenobia("GET", f"/api/users/{zenobia.id}")
    client = redis_server.client(text=False)
    until(lambda: client.exists(f"user:{{{zenobia.id}}}"))
    stored = {key: client.get(key) for key in client.scan_iter() if client.type(key) == b"string"}
    assert [word for word in PERSONAL if word in str(stored)] == []
    zenobia.api = start(PII_KEYS=keys("k1"), AUTH_REQUIRED="true").api
    second = zenobia("GET", f"/api/users/{zenobia.id}")
    assert (second.headers["X-Cache"], second.content) == ("hit", first.content)


def test_who_has_no_key_for_a_copy_takes_it_for_none(start: Any, sealed: Any, redis_server: Any, until: Any) -> None:
    client = redis_server.client(text=False)
    ada = sealed("POST", "/api/users", ADA).json["id"]
    key = f"user:{{{ada}}}"
    sealed("GET", f"/api/users/{ada}")
    until(lambda: client.exists(key))
    both = start(PII_KEYS=keys("k1", "k2"), NEAR_CACHE_ROWS="0").api
    assert both("GET", f"/api/users/{ada}").headers["X-Cache"] == "hit"
    client.set(key, b"1:\x01k0:" + b"x" * 200)
    answer = both("GET", f"/api/users/{ada}")
    assert (answer.headers["X-Cache"], answer.json["name"]) == ("miss", "Ada Lovelace")
    until(lambda: client.get(key).startswith(b"1:\x01k2:"))  # and leaves a good one


def test_a_login_finds_its_address_whatever_the_case(start: Any) -> None:
    api = start(PII_KEYS=keys("k1"), AUTH_REQUIRED="true").api
    ada = join(api, "Ada")
    assert log_in(api, ada.email.upper()).status == 200
    again = api("POST", "/api/auth/register", {"name": "A", "email": ada.email.upper(), "password": PASSWORD})
    assert (again.status, again.json["code"]) == (409, "already_taken")


def test_each_address_belongs_to_one_user(sealed: Any) -> None:
    assert sealed("POST", "/api/users", ADA).status == 201
    bob = sealed("POST", "/api/users", {"name": "Bob", "email": "bob@example.com"}).json["id"]
    taken = {"name": "Bob", "email": "ADA@example.com"}
    for answer in (
        sealed("POST", "/api/users", taken),
        sealed("POST", "/api/users", taken, Idempotency_Key="k"),
        sealed("PUT", f"/api/users/{bob}", taken),
    ):
        assert (answer.status, answer.json["code"]) == (409, "already_taken")
    assert sealed("PUT", f"/api/users/{bob}", taken | {"email": "BOB@example.com"}).status == 200


def test_an_address_in_the_clear_is_taken_as_well(start: Any, sealed: Any) -> None:
    plain = start().api
    ada = plain("POST", "/api/users", ADA, Idempotency_Key="k")
    bob = sealed("POST", "/api/users", {"name": "Bob", "email": "bob@example.com"}).json["id"]
    taken = {"name": "Bob", "email": "ADA@example.com"}
    registration = taken | {"password": PASSWORD}
    for answer in (
        sealed("POST", "/api/users", taken),
        sealed("POST", "/api/users", taken, Idempotency_Key="l"),
        sealed("POST", "/api/auth/register", registration),
        sealed("PUT", f"/api/users/{bob}", taken),
    ):
        assert (answer.status, answer.json["code"]) == (409, "already_taken")
    assert sealed("POST", "/api/users", ADA, Idempotency_Key="k").content == ada.content, "sent again, it is itself"


@pytest.mark.parametrize("who", ["sealed", "in the clear"])
@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("ada@EXAMPLE.com", ["Ada Lovelace"]),
        ("LOVE", ["Ada Lovelace"]),
        ("lo a", ["Ada Lovelace"]),
        ("ovel", []),
        ("ad", ["Ada Lovelace", "Adam"]),
    ],
)
def test_a_search_finds_who_is_sealed_and_who_is_not(
    start: Any, sealed: Any, who: str, search: str, found: list[str]
) -> None:
    writer = sealed if who == "sealed" else start().api
    for name, email in (("Ada Lovelace", "ada@example.com"), ("Adam", "adam@example.com")):
        assert writer("POST", "/api/users", {"name": name, "email": email}).status == 201
    items = sealed("GET", f"/api/users?sort=created_at&search={search.replace('@', '%40')}").json["items"]
    assert [user["name"] for user in items] == found


def test_the_database_cannot_sort_by_sealed_names_and_the_document_does_not_offer_it(start: Any, sealed: Any) -> None:
    answer = sealed("GET", "/api/users?sort=name")
    assert (answer.status, answer.json["code"]) == (400, "not_a_choice")
    assert answer.json["detail"] == "The order must be one of created_at, -created_at, updated_at, -updated_at."

    def offered(api: Any) -> list[str]:
        parameters = api("GET", "/api/openapi.json").json["paths"]["/api/users"]["get"]["parameters"]
        (sort,) = (one for one in parameters if one["name"] == "sort")
        return list(sort["schema"]["enum"])

    assert "name" not in offered(sealed)
    assert "name" in offered(start().api)


@pytest.mark.parametrize("before", ["sealed", "in the clear"])
def test_the_audit_log_tells_what_changed_though_each_sealing_is_another_text(
    start: Any, sealed: Any, sql: Any, before: str
) -> None:
    writer = sealed if before == "sealed" else start().api
    ada = writer("POST", "/api/users", ADA).json["id"]
    sealed("PUT", f"/api/users/{ada}", ADA)
    sealed("PUT", f"/api/users/{ada}", ADA | {"name": "Ada King"})
    sealed("PATCH", f"/api/users/{ada}", {"email": "countess@example.com"}, Content_Type=MERGE)
    assert sql(FIELDS) == [([],), (["name"],), (["email"],)]
    assert "countess" not in all_rows(sql)


def test_a_value_that_was_moved_to_another_user_is_never_shown(sealed: Any, sql: Any) -> None:
    ada = sealed("POST", "/api/users", ADA).json["id"]
    bob = sealed("POST", "/api/users", {"name": "Bob", "email": "bob@example.com"}).json["id"]
    sql("UPDATE users SET name = (SELECT name FROM users WHERE id = %s) WHERE id = %s", ada, bob)
    answer = sealed("GET", f"/api/users/{bob}")
    assert (answer.status, answer.json["code"]) == (500, "internal_error")
    assert b"Ada" not in answer.content


def test_an_operator_seals_who_was_there_before_while_all_can_be_read(
    start: Any, sealed: Any, sql: Any, encrypt: Any
) -> None:
    plain = start().api
    people = [{"name": f"Zenobia {n}", "email": f"zenobia{n}@palmyra.org"} for n in range(3)]
    made = [plain("POST", "/api/users", person).json for person in people]
    assert encrypt("--check", PII_KEYS=keys("k1")) == (1, "3 users are left to encrypt.\n")
    rows = "SELECT version, updated_at FROM users ORDER BY id"
    before = sql(rows)
    assert sealed("GET", "/api/users?sort=created_at").json["items"] == made
    assert encrypt(PII_KEYS=keys("k1")) == (0, "Done.\n")
    assert encrypt("--check", PII_KEYS=keys("k1")) == (0, "Done.\n")
    assert [word for word in PERSONAL if word in all_rows(sql)] == []
    assert sql(rows) == before, "for clients nothing has changed"
    assert sealed("GET", "/api/users?sort=created_at").json["items"] == made
    assert sealed("GET", "/api/users?search=zenobia2@palmyra.org").json["items"] == made[2:]
    assert len(sealed("GET", "/api/users?search=zen").json["items"]) == 3


def test_more_users_than_a_batch_are_sealed_and_a_second_run_goes_on_where_the_first_was_ended(
    sql: Any, encrypt: Any
) -> None:
    people = "SELECT 'Zenobia', 'zenobia' || n || '@palmyra.org' FROM generate_series(1, 1100) n"
    sql(f"INSERT INTO users (name, email) {people}")
    sql("UPDATE users SET name = E'\\x01k0:AAAA' WHERE id = 700")
    status, said = encrypt(PII_KEYS=keys("k1"))
    assert (status, said) == (1, "the name of user 700 is sealed with the key k0, which is not in PII_KEYS\n")
    assert encrypt("--check", PII_KEYS=keys("k1")) == (1, "600 users are left to encrypt.\n")
    sql("UPDATE users SET name = 'Zenobia' WHERE id = 700")
    assert encrypt(PII_KEYS=keys("k1")) == (0, "Done.\n")
    assert [word for word in PERSONAL if word in all_rows(sql)] == []


def test_a_new_key_seals_from_then_on_and_the_command_takes_the_old_one_out_of_use(
    start: Any, sealed: Any, sql: Any, encrypt: Any
) -> None:
    ada = sealed("POST", "/api/users", ADA).json
    rotated = start(PII_KEYS=keys("k1", "k2")).api
    rotated("POST", "/api/users", {"name": "Bob", "email": "bob@example.com"})
    assert sorted(name[:4] for (name,) in sql("SELECT name FROM users")) == ["\x01k1:", "\x01k2:"]
    assert rotated("POST", "/api/users", ADA).status == 409
    assert encrypt("--check", PII_KEYS=keys("k1", "k2")) == (1, "1 users are left to encrypt.\n")
    assert encrypt(PII_KEYS=keys("k1", "k2")) == (0, "Done.\n")
    later = start(PII_KEYS=keys("k2"), REDIS_HOST="").api
    assert later("GET", f"/api/users/{ada['id']}").json == ada


def test_users_with_one_address_are_named_and_nobody_else_is_kept_from_being_sealed(
    sealed: Any, sql: Any, encrypt: Any
) -> None:
    sql("INSERT INTO users (name, email) VALUES ('Ada', 'ada@example.com'), ('Bob', 'bob@example.com')")
    assert encrypt(PII_KEYS=keys("k1"))[0] == 0
    # What a process without keys may do while others have them.
    sql("INSERT INTO users (name, email) VALUES ('Eve', 'ADA@example.com'), ('Kim', 'kim@example.com')")
    status, said = encrypt(PII_KEYS=keys("k1"))
    assert (status, said) == (1, "The users 3 have an address that another user has, too: change or delete one.\n")
    assert encrypt("--check", PII_KEYS=keys("k1")) == (1, "1 users are left to encrypt.\n")
    for change in ({"status": "inactive"}, {"email": "eve@example.com"}):
        assert sealed("PATCH", "/api/users/3", change, Content_Type=MERGE).status == 200
    assert encrypt(PII_KEYS=keys("k1")) == (0, "Done.\n")


def test_without_a_key_that_seals_there_is_nothing_to_encrypt_with(encrypt: Any) -> None:
    assert encrypt() == (1, "PII_KEYS has no key that seals by now.\n")


def test_who_has_no_keys_any_more_shows_no_sealed_value_and_cannot_undo_the_migration(
    start: Any, sealed: Any, database: Any
) -> None:
    ada = sealed("POST", "/api/users", ADA).json["id"]
    answer = start(REDIS_HOST="").api("GET", f"/api/users/{ada}")
    assert (answer.status, answer.json["code"]) == (500, "internal_error")
    with (
        closing(connect(database)) as connection,
        pytest.raises(MigrationError, match="there are sealed users, which no earlier release can read"),
    ):
        undo(connection, scripts_in(SQL_FOLDER), 5, "6")


def test_wrong_keys_are_named_without_being_shown(launch: Any) -> None:
    status, _, said = launch(PII_KEYS='[{"kid": "index", "key": "hush"}]').ended()
    assert (status, "PII_KEYS: key 1 (index)" in said, "hush" in said) == (2, True, False)
