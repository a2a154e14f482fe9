"""Transactions of several statements. The pool lends connections in autocommit mode, so these are explicit."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import psycopg2

from backend.repository.pool import Pooled


@contextlib.contextmanager
def transaction(pooled: Pooled, lock_wait_s: float) -> Iterator[None]:
    """All statements of the `with` block, or none of them where it raises.

    A statement that waits longer than `lock_wait_s` for what another transaction holds raises LockNotAvailable.
    """
    pooled.cursor.execute("BEGIN; SET LOCAL lock_timeout = %s", (round(lock_wait_s * 1000),))
    try:
        yield
    except BaseException:
        # Where the connection is gone, the server rolls back by itself.
        with contextlib.suppress(psycopg2.Error):
            pooled.cursor.execute("ROLLBACK")
        raise
    pooled.cursor.execute("COMMIT")
