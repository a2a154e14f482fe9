"""Statements sent to the database, and sent again only where nothing can happen twice.

A read whose connection turns out to be dead is sent once more. A write is not: it goes out on a connection that is not
known to be dead, and when that breaks then, nobody can tell whether the server carried the write out. What the server
itself undid, because it clashed with other transactions, is sent again a few times.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backend.repository.failures import ConnectionLost, RolledBack
from backend.repository.pool import Pool
from backend.repository.statements import Statement, run

REPEATS = 3

Rows = list[tuple[Any, ...]]


def read(pool: Pool, statement: Statement, parameters: Sequence[object] = ()) -> Rows:
    """The rows of a statement that changes nothing. Raises DatabaseUnavailable."""
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


def _once(pool: Pool, statement: Statement, parameters: Sequence[object], *, wary: bool = False) -> Rows:
    with pool.lend(wary=wary) as pooled:
        return run(pooled, statement, parameters)
