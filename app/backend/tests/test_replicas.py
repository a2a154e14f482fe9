"""Reads from a streaming replica: how fresh it is, what a writer sees, and what the cache is given."""

from __future__ import annotations

import dataclasses
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import psycopg2
import pytest
from backend.cache.link import Link
from backend.cache.wire import SingleWire
from backend.entities import Origin, UserFields
from backend.errors import DatabaseBusy
from backend.observability.instruments import Instruments
from backend.repository.access import read
from backend.repository.pool import Pool, connect
from backend.repository.replicas import (
    NotAReplica,
    Replica,
    Replicas,
)
from backend.repository.statements import Statement
from backend.repository.users import UserRepository
from backend.service.users import UserService

from app.backend.tests.parts import Clock, service_of, wire_settings
from app.backend.tests.servers import Postgres, scratch_folder

ADA = {"name": "Ada Lovelace", "email": "ada@example.com"}
ADA_KING = {"name": "Ada King", "email": "ada@example.com"}
PAGE = 8192

Query = Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    """The primary."""
    with scratch_folder("capstan-primary-") as folder:
        server = Postgres(folder)
        yield server
        server.stop()


@pytest.fixture(scope="module")
def standby(postgres: Postgres) -> Iterator[Postgres]:
    """Its replica."""
    with scratch_folder("capstan-standby-") as folder:
        server = Postgres(folder, primary=postgres)
        yield server
        server.stop()


@pytest.fixture
def copy(database: Any, standby: Postgres, until: Any) -> Any:
    """The test's database on the replica, which has its schema."""
    found = standby.database(database.name)

    def has_schema() -> bool:
        try:
            with closing(connect(found)) as connection, connection.cursor() as cursor:
                cursor.execute("SELECT 1 FROM flyway_schema_history WHERE version = '3'")
                return bool(cursor.fetchall())
        except psycopg2.Error:
            return False

    until(has_schema)
    return found


@pytest.fixture
def on_copy(copy: Any) -> Iterator[Query]:
    """Runs a statement on the replica."""
    with closing(connect(copy)) as connection, connection.cursor() as cursor:

        def run(statement: str) -> list[tuple[Any, ...]]:
            cursor.execute(statement)
            return list(cursor.fetchall())

        yield run


@pytest.fixture
def pause(on_copy: Query, until: Any) -> Iterator[Callable[[], None]]:
    """Lets the replica replay nothing any more, until the test ends or resumes it."""

    def pauser() -> None:
        on_copy("SELECT pg_wal_replay_pause()")
        until(lambda: on_copy("SELECT pg_get_wal_replay_pause_state()") == [("paused",)])

    yield pauser
    on_copy("SELECT pg_wal_replay_resume()")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def replica(database: Any, copy: Any, clock: Clock) -> Iterator[Replica]:
    """The replica, looked at only when a test does, in a time that passes only when a test says so."""
    found = Replica(database, copy, Pool(dataclasses.replace(copy, pool_min_idle=0)), clock=clock)
    yield found
    found.close()


@pytest.fixture
def replicas(replica: Replica, clock: Clock) -> Replicas:
    return Replicas([replica], clock=clock)


def fresh_now(replica: Replica, clock: Clock) -> Callable[[], bool]:
    """Looks once; whether all that was committed by now is on the replica."""

    def look() -> bool:
        replica.look()
        return replica.fresh_as_of >= clock.now

    return look


# -- decisions


def test_whenever_a_replica_is_called_fresh_all_that_was_committed_is_on_it(
    replica: Replica, clock: Clock, sql: Any, on_copy: Query, until: Any
) -> None:
    sql("CREATE TABLE counted (number integer)")
    for number in range(150):
        sql("INSERT INTO counted VALUES (%s)", number)
        clock.now += 0.001
        until(fresh_now(replica, clock))
        assert on_copy("SELECT max(number) FROM counted") == [(number,)]


def test_a_replica_that_does_not_replay_gets_old_and_fresh_again(
    replica: Replica, replicas: Replicas, clock: Clock, sql: Any, pause: Any, on_copy: Query, until: Any
) -> None:
    until(fresh_now(replica, clock))
    pause()
    clock.now += 0.3
    sql("CREATE TABLE not_there_yet ()")
    replica.look()
    assert (replica.fresh_as_of, replicas.fresh()) == (1000.0, 1)
    clock.now += 0.8
    replica.look()
    assert (replica.fresh_as_of, replicas.fresh()) == (1000.0, 0)
    on_copy("SELECT pg_wal_replay_resume()")
    until(fresh_now(replica, clock))
    assert on_copy("SELECT to_regclass('not_there_yet')::text") == [("not_there_yet",)]


def test_what_is_committed_at_the_moment_that_is_noted_counts_as_not_there_until_it_is(
    database: Any, copy: Any, clock: Clock, sql: Any, pause: Any, until: Any
) -> None:
    sql("CREATE TABLE counted (number integer)")

    def committing_clock() -> float:
        sql("INSERT INTO counted VALUES (1)")
        return clock.now

    replica = Replica(database, copy, Pool(copy), clock=clock)
    until(fresh_now(replica, clock))
    pause()
    clock.now += 0.1
    replica._clock = committing_clock
    replica.look()
    assert replica.fresh_as_of == 1000.0
    replica.close()


def test_a_replica_that_comes_back_with_less_than_it_had_is_less_fresh(
    replica: Replica, clock: Clock, sql: Any, pause: Any, until: Any
) -> None:
    until(fresh_now(replica, clock))
    pause()
    sql("CREATE TABLE never_replayed ()")
    clock.now += 0.1
    replica.fresh_as_of = clock.now
    replica.look()
    assert replica.fresh_as_of == 1000.0


def test_a_replica_is_fresh_though_nothing_is_written_after_a_switch_of_files(
    replica: Replica, clock: Clock, sql: Any, until: Any
) -> None:
    sql("CREATE TABLE before_the_switch ()")
    sql("SELECT pg_switch_wal()")
    clock.now += 0.1
    until(fresh_now(replica, clock), 10)


def test_a_server_that_is_no_replica_is_not_read_from(database: Any, clock: Clock) -> None:
    wrong = Replica(database, database, Pool(database), clock=clock)
    wrong.fresh_as_of = clock.now
    with pytest.raises(NotAReplica, match="is no replica"):
        wrong.look()
    assert not wrong.is_fresh()


def test_a_replica_that_does_not_answer_is_not_read_from(database: Any, copy: Any, clock: Clock) -> None:
    away = Replica(database, dataclasses.replace(copy, port=1), Pool(copy), clock=clock)
    away.fresh_as_of = clock.now
    with pytest.raises(psycopg2.OperationalError, match="refused"):
        away.look()
    assert not away.is_fresh()


def test_without_the_primary_a_replica_is_read_from_until_it_is_too_old(database: Any, copy: Any, clock: Clock) -> None:
    orphan = Replica(dataclasses.replace(database, port=1), copy, Pool(copy), clock=clock)
    orphan.fresh_as_of = clock.now
    clock.now += 0.9
    with pytest.raises(psycopg2.OperationalError, match="refused"):
        orphan.look()
    assert orphan.is_fresh()
    clock.now += 0.2
    assert not orphan.is_fresh()


# -- reads


def hindered(sql: Any, until: Any, on_copy: Query, sqlstate: str) -> Statement:
    """A statement that fails on a replica with that state."""
    sql(
        "CREATE FUNCTION answer() RETURNS text LANGUAGE plpgsql AS $$ BEGIN IF pg_is_in_recovery() THEN"
        f" RAISE EXCEPTION 'hindered' USING ERRCODE = '{sqlstate}'; END IF; RETURN 'from the primary'; END $$"
    )
    until(lambda: on_copy("SELECT 1 FROM pg_proc WHERE proname = 'answer'"))
    return Statement("answer", (), "SELECT answer()")


@pytest.mark.parametrize("sqlstate", ["40001", "57P01"])
def test_a_read_that_the_replica_breaks_off_is_answered_by_the_primary(
    replica: Replica, database: Any, sql: Any, on_copy: Query, until: Any, sqlstate: str
) -> None:
    statement = hindered(sql, until, on_copy, sqlstate)
    with closing(Pool(database)) as primary:
        assert read(primary, statement, replica=replica) == [("from the primary",)]


def test_a_read_that_takes_too_long_on_the_replica_is_not_a_burden_to_the_primary_as_well(
    replica: Replica, database: Any, sql: Any, on_copy: Query, until: Any
) -> None:
    statement = hindered(sql, until, on_copy, "57014")
    with closing(Pool(database)) as primary, pytest.raises(DatabaseBusy):
        read(primary, statement, replica=replica)


def with_replica(start: Any, copy: Any, until: Any, **changes: str) -> Any:
    """A service that reads from the replica."""
    running = start(DATABASE_REPLICA_HOSTS=f"127.0.0.1:{copy.port}", **changes)
    until(lambda: shown(running) == {"address": f"127.0.0.1:{copy.port}", "fresh": True})
    return running


def shown(running: Any) -> Any:
    (replica,) = running.management("GET", "/actuator/health").json["components"]["db"]["details"]["replicas"]
    return replica


def asked(query: Query) -> set[str]:
    """The prepared statements that the service's sessions on this server executed last."""
    sessions = "application_name = 'capstan-backend' AND datname = current_database()"
    found = query(f"SELECT substring(query FROM 'EXECUTE (\\w+)') FROM pg_stat_activity WHERE {sessions}")
    return {name for (name,) in found if name}


def test_reads_go_to_the_replica_and_writes_to_the_primary(
    start: Any, copy: Any, sql: Any, on_copy: Query, until: Any
) -> None:
    sql("INSERT INTO users (name, email) VALUES ('Ada', 'ada@example.com')")
    until(lambda: on_copy("SELECT 1 FROM users"))
    running = with_replica(start, copy, until, REDIS_HOST="", DATABASE_POOL_SIZE="1")
    assert running.api("GET", "/api/users/1").status == 200
    assert asked(on_copy) == {"users_get"}
    assert len(running.api("GET", "/api/users").json["items"]) == 1
    assert asked(on_copy) == {"users_by_created_at_desc"}
    assert running.api("DELETE", "/api/users/1").status == 204
    assert asked(sql) == {"users_delete"}


def test_who_wrote_a_user_reads_it_at_once_and_others_a_second_later_at_most(
    start: Any, copy: Any, sql: Any, on_copy: Query, pause: Any, until: Any
) -> None:
    sql("INSERT INTO users (name, email) SELECT 'User', 'user-' || n || '@example.com' FROM generate_series(1, 2) n")
    until(lambda: on_copy("SELECT count(*) FROM users") == [(2,)])
    api = with_replica(start, copy, until, REDIS_HOST="").api
    pause()
    sql("UPDATE users SET name = 'written elsewhere' WHERE id = 2")
    assert api("PUT", "/api/users/1", ADA).status == 200
    assert api("GET", "/api/users/1").json["name"] == "Ada Lovelace"
    assert "Ada Lovelace" in [user["name"] for user in api("GET", "/api/users").json["items"]]
    assert api("POST", "/api/users", {"name": "Third", "email": "third@example.com"}).status == 201
    assert api("GET", "/api/users/3").json["name"] == "Third"
    assert api("DELETE", "/api/users/1").status == 204
    assert api("GET", "/api/users/1").status == 404
    until(lambda: api("GET", "/api/users/2").json["name"] == "written elsewhere", 5)


def test_who_wrote_a_user_reads_it_at_once_from_another_process_too(
    start: Any, copy: Any, pause: Any, until: Any
) -> None:
    here, there = (with_replica(start, copy, until) for _ in range(2))
    for one in (here, there):
        until(lambda one=one: one.backend.caches.is_near())
    here.api("POST", "/api/users", ADA)
    pause()
    assert here.api("PUT", "/api/users/1", ADA_KING).status == 200
    assert there.api("GET", "/api/users/1").json["name"] == "Ada King"
    assert [user["name"] for user in there.api("GET", "/api/users").json["items"]] == ["Ada King"]


def test_an_old_row_of_the_replica_never_replaces_a_newer_one_in_the_cache(
    replica: Replica, database: Any, clock: Clock, redis_server: Any, pause: Any, on_copy: Query, until: Any
) -> None:
    redis_server.client().flushall()

    def pod() -> tuple[UserService, Replicas]:
        own = Replicas([replica], clock=clock)
        pool = Pool(database)
        users = UserRepository(pool, Instruments().invocations, own)
        return service_of(pool, Link(SingleWire(wire_settings(redis_server))), users), own

    (one, replicas_of_one), (other, _) = pod(), pod()
    user = one.create(UserFields(name="Ada Lovelace", email="ada@example.com", status="active"), Origin())
    clock.now += 0.1
    until(fresh_now(replica, clock))
    pause()
    clock.now += 0.1
    one.update(user.id, UserFields(name="Ada King", email="ada@example.com", status="active"), Origin())

    def seen(service: UserService) -> tuple[str, bool]:
        found, from_cache = service.get(user.id)
        return json.loads(found.body)["name"], from_cache

    # The other pod may still read what the replica has, but what it offers to the cache is older than the mark.
    assert [seen(other), seen(other)] == [("Ada Lovelace", False), ("Ada Lovelace", False)]
    assert redis_server.client().get(f"user:{{{user.id}}}") == "2:"
    assert [seen(one), seen(one), seen(other)] == [("Ada King", False), ("Ada King", True), ("Ada King", True)]
    assert replicas_of_one.for_user(user.id) is None
    on_copy("SELECT pg_wal_replay_resume()")
    until(fresh_now(replica, clock))
    assert replicas_of_one.for_user(user.id) is replica
    redis_server.client().flushall()
    assert [seen(other), seen(one)] == [("Ada King", False), ("Ada King", True)]


def test_a_replica_that_goes_and_comes_back_costs_no_read(
    start: Any, copy: Any, standby: Postgres, until: Any, caplog: Any
) -> None:
    caplog.set_level("INFO")
    running, stop = with_replica(start, copy, until), threading.Event()
    statuses: list[int] = []

    def read_users() -> None:
        while not stop.is_set():
            statuses.append(running.api("GET", "/api/users").status)

    threads = [threading.Thread(target=read_users) for _ in range(2)]
    for thread in threads:
        thread.start()
    until(lambda: len(statuses) > 20)
    standby.stop()
    until(lambda: not shown(running)["fresh"])
    count = len(statuses)
    until(lambda: len(statuses) > count + 20)
    standby.start()
    until(lambda: shown(running)["fresh"])
    count = len(statuses)
    until(lambda: len(statuses) > count + 20)
    stop.set()
    for thread in threads:
        thread.join(20)
    assert set(statuses) == {200}
    told = [record.message for record in caplog.records if record.name == "backend.repository.replicas"]
    assert (told[0], told[-1]) == ("replica: read from", "replica: read from")
    assert "replica: not read from" in told


def test_the_figures_of_all_pools_are_shown_together(start: Any, copy: Any, until: Any) -> None:
    running = with_replica(start, copy, until, DATABASE_POOL_SIZE="4")
    (replica,) = running.backend.replicas.all
    with running.backend.pool.lend(), replica.pool.lend():
        told = running.management("GET", "/actuator/prometheus").content
    assert b"jdbc_connections_active 2\n" in told
    assert b"jdbc_connections_max 8\n" in told and b"jdbc_connections_min 4\n" in told
    assert b"database_replicas_fresh 1\n" in told
