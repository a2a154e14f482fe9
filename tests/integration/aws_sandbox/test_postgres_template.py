"""Database instances begin with a copy of one data folder."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg2
import pytest

from sandbox.aws.postgres import PostgresServers
from sandbox.aws.state_folder import temporary_state

PASSWORD = "first-one-1"


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that the user postgres can reach; pytest's own ones it cannot."""
    with temporary_state() as made:
        Path(made).chmod(0o711)
        yield Path(made)


@pytest.fixture
def cache(folder: Path) -> Path:
    """A cache that the user postgres need not reach."""
    made = folder / "cache"
    made.mkdir(mode=0o700)
    return made


@pytest.fixture
def servers(folder: Path, cache: Path) -> Iterator[PostgresServers]:
    running = PostgresServers(folder / "s" / "rds", "127.0.0.1", cache)
    yield running
    running.close()


def create(servers: PostgresServers, name: str, port: int | None = None) -> int:
    """A new instance with the database "users"; its port."""
    port = port or servers.reserve_port(None)
    servers.create(name, port, "app", PASSWORD, "users")
    return port


def asked(port: int, statement: str) -> list[tuple[object, ...]]:
    connection = psycopg2.connect(
        host="127.0.0.1", port=port, user="app", password=PASSWORD, dbname="users", sslmode="require"
    )
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


def kept(cache: Path) -> list[Path]:
    """The data folders in the cache, half-made ones too."""
    return [entry for entry in (cache / "postgres").iterdir() if entry.is_dir()]


def test_instances_made_at_the_same_time_with_an_empty_cache_leave_one_whole_template(
    folder: Path, cache: Path
) -> None:
    running = [PostgresServers(folder / str(number) / "rds", "127.0.0.1", cache) for number in range(3)]
    ports = [running[0].reserve_port(None) for _ in running]  # each by itself would take the same one
    try:
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(create, running, "abc", ports))
        assert [asked(port, "SELECT current_user") for port in ports] == [[("app",)]] * 3
        (template,) = kept(cache)
        assert (template / "PG_VERSION").read_text() == "15\n" and template.suffix == ""
    finally:
        for each in running:
            each.close()


def test_an_instance_has_nothing_of_the_one_before_and_both_come_from_the_same_template(
    servers: PostgresServers, cache: Path
) -> None:
    first = create(servers, "first")
    (template,) = kept(cache)
    asked(first, "CREATE TABLE t (a int); CREATE ROLE another")
    inode = template.stat().st_ino
    second = create(servers, "second")
    assert asked(second, "SELECT to_regclass('t'), to_regrole('another')") == [(None, None)]
    assert asked(first, "SELECT to_regclass('t')::text, to_regrole('another')::text") == [("t", "another")]
    assert kept(cache) == [template] and template.stat().st_ino == inode


def test_the_template_holds_no_user_no_password_and_no_key(servers: PostgresServers, cache: Path) -> None:
    create(servers, "first")
    create(servers, "second")
    (template,) = kept(cache)
    content = b"".join(file.read_bytes() for file in template.rglob("*") if file.is_file())
    assert b"rdsadmin" in content
    assert all(word not in content for word in (b"SCRAM-SHA-256$", b"rds_superuser", b"PRIVATE KEY"))
    assert template.stat().st_mode & 0o077 == 0


def test_a_template_that_its_maker_left_half_done_is_made_anew(servers: PostgresServers, cache: Path) -> None:
    create(servers, "first")
    (template,) = kept(cache)
    shutil.rmtree(template / "base")
    template.rename(template.with_suffix(".partial"))  # where it lies until it is whole
    assert asked(create(servers, "second"), "SELECT 1") == [(1,)]
    assert kept(cache) == [template] and (template / "base").is_dir()
