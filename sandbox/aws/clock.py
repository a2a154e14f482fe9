"""Time in the sandbox: how long transitions take, and what happens when they are over."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
import traceback
from collections.abc import Callable

# Seconds of each transition at speed "fast" (tests). "real-ish" is slow enough to be watched.
FAST: dict[str, float] = {
    "eks.cluster.creating": 0.3,
    "eks.cluster.deleting": 0.3,
    "eks.cluster.updating": 0.3,
    "eks.nodegroup.creating": 0.3,
    "eks.nodegroup.deleting": 0.3,
    "eks.nodegroup.updating": 0.3,
    "eks.addon.creating": 0.2,
    "eks.addon.deleting": 0.2,
    "eks.addon.updating": 0.2,
    "eks.interfaces.lingering": 0.4,
    "rds.instance.creating": 0.3,
    "rds.instance.backing-up": 0.1,
    "rds.instance.modifying": 0.3,
    "rds.instance.rebooting": 0.2,
    "rds.instance.deleting": 0.3,
    "rds.instance.stopping": 0.2,
    "rds.instance.starting": 0.2,
    "iam.propagation": 1.0,
    "read.lag": 0.3,
    "route53.change": 0.3,
}
_REALISH_FACTOR = 8.0
_NOT_SCALED = frozenset({"iam.propagation", "read.lag", "rds.instance.backing-up", "eks.interfaces.lingering"})


def durations_at(speed: str) -> dict[str, float]:
    """The table of transition times for `speed`: "fast" or "real-ish". Raises KeyError for another one."""
    factor = {"fast": 1.0, "real-ish": _REALISH_FACTOR}[speed]
    return {name: seconds if name in _NOT_SCALED else seconds * factor for name, seconds in FAST.items()}


class Clock:
    """Runs actions after a while, one at a time, under the lock that also guards every operation."""

    def __init__(self, lock: threading.RLock, speed: str, report: Callable[[str], None]) -> None:
        self.durations = durations_at(speed)
        self._lock = lock
        self._report = report
        self._wake = threading.Condition()
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._count = itertools.count()
        self._stopped = False
        threading.Thread(target=self._run, name="clock", daemon=True).start()

    def now(self) -> float:
        """Monotonic seconds."""
        return time.monotonic()

    def duration(self, transition: str) -> float:
        return self.durations[transition]

    def after(self, transition: str | float, action: Callable[[], None]) -> None:
        """Runs `action` when `transition` (a name of the table, or seconds) is over."""
        seconds = self.durations[transition] if isinstance(transition, str) else transition
        with self._wake:
            heapq.heappush(self._due, (self.now() + seconds, next(self._count), action))
            self._wake.notify()

    def forget(self) -> None:
        """Drops everything that is still to come."""
        with self._wake:
            self._due.clear()

    def stop(self) -> None:
        with self._wake:
            self._stopped = True
            self._wake.notify()

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._stopped and (not self._due or self._due[0][0] > self.now()):
                    self._wake.wait(self._due[0][0] - self.now() if self._due else None)
                if self._stopped:
                    return
                action = heapq.heappop(self._due)[2]
            try:
                with self._lock:
                    action()
            except Exception:
                self._report(traceback.format_exc())
