"""A holder of a stack that is frozen in the middle of a write: early on, because a lease takes minutes to run out."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.torture.arena import processes_of

from .world import World

# A lease of 120 s, and 30 s more before anybody else may take it: so long the holder has to be frozen.
TAKEN_OVER_AFTER_S = 153.0
NETWORK: dict[str, Any] = {"stack_components": ["network"], "network_clusters": []}


class Holder:
    """A run whose CreateVpc was sent and waits for its answer."""

    def __init__(self, world: World) -> None:
        self.world = world
        world.aws.fault("barrier_before", {"operation": "CreateVpc"})
        self._process: subprocess.Popen[str] = world.start(variables=NETWORK)
        self._name, self._number = world.run_name, world.runs
        waiting = world.aws.waiting(120.0)
        if not waiting:
            self.kill()
            raise AssertionError(f"the run never came to the call\n{world.output()}")
        self._call = waiting[0]["n"]
        self._since = 0.0

    def freeze(self) -> None:
        """Stops all its processes; the call is carried out meanwhile."""
        for pid in processes_of(self._name):
            os.kill(pid, signal.SIGSTOP)
        self._since = time.monotonic()
        self.go_on()

    def go_on(self) -> None:
        self.world.aws.decide(self._call, "continue")
        self.world.aws.clear_faults()

    @property
    def frozen_s(self) -> float:
        return time.monotonic() - self._since

    def wake(self) -> None:
        for pid in processes_of(self._name):
            os.kill(pid, signal.SIGCONT)

    def end(self) -> tuple[int, str]:
        """Its exit status and what it printed."""
        status = self._process.wait(60)
        return status, self.world.output(self._number)

    def kill(self) -> None:
        for pid in processes_of(self._name):
            os.kill(pid, signal.SIGKILL)
        self._process.wait(10)


@contextmanager
def holder(world: World) -> Iterator[Holder]:
    """A holder that does not outlive the test."""
    one = Holder(world)
    try:
        yield one
    finally:
        one.kill()
