"""Transactions on connections that the pool lends in autocommit mode."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest
from backend.repository.pool import Pool
from backend.repository.statements import Statement, run
from backend.repository.transactions import transaction

INSERT = Statement("insert_user", ("text",), "INSERT INTO users (name, email) VALUES ($1, $1) RETURNING id")


@pytest.fixture
def pool(database: Any) -> Iterator[Pool]:
    made = Pool(database)
    yield made
    made.close()


def test_its_statements_are_seen_by_others_all_at_once_at_its_end(pool: Pool, sql: Any) -> None:
    with pool.lend() as pooled:
        with transaction(pooled, 1.0):
            run(pooled, INSERT, ("a",))
            run(pooled, INSERT, ("b",))
            assert sql("SELECT name FROM users") == []
        with pooled.connection.cursor() as cursor:
            cursor.execute("SHOW lock_timeout")
            assert cursor.fetchall() == [("5s",)], "which is over with the transaction"
    assert sql("SELECT name FROM users ORDER BY name") == [("a",), ("b",)]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, psycopg2.errors.UniqueViolation])
def test_an_error_takes_all_of_it_back_and_the_connection_goes_on(pool: Pool, sql: Any, error: Any) -> None:
    with pool.lend() as pooled:
        with pytest.raises(error), transaction(pooled, 1.0):
            run(pooled, INSERT, ("a",))
            raise error
        run(pooled, INSERT, ("b",))
        assert sql("SELECT name FROM users") == [("b",)], "outside, each statement stands for itself again"


def test_it_waits_for_locks_only_as_long_as_it_was_told(pool: Pool, sql: Any) -> None:
    sql("BEGIN")
    sql("INSERT INTO users (name, email) VALUES ('a', 'a')")
    with (
        pool.lend() as pooled,
        pytest.raises(psycopg2.errors.LockNotAvailable),
        transaction(pooled, 0.05),
    ):
        run(pooled, INSERT, ("a",))
