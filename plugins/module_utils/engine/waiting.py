"""How apply waits: with growing pauses, never silent for long, and no longer when the run is asked to stop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .errors import Stopped
from .events import Topic
from .plan import Change
from .resource import Resource
from .runtime import Runtime

SPEAK_S = 8.0  # something is said at least this often while waiting
GROWTH = 1.4

Say = Callable[[Topic, Change, str], None]


class Waits:
    """The waits of one run. `say`: where it tells what it waits for."""

    def __init__(self, runtime: Runtime, stopping: Callable[[], bool], say: Say) -> None:
        self._runtime = runtime
        self._stopping = stopping
        self._say = say

    def poll(
        self, look: Callable[[], Any], change: Change, why: str | Callable[[], str], limit_s: float, cls: type[Resource]
    ) -> Any:
        """What `look` finds, asked again with growing pauses; None after `limit_s`. Raises Stopped."""
        started = spoke = self._runtime.monotonic()
        pause, longest = cls.poll_s
        while True:
            found = look()
            now = self._runtime.monotonic()
            if found is not None or now - started > limit_s:
                return found
            if self._stopping():
                raise Stopped(f"{change.address}: stopped while waiting")
            if now - spoke >= SPEAK_S:
                self._say("waiting", change, why() if callable(why) else why)
                spoke = now
            self._runtime.sleep(min(pause, SPEAK_S))
            pause = min(pause * GROWTH, longest)
