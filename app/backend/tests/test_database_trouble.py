"""What clients see of a database that is slow, locked, full, restarted or cut off, on real servers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg2
import pytest

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
    connection = psycopg2.connect(
        host=database.host, port=database.port, dbname=database.name, user="app", password=database.password
    )
    with closing(connection):
        yield connection


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
