"""What clients see of a database that is slow, locked, full, restarted or cut off, on real servers."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg2
import pytest
from backend.repository.access import read, write
from backend.repository.failures import ConnectionLost
from backend.repository.pool import Pool
from backend.repository.statements import Statement

ADA = {"name": "Ada Lovelace", "email": "ada@example.com"}
OPERATIONS = [
    ("GET", "/api/users", None),
    ("POST", "/api/users", {"name": "Bob", "email": "bob@example.com"}),
    ("GET", "/api/users/1", None),
    ("PUT", "/api/users/1", ADA),
    ("DELETE", "/api/users/1", None),
]


@pytest.fixture
def other(database: Any) -> Iterator[Any]:
    """Another client's session, in a transaction."""
    with closing(session(database)) as connection:
        yield connection


@pytest.fixture
def own_postgres(postgres: Any) -> Any:
    """PostgreSQL, alive again afterwards."""
    yield postgres
    postgres.stop()
    postgres.start()


def session(database: Any) -> Any:
    return psycopg2.connect(
        host=database.host, port=database.port, dbname=database.name, user="app", password=database.password
    )


def trouble(answer: Any) -> tuple[int, str, str | None]:
    return answer.status, answer.json["code"], answer.headers.get("Retry-After")


@pytest.mark.parametrize(("method", "path", "body"), OPERATIONS)
@pytest.mark.parametrize("limit", ["lock", "statement"])
def test_a_time_limit_of_the_database_is_a_503_that_says_busy(
    start: Any, other: Any, caplog: Any, limit: str, method: str, path: str, body: Any
) -> None:
    api = start(**{f"DATABASE_{limit.upper()}_TIMEOUT": "0.1"}).api
    api("POST", "/api/users", ADA)
    other.cursor().execute("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
    assert trouble(api(method, path, body)) == (503, "database_busy", "1")
    assert f"database busy: canceling statement due to {limit} timeout" in caplog.text
    other.rollback()
    assert api(method, path, body).status < 300


def test_a_database_that_takes_no_more_connections_is_unavailable(start: Any, sql: Any) -> None:
    sql("DROP ROLE IF EXISTS crowded")
    sql("CREATE ROLE crowded LOGIN PASSWORD 's3cret-pa55' CONNECTION LIMIT 0")
    api = start(DATABASE_USER="crowded").api
    assert trouble(api("GET", "/api/users")) == (503, "database_unavailable", "2")


def test_a_migration_that_holds_its_history_makes_health_wait_no_longer_than_the_limit(start: Any, other: Any) -> None:
    running = start(DATABASE_LOCK_TIMEOUT="0.1")
    other.cursor().execute("LOCK TABLE flyway_schema_history IN ACCESS EXCLUSIVE MODE")
    components = running.management("GET", "/actuator/health").json["components"]
    assert (components["db"]["status"], components["migrations"]["status"]) == ("UP", "DOWN")


# -- statements sent again. Attempts are counted by a sequence, which no rollback takes back.

KILLS_ITS_OWN_SESSION_ONCE = Statement(
    "kills", (), "SELECT CASE WHEN nextval('attempts') = 1 THEN pg_terminate_backend(pg_backend_pid()) END"
)
ALWAYS_KILLS_ITS_OWN_SESSION = Statement(
    "always_kills", (), "SELECT nextval('attempts'), pg_terminate_backend(pg_backend_pid())"
)
CREATE = Statement(
    "create_bob", (), "INSERT INTO users (name, email) VALUES ('Bob', 'bob@example.com') RETURNING version"
)


@pytest.fixture
def pool(database: Any, sql: Any) -> Iterator[Pool]:
    """A pool in which no time passes, so that every connection that was used is trusted."""
    sql("CREATE SEQUENCE attempts")
    pool = Pool(dataclasses.replace(database, pool_size=2, pool_min_idle=0), clock=lambda: 1000.0)
    yield pool
    pool.close()


def attempts(sql: Any) -> int:
    ((last, called),) = sql("SELECT last_value, is_called FROM attempts")
    return int(last) if called else 0


def on_users(sql: Any, body: str) -> None:
    """Runs a piece of PL/pgSQL before each insert of a user."""
    sql(f"CREATE FUNCTION hindrance() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} RETURN NEW; END $$")
    sql("CREATE TRIGGER hindrance BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION hindrance()")


def kill_idle(sql: Any, until: Any) -> None:
    """Ends the pool's sessions, and waits until they are gone."""
    ours = "FROM pg_stat_activity WHERE application_name = 'capstan-backend' AND datname = current_database()"
    sql(f"SELECT pg_terminate_backend(pid) {ours}")
    until(lambda: sql(f"SELECT count(*) {ours}") == [(0,)])


def test_a_read_whose_connection_died_is_sent_once_more(pool: Pool, sql: Any) -> None:
    assert read(pool, KILLS_ITS_OWN_SESSION_ONCE) == [(None,)]
    assert attempts(sql) == 2


def test_a_read_is_not_sent_a_third_time(pool: Pool, sql: Any) -> None:
    with pytest.raises(ConnectionLost):
        read(pool, ALWAYS_KILLS_ITS_OWN_SESSION)
    assert attempts(sql) == 2


def test_a_write_whose_answer_was_lost_is_never_sent_again(pool: Pool, sql: Any) -> None:
    on_users(sql, "PERFORM nextval('attempts'), pg_terminate_backend(pg_backend_pid());")
    with pytest.raises(ConnectionLost):
        write(pool, CREATE)
    assert attempts(sql) == 1


def test_a_write_goes_out_on_another_connection_where_its_own_is_known_to_be_dead(
    pool: Pool, sql: Any, until: Any
) -> None:
    with pool.lend() as trusted:
        pid = trusted.connection.info.backend_pid
    kill_idle(sql, until)
    assert write(pool, CREATE) == [(1,)]
    with pool.lend() as another:
        assert another.connection.info.backend_pid != pid


@pytest.mark.parametrize("sqlstate", ["40001", "40P01"])
def test_a_write_that_the_server_undid_for_a_clash_is_sent_again_three_times(
    pool: Pool, sql: Any, sqlstate: str
) -> None:
    clash = f"RAISE EXCEPTION 'clash' USING ERRCODE = '{sqlstate}';"
    on_users(sql, f"IF nextval('attempts') < 4 THEN {clash} END IF;")
    assert write(pool, CREATE) == [(1,)]
    assert attempts(sql) == 4


def test_a_write_that_clashes_a_fourth_time_is_a_busy_database(start: Any, pool: Pool, sql: Any) -> None:
    on_users(sql, "PERFORM nextval('attempts'); RAISE EXCEPTION 'clash' USING ERRCODE = '40001';")
    assert trouble(start().api("POST", "/api/users", ADA)) == (503, "database_busy", "1")
    assert attempts(sql) == 4


@pytest.mark.parametrize("send", [read, write])
def test_a_restarted_server_costs_the_next_request_nothing(pool: Pool, own_postgres: Any, send: Any) -> None:
    asked = Statement("asked", (), "SELECT 1")
    assert send(pool, asked) == [(1,)]
    own_postgres.stop()
    own_postgres.start()
    assert send(pool, asked) == [(1,)]


def test_under_traffic_a_restart_is_a_503_at_most_and_nothing_is_done_twice(
    start: Any, own_postgres: Any, until: Any, database: Any
) -> None:
    api, stop = start(DATABASE_CONNECTION_TIMEOUT="1").api, threading.Event()
    made: list[tuple[str, int]] = []
    read_statuses: list[int] = []

    def write_users(writer: int) -> None:
        number = 0
        while not stop.is_set():
            email = f"user-{writer}-{number}@example.com"
            made.append((email, api("POST", "/api/users", {"name": "User", "email": email}).status))
            number += 1

    def read_users() -> None:
        while not stop.is_set():
            read_statuses.append(api("GET", "/api/users?limit=1").status)

    threads = [threading.Thread(target=write_users, args=(writer,)) for writer in range(2)]
    threads.append(threading.Thread(target=read_users))
    for thread in threads:
        thread.start()
    until(lambda: len(made) > 20 and len(read_statuses) > 10)
    own_postgres.stop()
    until(lambda: made[-1][1] == 503)
    own_postgres.start()
    until(lambda: made[-1][1] == 201 and read_statuses[-1] == 200)
    stop.set()
    for thread in threads:
        thread.join(20)
    # A write that was repeated after it had been carried out would have met its own address: 409.
    assert {status for _, status in made} == {201, 503}
    assert set(read_statuses) <= {200, 503}
    with closing(session(database)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT email FROM users")
        stored = {email for (email,) in cursor.fetchall()}
    assert {email for email, status in made if status == 201} <= stored
