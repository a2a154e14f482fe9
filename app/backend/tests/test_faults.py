"""Faults while the service is at work, with real servers: no wrong answer, no lost or doubled write, and soon after a
fault has ended everything is as before."""

from __future__ import annotations

import dataclasses
import resource
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from backend.config import Database
from backend.migrations.runner import connect, migrate
from backend.migrations.scripts import SQL_FOLDER, scripts_in

from app.backend.tests.auth_help import join
from app.backend.tests.load import Load
from app.backend.tests.servers import Postgres, RedisServer, scratch_folder, until
from app.backend.tests.tcp_gate import TcpGate

RECOVERY_S = 5.0
ROUNDS = 30  # of each worker, between two steps of a test: enough to meet whatever the fault does


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Postgres, Postgres]]:
    """A primary and its replica, without which nothing is committed: as a database that may fail over has them."""
    with scratch_folder("capstan-faults-a-") as one, scratch_folder("capstan-faults-b-") as other:
        primary = Postgres(one)
        standby = Postgres(other, primary=primary)
        with closing(connect(primary.database("postgres"))) as connection, connection.cursor() as cursor:
            cursor.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            cursor.execute("SELECT pg_reload_conf()")
            cursor.execute("CREATE DATABASE app")
        yield primary, standby
        standby.stop()
        primary.stop()


@pytest.fixture
def primary(pair: tuple[Postgres, Postgres]) -> Postgres:
    """The primary, with an empty schema."""
    with closing(connect(pair[0].database("postgres"))) as connection, connection.cursor() as cursor:
        cursor.execute("DROP DATABASE app WITH (FORCE)")
        cursor.execute("CREATE DATABASE app")
    with closing(connect(pair[0].database("app"))) as connection:
        migrate(connection, scripts_in(SQL_FOLDER), 5)
    return pair[0]


@pytest.fixture
def database_gate(primary: Postgres) -> Iterator[TcpGate]:
    with TcpGate(primary.port) as gate:
        yield gate


@pytest.fixture
def redis_gate(redis_server: RedisServer) -> Iterator[TcpGate]:
    with TcpGate(redis_server.port) as gate:
        yield gate


Begin = Callable[..., Load]


@pytest.fixture
def begin(
    launch: Any, primary: Postgres, database_gate: TcpGate, redis_gate: TcpGate, tmp_path: Path
) -> Iterator[Begin]:
    """Starts a service as a process and sets it to work; keyword arguments change its environment."""
    begun: list[Load] = []
    behind_the_gate = dataclasses.replace(primary.database("app"), port=database_gate.port)

    def beginner(output: Path = tmp_path / "log", **changes: str) -> Load:
        with output.open("ab") as file:
            process = launch(
                output=file,
                AUTH_REQUIRED="true",
                DATABASE_PORT=str(database_gate.port),
                DATABASE_NAME="app",
                DATABASE_CONNECTION_TIMEOUT="2",
                REDIS_PORT=str(redis_gate.port),
                **changes,
            )
        until(process.ready)
        load = Load(join(process.api, "Admin", statements_of(primary.database("app")), "admin"), process)
        begun.append(load)
        load.start()
        load.work(ROUNDS)
        return load

    yield beginner
    for load in begun:
        load.stop()
        load.must_be_right(statements_of(behind_the_gate))


@pytest.fixture
def load(begin: Begin) -> Load:
    """A service at work."""
    return begin(LOG_LEVEL="ERROR")


def statements_of(database: Database) -> Callable[..., Any]:
    """Runs statements in a database, past the service."""

    def run(statement: str, *parameters: object) -> Any:
        with closing(connect(database)) as connection, connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            return cursor.fetchall() if cursor.description else []

    return run


def fine(load: Load) -> None:
    """Whatever the fault was, it is over now."""
    took_s = load.well_again_after()
    assert took_s <= RECOVERY_S, f"{took_s:.1f} s after the end something still failed"


# -- Redis


def test_redis_is_killed_and_comes_back_empty(load: Load, own_redis: RedisServer) -> None:
    own_redis.kill()
    load.work(ROUNDS)
    own_redis.start()
    fine(load)
    assert (load.answered("read", 503), load.answered("write", 503)) == (0, 0), "it is spared, not needed"


def test_redis_is_emptied_again_and_again(load: Load, redis_server: RedisServer) -> None:
    for _ in range(10):
        redis_server.client().flushall()
        load.work(3)
    fine(load)
    assert (load.answered("read", 503), load.answered("write", 503)) == (0, 0)


@pytest.mark.parametrize("delay_s", [0.05, 1.0], ids=["within the time that it has", "beyond that"])
def test_redis_is_slow(load: Load, redis_gate: TcpGate, delay_s: float) -> None:
    redis_gate.delay_s = delay_s
    load.work(5)
    redis_gate.delay_s = 0.0
    fine(load)
    assert (load.answered("read", 503), load.answered("write", 503)) == (0, 0)


def test_redis_does_not_answer_at_all(load: Load, redis_gate: TcpGate) -> None:
    redis_gate.freeze()
    load.work(5)
    redis_gate.thaw()
    fine(load)
    assert (load.answered("read", 503), load.answered("write", 503)) == (0, 0)


# -- the database


def test_the_database_is_restarted(load: Load, primary: Postgres) -> None:
    primary.stop()
    try:
        load.work(3)
    finally:
        primary.start()
    fine(load)
    assert load.answered("write", 503) > 0


def test_the_connections_to_the_database_break_again_and_again(load: Load, database_gate: TcpGate) -> None:
    for _ in range(40):
        database_gate.cut()
        load.work(1)
    fine(load)
    assert load.answered("write", 503) > 0


def test_the_database_is_slow(load: Load, database_gate: TcpGate) -> None:
    database_gate.delay_s = 0.3
    load.work(3)
    database_gate.delay_s = 0.0
    fine(load)


def test_the_database_does_not_answer_for_a_while(load: Load, database_gate: TcpGate) -> None:
    database_gate.freeze()
    threading.Event().wait(3)
    database_gate.thaw()
    fine(load)


def test_the_database_has_no_connection_left(load: Load, primary: Postgres, database_gate: TcpGate) -> None:
    taken = []
    try:
        while True:
            taken.append(connect(primary.database("app")))
    except psycopg2.OperationalError as error:
        assert "too many clients" in str(error) or "remaining connection slots" in str(error)
    database_gate.cut()
    load.work(3)
    for connection in taken:
        connection.close()
    fine(load)


# -- the machine


def test_the_disk_has_no_room_for_logs(begin: Begin, tmp_path: Path) -> None:
    log = tmp_path / "small.log"
    load = begin(log)
    for pid in load.process.pids():
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (log.stat().st_size + 1000,) * 2)
    load.work(ROUNDS)
    until(lambda: load.process.metric("log.lines.lost") > 0)
    size = log.stat().st_size
    load.work(ROUNDS)
    assert log.stat().st_size == size
    log.write_bytes(b"")
    until(lambda: log.stat().st_size > 0)
    fine(load)
    assert (load.answered("read", 503), load.answered("write", 503)) == (0, 0)


@pytest.mark.parametrize("moved", ["-1d", "+30m"])
def test_the_clock_is_moved_while_it_is_at_work(begin: Begin, tmp_path: Path, moved: str) -> None:
    (library,) = Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")
    clock = tmp_path / "clock"
    clock.write_text("+0")
    load = begin(
        LD_PRELOAD=str(library),
        FAKETIME_TIMESTAMP_FILE=str(clock),
        FAKETIME_NO_CACHE="1",
        FAKETIME_DONT_FAKE_MONOTONIC="1",
    )
    for text in (moved, "+0"):
        clock.write_text(text)
        load.work(ROUNDS)
    fine(load)
    assert (load.answered("read", 503), load.answered("write", 503)) == (0, 0)


# -- the last one: after it there is no replica any more


def test_the_database_fails_over(load: Load, pair: tuple[Postgres, Postgres], database_gate: TcpGate) -> None:
    primary, standby = pair
    primary.stop()
    standby.promote()
    database_gate.lead_to(standby.port)
    fine(load)
    assert load.answered("write", 503) > 0
