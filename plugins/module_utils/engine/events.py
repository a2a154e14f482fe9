"""What the engine tells while it works; others print it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Topic = Literal["reading", "planned", "locked", "started", "waiting", "done", "failed", "skipped", "notice", "released"]


@dataclass(frozen=True)
class Event:
    """One thing that happened. `at_s`: seconds since the run began (monotonic)."""

    topic: Topic
    at_s: float
    address: str = ""
    action: str = ""
    text: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)


Emit = Callable[[Event], None]
