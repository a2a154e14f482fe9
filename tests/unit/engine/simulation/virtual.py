"""A runtime in virtual time: greenlets instead of threads, a seeded choice of who goes on, no real waiting.

Every process (one run of the engine) owns its greenlets: it can be killed (they are never resumed) or frozen.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections import deque
from collections.abc import Callable
from typing import Any

from greenlet import GreenletExit, getcurrent, greenlet

EPOCH = 1_800_000_000.0


class Deadlock(AssertionError):
    """Everybody waits for somebody."""


class Process:
    """One run of the engine as the operating system sees it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.dead = False
        self.frozen_until = 0.0
        self.finished = False
        self.result: Any = None
        self.error: BaseException | None = None


class Hub:
    """Owns the clock and decides who runs next."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.now = 0.0
        self._ready: list[tuple[Process, greenlet]] = []
        self._asleep: list[tuple[float, int, Process, greenlet]] = []
        self._sequence = itertools.count()
        self._main = getcurrent()
        self._owner: dict[greenlet, Process] = {}
        self._travelling: set[greenlet] = (
            set()
        )  # requests on their way: neither death nor frost of the sender stops them

    @property
    def current(self) -> Process:
        return self._owner[getcurrent()]

    def start(self, process: Process, work: Callable[[], None]) -> None:
        task = greenlet(work, parent=self._main)
        self._owner[task] = process
        self._ready.append((process, task))

    def launch(self, process: Process, work: Callable[[], Any]) -> None:
        """Run `work` as the process's main task; its result or error stays in the process."""

        def main() -> None:
            try:
                process.result = work()
            except GreenletExit:
                raise
            except BaseException as error:
                process.error = error
            process.finished = True

        self.start(process, main)

    def sleep(self, seconds: float) -> None:
        task = getcurrent()
        process = self._owner[task]
        self._check_alive(process)
        heapq.heappush(self._asleep, (self.now + max(seconds, 0.0), next(self._sequence), process, task))
        self._main.switch()
        self._check_alive(process)

    def travel(self, seconds: float) -> None:
        """A request on its way to the server."""
        task = getcurrent()
        self._travelling.add(task)
        heapq.heappush(self._asleep, (self.now + seconds, next(self._sequence), self._owner[task], task))
        self._main.switch()

    def arrive(self) -> None:
        """The answer is back: a dead or frozen sender does not see it (yet)."""
        task = getcurrent()
        self._travelling.discard(task)
        if self._owner[task].frozen_until > self.now:
            self.sleep(0.0)
        self._check_alive(self._owner[task])

    def park(self) -> None:
        """Leave the processor until somebody calls `resume`."""
        process = self._owner[getcurrent()]
        self._check_alive(process)
        self._main.switch()
        self._check_alive(process)

    def resume(self, task: greenlet) -> None:
        self._ready.append((self._owner[task], task))

    def die(self) -> None:
        """The current process is killed here and now."""
        self._owner[getcurrent()].dead = True
        self._travelling.discard(getcurrent())
        self._main.switch()
        raise GreenletExit

    def _check_alive(self, process: Process) -> None:
        if process.dead:
            raise GreenletExit

    def run(self, until: Callable[[], bool]) -> None:
        """Let everybody go on until `until` holds."""
        while not until():
            if self._ready:
                position = self.random.randrange(len(self._ready))
                self._ready[position], self._ready[-1] = self._ready[-1], self._ready[position]
                process, task = self._ready.pop()
                if task.dead or (process.dead and task not in self._travelling):
                    continue
                if process.frozen_until > self.now and task not in self._travelling:
                    heapq.heappush(self._asleep, (process.frozen_until, next(self._sequence), process, task))
                    continue
                task.switch()
            elif self._asleep:
                at, _, process, task = heapq.heappop(self._asleep)
                if not process.dead or task in self._travelling:
                    self.now = max(self.now, at)
                    self._ready.append((process, task))
            else:
                raise Deadlock("nobody can go on")


class VirtualMailbox:
    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._items: deque[Any] = deque()
        self._waiting: list[greenlet] = []

    def put(self, item: Any) -> None:
        self._items.append(item)
        if self._waiting:
            self._hub.resume(self._waiting.pop(0))

    def get(self, timeout_s: float | None = None) -> Any:
        hub = self._hub
        if timeout_s is None:
            while not self._items:
                self._waiting.append(getcurrent())
                hub.park()
            return self._items.popleft()
        deadline = hub.now + timeout_s
        while not self._items and hub.now < deadline:
            hub.sleep(min(1.0, deadline - hub.now))
        return self._items.popleft() if self._items else None


class VirtualRuntime:
    """The engine's Runtime for one process."""

    def __init__(self, hub: Hub, process: Process) -> None:
        self._hub = hub
        self._process = process

    def wall(self) -> float:
        return EPOCH + self._hub.now

    def monotonic(self) -> float:
        return self._hub.now

    def sleep(self, seconds: float) -> None:
        self._hub.sleep(seconds)

    def jitter(self) -> float:
        return self._hub.random.random()

    def nonce(self) -> str:
        return f"{self._hub.random.getrandbits(64):016x}"

    def start(self, work: Callable[[], None]) -> None:
        self._hub.start(self._process, work)

    def mailbox(self) -> VirtualMailbox:
        return VirtualMailbox(self._hub)
