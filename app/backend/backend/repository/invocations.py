"""Calls of the database are timed in one way, whichever repository makes them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from backend.observability.metrics import Timer


@contextmanager
def timed(invocations: Timer, repository: str, method: str) -> Iterator[None]:
    """Records the length of a `with` block, and whether it came to its end."""
    began, state = perf_counter(), "ERROR"
    try:
        yield
        state = "SUCCESS"
    finally:
        invocations.record(perf_counter() - began, repository, method, state)
