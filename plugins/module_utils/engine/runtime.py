"""Clock, randomness and threads, handed in: real ones here, virtual ones in the simulation."""

from __future__ import annotations

import queue
import random
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Mailbox(Protocol):
    """Where workers leave their results for the coordinator."""

    def put(self, item: Any) -> None: ...

    def get(self, timeout_s: float | None = None) -> Any:
        """The next item; None when `timeout_s` passed without one."""


class Runtime(Protocol):
    """Everything the engine needs of the world besides its providers."""

    def wall(self) -> float:
        """Seconds since the epoch."""

    def monotonic(self) -> float:
        """Seconds on a clock that never jumps."""

    def sleep(self, seconds: float) -> None: ...

    def jitter(self) -> float:
        """A random number in [0, 1)."""

    def nonce(self) -> str:
        """A fresh random token, 16 hex digits."""

    def start(self, work: Callable[[], None]) -> None:
        """Run `work` beside the caller."""

    def mailbox(self) -> Mailbox: ...


class _Queue:
    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def put(self, item: Any) -> None:
        self._queue.put(item)

    def get(self, timeout_s: float | None = None) -> Any:
        try:
            return self._queue.get(timeout=timeout_s)
        except queue.Empty:
            return None


class Threads:
    """The real runtime: the system's clocks and a thread pool of `size` workers (waits are side by side)."""

    def __init__(self, size: int = 48) -> None:
        self._pool = ThreadPoolExecutor(max_workers=size, thread_name_prefix="capstan")
        self._random = random.SystemRandom()

    def wall(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        threading.Event().wait(seconds)

    def jitter(self) -> float:
        return self._random.random()

    def nonce(self) -> str:
        return f"{self._random.getrandbits(64):016x}"

    def start(self, work: Callable[[], None]) -> None:
        self._pool.submit(work)

    def mailbox(self) -> Mailbox:
        return _Queue()

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


def side_by_side(runtime: Runtime, work: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """`work` for every item at the same time; results in the items' order. Raises the first error after all ended."""
    if len(items) <= 1:
        return [work(item) for item in items]
    mailbox = runtime.mailbox()

    def task(position: int, item: T) -> None:
        try:
            mailbox.put((position, work(item), None))
        except BaseException as error:
            mailbox.put((position, None, error))

    for position, item in enumerate(items):
        runtime.start(lambda position=position, item=item: task(position, item))  # type: ignore[misc]
    answers = sorted((mailbox.get() for _unused in items), key=lambda answer: answer[0])
    for _unused, _unused, error in answers:
        if error is not None:
            raise error
    return [result for _unused, result, _unused in answers]
