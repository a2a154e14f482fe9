"""Calls of the database are timed in one way, whichever repository makes them."""

from __future__ import annotations

from time import perf_counter

from backend.observability.metrics import Timer


class timed:
    """Records the length of a `with` block, and whether it came to its end."""

    __slots__ = ("_began", "_invocations", "_method", "_repository")

    def __init__(self, invocations: Timer, repository: str, method: str) -> None:
        self._invocations = invocations
        self._repository = repository
        self._method = method

    def __enter__(self) -> None:
        self._began = perf_counter()

    def __exit__(self, error: object, *_rest: object) -> None:
        state = "SUCCESS" if error is None else "ERROR"
        self._invocations.record(perf_counter() - self._began, self._repository, self._method, state)
