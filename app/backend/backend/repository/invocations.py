"""Calls of the database are timed in one way, whichever repository makes them."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import TypeVar

from backend.observability.metrics import Timer

R = TypeVar("R")


class Invocations:
    """Those of one repository."""

    def __init__(self, timer: Timer, repository: str) -> None:
        self._timer = timer
        self._repository = repository
        self._recorders: dict[tuple[str, str], Callable[[float], None]] = {}

    def timed(self, method: str, call: Callable[..., R], *arguments: object) -> R:
        """What the call gives. Records how long it took, and whether it came to its end."""
        began = perf_counter()
        state = "ERROR"
        try:
            given = call(*arguments)
            state = "SUCCESS"
            return given
        finally:
            took_s = perf_counter() - began
            try:
                record = self._recorders[method, state]
            except KeyError:
                record = self._recorders[method, state] = self._timer.series(self._repository, method, state)
            record(took_s)
