"""Statements sent to the database, and sent again only where nothing can happen twice.

A read goes to a replica first where one is fresh enough; whatever keeps that from answering, the primary is asked. A
read whose connection turns out to be dead is sent once more. A write is not: it goes out on a connection that is not
known to be dead, and when that breaks then, nobody can tell whether the server carried the write out. What the server
itself undid, because it clashed with other transactions, is sent again a few times.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backend.errors import DatabaseBusy, DatabaseUnavailable
from backend.repository.failures import ConnectionLost, RolledBack
from backend.repository.pool import Pool
from backend.repository.replicas import Replica
from backend.repository.statements import Statement, run

REPEATS = 3

Rows = list[tuple[Any, ...]]


def read(pool: Pool, statement: Statement, parameters: Sequence[object] = (), replica: Replica | None = None) -> Rows:
    """The rows of a statement that changes nothing, from the replica where it answers. Raises DatabaseUnavailable."""
    if replica is not None:
        try:
            return _once(replica.pool, statement, parameters, timeout_s=0)
        except RolledBack:
            pass  # it stood in the way of what was to be replayed
        except DatabaseBusy:
            raise
        except DatabaseUnavailable:
            replica.set_aside()
    try:
        return _once(pool, statement, parameters)
    except ConnectionLost:
        # The pool now tries its other connections before it lends them.
        return _once(pool, statement, parameters)


def write(pool: Pool, statement: Statement, parameters: Sequence[object] = ()) -> Rows:
    """The rows of a statement that changes something and is a transaction of its own.

    Raises DatabaseUnavailable, after which it may have been carried out or not, but for DatabaseBusy, after which it
    was not; the driver's errors about the statement itself pass through.
    """
    for _ in range(REPEATS):
        try:
            return _once(pool, statement, parameters, wary=True)
        except RolledBack:
            continue
    return _once(pool, statement, parameters, wary=True)


def _once(
    pool: Pool,
    statement: Statement,
    parameters: Sequence[object],
    *,
    timeout_s: float | None = None,
    wary: bool = False,
) -> Rows:
    with pool.lend(timeout_s, wary=wary) as pooled:
        return run(pooled, statement, parameters)
