"""Indexes of the list of users, on 100,000 rows, and what the migration made of rows that were there before it."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import pytest
from backend.config import Database
from backend.entities import SORTS, Listing, Position
from backend.migrations.runner import connect, migrate
from backend.migrations.scripts import SQL_FOLDER, scripts_in
from backend.observability.instruments import Instruments
from backend.repository.pool import Pool
from backend.repository.search import beginnings
from backend.repository.users import LISTS, UserRepository, list_parameters


@pytest.fixture(scope="module")
def crowd(postgres: Any) -> Iterator[Any]:
    """A connection to a database of 100,000 users, who were there before the last migration; few are suspended."""
    with closing(connect(postgres.database("postgres"))) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE crowd")
    database = dataclasses.replace(postgres.database("crowd"), statement_timeout_s=0)
    with closing(connect(database)) as connection, connection.cursor() as cursor:
        migrate(connection, [one for one in scripts_in(SQL_FOLDER) if one.order <= (3,)], 5)
        cursor.execute(
            "INSERT INTO users (name, email, status, created_at, updated_at)"
            " SELECT initcap(translate(left(md5(n::text), 6), '0123456789', 'ghijklmnop')) || ' Straße ' || n % 500,"
            " 'user' || n || '@example.com', CASE WHEN n % 1000 = 0 THEN 'suspended' ELSE 'active' END,"
            " timestamptz '2026-01-01' + n * interval '1 minute',"
            " timestamptz '2026-06-01' + n * 7919 % 100000 * interval '1 minute' FROM generate_series(1, 100000) AS n"
        )
        migrate(connection, scripts_in(SQL_FOLDER), 5)
        cursor.execute("VACUUM ANALYZE users")
        for statement in LISTS.values():
            cursor.execute(statement.prepare_sql())
        yield cursor


def _plan(cursor: Any, listing: Listing, after: Position | None = None) -> str:
    statement = LISTS[listing.sort]
    command = statement.execute_sql.replace("EXECUTE", "EXPLAIN (COSTS OFF) EXECUTE")
    cursor.execute(command, list_parameters(listing, 51, after))
    return "\n".join(row[0] for row in cursor.fetchall())


@pytest.mark.parametrize("sort", SORTS)
def test_each_order_is_read_from_its_index_and_never_sorted(crowd: Any, sort: str) -> None:
    key: Any = "M" if sort.endswith("name") else datetime(2026, 7, 1, tzinfo=UTC)
    for after in (None, Position(key, 5)):
        plan = _plan(crowd, Listing(sort=sort), after)
        assert re.search(rf"Index Scan.* using users_{sort.removeprefix('-')}_idx", plan), plan
        assert "Sort" not in plan
        assert ("Index Cond: (ROW(" in plan) == (after is not None), plan


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize(
    ("narrowed", "index"),
    [
        ({"statuses": ("suspended",)}, "users_status_created_at_idx"),
        ({"statuses": ("inactive", "suspended")}, "users_status_created_at_idx"),
        ({"search": "user4711@example.com"}, "users_email_key"),
        ({"search": "abc"}, "users_beginnings_idx"),
        (
            {
                "created_from": datetime(2026, 2, 1, tzinfo=UTC),
                "created_to": datetime(2026, 2, 1, 1, tzinfo=UTC),
            },
            "users_created_at_idx",
        ),
    ],
)
def test_what_narrows_a_list_to_a_few_is_looked_up_in_an_index(
    crowd: Any, sort: str, narrowed: dict[str, Any], index: str
) -> None:
    plan = _plan(crowd, Listing(sort=sort, **narrowed))
    assert index in plan, plan
    assert "Seq Scan" not in plan


def test_a_list_is_planned_each_time_however_often_it_is_read(database: Database) -> None:
    pool = Pool(database)
    repository = UserRepository(pool, Instruments().invocations)
    for _ in range(12):
        repository.list(Listing(statuses=("active",)), 50)
    with pool.lend() as pooled, pooled.connection.cursor() as cursor:
        cursor.execute("SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE name LIKE 'users_by_%'")
        assert cursor.fetchall() == [(0, 12)]
    pool.close()


@pytest.mark.parametrize("sort", SORTS)
def test_what_most_users_have_is_skipped_along_the_order(crowd: Any, sort: str) -> None:
    plan = _plan(crowd, Listing(sort=sort, statuses=("active",), search="strasse"))
    assert f"using users_{sort.removeprefix('-')}_idx" in plan, plan


def test_the_migration_made_users_who_were_there_before_findable(crowd: Any) -> None:
    crowd.execute("SELECT name, beginnings FROM users ORDER BY random() LIMIT 100")
    for name, stored in crowd.fetchall():
        assert sorted(stored) == beginnings(name)


@pytest.mark.parametrize(
    "name", ["Ünal STRASSE", "ΟΔΟΣ", "Jean-Luc O'Hara", "  a  b ", "x" * 90, "ﬁona", "Œuvre", "王 小明", "(Bo) Lee/Ann"]
)
def test_migration_and_service_know_the_same_beginnings(empty_database: Database, name: str) -> None:
    with closing(connect(empty_database)) as connection, connection.cursor() as cursor:
        migrate(connection, [one for one in scripts_in(SQL_FOLDER) if one.order <= (3,)], 5)
        cursor.execute("INSERT INTO users (name, email) VALUES (%s, 'a@example.com')", (name,))
        migrate(connection, scripts_in(SQL_FOLDER), 5)
        cursor.execute("SELECT beginnings FROM users")
        assert sorted(cursor.fetchone()[0]) == beginnings(name)
