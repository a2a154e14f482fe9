"""One way for every API call of every provider: guarded when it writes, retried when that helps.

A provider's client only has to send one request and sort its error into an `ApiError` with a category.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

from .errors import ApiError, Category
from .runtime import Runtime

T = TypeVar("T")


@dataclass(frozen=True)
class Patience:
    """How long a call is tried again. Pauses grow from `first_s` to `longest_s`, with full jitter above the half."""

    retry_s: float = 60.0  # throttling, 5xx, lost reads
    wait_s: float = 180.0  # something else must become ready
    first_s: float = 0.1
    longest_s: float = 5.0


@dataclass
class Calls:
    """Sends requests for providers. `guard` is called before each write and raises when this run must not write."""

    runtime: Runtime
    guard: Callable[[], None]
    patience: Patience = Patience()
    made: int = 0
    writes: int = 0
    retries: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def make(self, send: Callable[[], T], *, write: bool, repeatable: bool = True) -> T:
        """What `send` returns. Raises ApiError.

        `repeatable`: sending the write twice does no harm (idempotent, or with a client token), so one whose answer was
        lost is sent again; otherwise it is raised with category LOST and the engine finds out what happened.
        """
        started = self.runtime.monotonic()
        pause = self.patience.first_s
        while True:
            if write:
                self.guard()
            self._count(write)
            try:
                return send()
            except ApiError as error:
                limit = self._limit(error, write, repeatable)
                if self.runtime.monotonic() - started + pause > limit:
                    raise
            with self._lock:
                self.retries += 1
            self.runtime.sleep(pause * (0.5 + 0.5 * self.runtime.jitter()))
            pause = min(pause * 2, self.patience.longest_s)

    def _limit(self, error: ApiError, write: bool, repeatable: bool) -> float:
        if error.category is Category.WAIT:
            return self.patience.wait_s
        if error.category is Category.RETRY:
            return self.patience.retry_s
        if error.category is Category.LOST and (not write or repeatable):
            return self.patience.retry_s
        return -1.0

    def _count(self, write: bool) -> None:
        with self._lock:
            self.made += 1
            self.writes += write


@dataclass(frozen=True)
class Rule:
    """One line of an error table: `operation` and `code` exact, `message` a part of it; "" matches all."""

    category: Category
    code: str = ""
    operation: str = ""
    message: str = ""
    remedy: str = ""

    def fits(self, error: ApiError) -> bool:
        return (
            self.operation in ("", error.operation)
            and self.code in ("", error.code)
            and (not self.message or self.message.lower() in error.message.lower())
        )


def sorted_error(error: ApiError, *tables: tuple[Rule, ...]) -> ApiError:
    """`error` with the category and remedy of the first rule that fits; the tables are looked through in order."""
    for table in tables:
        for rule in table:
            if rule.fits(error):
                return replace(error, category=rule.category, remedy=rule.remedy or error.remedy)
    return error
