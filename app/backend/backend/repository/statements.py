"""Prepared statements: parsed and planned once a connection, afterwards only executed; traced, and logged when slow."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from time import perf_counter
from typing import Any

from backend.observability.tracing import CLIENT, record
from backend.repository.pool import Pooled

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Statement:
    """A named SQL text with parameters $1, $2 …, of the given PostgreSQL types.

    `planned_each_time`: for one whose best plan depends on what it is given. PostgreSQL would go over to a plan for
    any values after a few executions where it believes that to be as good.
    """

    name: str
    types: tuple[str, ...]
    sql: str
    planned_each_time: bool = False

    def prepare_sql(self) -> str:
        """The PREPARE command."""
        types = f"({', '.join(self.types)})" if self.types else ""
        return f"PREPARE {self.name}{types} AS {self.sql}"

    @cached_property
    def execute_sql(self) -> str:
        """The EXECUTE command, with one driver placeholder a parameter."""
        places = f"({', '.join(['%s'] * len(self.types))})" if self.types else ""
        # Sent together, both are one transaction, which is how long SET LOCAL holds.
        before = "SET LOCAL plan_cache_mode = force_custom_plan; " if self.planned_each_time else ""
        return f"{before}EXECUTE {self.name}{places}"


def run(pooled: Pooled, statement: Statement, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
    """The statement's rows. Prepares it first where this connection has not seen it. Raises psycopg2.Error."""
    database, cursor = pooled.database, pooled.cursor
    began, error = perf_counter(), None
    try:
        if statement.name not in pooled.prepared:
            cursor.execute(statement.prepare_sql())
            pooled.prepared.add(statement.name)
        cursor.execute(statement.execute_sql, parameters)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows
    except BaseException as raised:
        error = type(raised)
        raise
    finally:
        took_s = record(statement.name, began, CLIENT, _tags(statement.sql, database.name), error) - began
        if took_s > database.slow_query_s:
            fields = {"statement": statement.name, "duration_ms": round(took_s * 1000, 2)}
            log.warning("slow query", extra={"fields": fields})


@lru_cache
def _tags(sql: str, database: str) -> Mapping[str, str]:
    """What a trace tells of a query, under OpenTelemetry's older names and its present ones; never its parameters."""
    older = {"db.system": "postgresql", "db.statement": sql, "db.instance": database, "peer.service": "postgresql"}
    return older | {"db.system.name": "postgresql", "db.query.text": sql, "db.namespace": database}
