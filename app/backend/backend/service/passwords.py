"""Passwords: argon2id, a few at a time, so that a flood of logins takes neither the memory nor all threads."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import ParamSpec, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from backend.errors import Busy
from backend.observability.tracing import traced

P = ParamSpec("P")
R = TypeVar("R")

# OWASP Password Storage Cheat Sheet, argon2id: 19 MiB, two passes, one lane.
MEMORY_KIB, PASSES, LANES = 19_456, 2, 1
AT_ONCE = 2
WAIT_S = 2.0


class Passwords:
    """Hashes and verifies; raises Busy when too many wait.

    That is done on threads of its own: the C library keeps what a hash took for the thread that took it, and there are
    fewer of these than of those that serve requests.
    """

    def __init__(self, hashed: Callable[[float], None]) -> None:
        self._hashed = hashed  # told how long each hash took
        self._hasher = PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES)
        self._turns = threading.BoundedSemaphore(AT_ONCE)
        self._threads = ThreadPoolExecutor(AT_ONCE, "passwords")
        self._nobodys = self._hasher.hash(secrets.token_hex())

    @traced("Passwords.hash")
    def hash(self, password: str) -> str:
        """The text to store, in PHC's string format."""
        return self._in_turn(self._hasher.hash, password)

    @traced("Passwords.verify")
    def verify(self, stored: str | None, password: str) -> bool:
        """Whether it is the password that `stored` was made of. With None it takes as long, and is not."""
        try:
            return self._in_turn(self._hasher.verify, stored or self._nobodys, password) and stored is not None
        except (VerificationError, InvalidHashError):
            return False

    def is_outdated(self, stored: str) -> bool:
        """Whether it was made with other figures than those of today."""
        return self._hasher.check_needs_rehash(stored)

    def _in_turn(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        began = perf_counter()
        if not self._turns.acquire(timeout=WAIT_S):
            raise Busy("too many passwords are being checked")
        try:
            return self._threads.submit(work, *args, **kwargs).result()
        finally:
            self._turns.release()
            self._hashed(perf_counter() - began)
