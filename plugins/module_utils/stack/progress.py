"""What a run says while it works: a line for each resource that is done, never more than 10 s of silence, and at the
end where the time went."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..engine.events import Event
from ..engine.plan import Plan, gaps_of
from .plan_text import COLORS, Line, plan_lines, summary
from .shown import blanked, entries

SILENCE_S = 8.0
_TICK_S = 0.5
_NAMED = 3  # how many resources a line about waiting names
_DOING = {
    "create": "creating",
    "update": "updating",
    "replace": "replacing",
    "delete": "deleting",
    "adopt": "adopting",
    "none": "waiting for",
}
_DONE = {"create": "created", "update": "updated", "replace": "replaced", "delete": "deleted", "adopt": "adopted"}
Say = Callable[[Line], None]


@dataclass
class Work:
    """One operation on one resource. Times are seconds on a monotonic clock."""

    address: str
    action: str
    started_s: float
    ended_s: float = 0.0
    reason: str = ""


@dataclass
class Timeline:
    """Which operation ran when; from it: the slowest ones, and the chain that the run's time consisted of."""

    done: list[Work] = field(default_factory=list)

    def slowest(self, number: int = 3) -> list[Work]:
        return sorted(self.done, key=lambda work: work.started_s - work.ended_s)[:number]

    def longest_path(self, needs: Mapping[str, Iterable[str]]) -> list[Work]:
        """From the operation that ended last back through what it waited for longest, in the order of time."""
        last = {work.address: work for work in sorted(self.done, key=lambda work: work.ended_s)}
        work = max(self.done, key=lambda work: work.ended_s, default=None)
        path: list[Work] = []
        while work is not None and work not in path:
            path.append(work)
            earlier = [last[need] for need in needs.get(work.address, ()) if need in last]
            work = max(earlier, key=lambda other: other.ended_s, default=None)
        return path[::-1]


class Progress:
    """Turns the engine's events into lines. Thread-safe; `say` is called for one line at a time.

    `style`: text, json (one object a line) or none. `with_fields`: print the plan's fields, too. Used as a context
    manager it breaks silences by itself.
    """

    def __init__(
        self,
        say: Say,
        *,
        style: str = "text",
        with_fields: bool = True,
        secrets: frozenset[str] = frozenset(),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._say = say
        self._style = style
        self._with_fields = with_fields
        self._secrets = secrets
        self._clock = clock
        self._lock = threading.RLock()
        self._running: dict[tuple[str, str], Work] = {}
        self._started_s = self._spoke_s = clock()
        self._phase = "starting"
        self._over = threading.Event()
        self.timeline = Timeline()

    def hide(self, secrets: frozenset[str]) -> None:
        """Further texts that no line may show."""
        with self._lock:
            self._secrets |= secrets

    def __enter__(self) -> Progress:
        if self._style != "none":
            threading.Thread(target=self._tick, name="capstan-progress", daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()

    def _tick(self) -> None:
        while not self._over.wait(_TICK_S):
            self.break_silence()

    # -- what happens ------------------------------------------------------------------------------------------
    def __call__(self, event: Event) -> None:
        """The engine's `emit`."""
        with self._lock:
            self._account(event)
            if self._style == "json":
                self._json(event)
            elif self._style == "text":
                self._text(event)

    def _account(self, event: Event) -> None:
        key = (event.address, event.action)
        if event.topic == "reading":
            self._phase = "reading what is live"
        elif event.topic == "planned":
            self._phase = "planning"
        elif event.topic == "started":
            self._running[key] = Work(event.address, event.action, self._clock())
        elif event.topic == "waiting" and key in self._running:
            self._running[key].reason = event.text
        elif event.topic in ("done", "failed") and key in self._running:
            work = self._running.pop(key)
            work.ended_s = self._clock()
            self.timeline.done.append(work)

    def _text(self, event: Event) -> None:
        if event.topic == "planned" and isinstance(event.data.get("plan"), Plan):
            self.plan(event.data["plan"], event.text)
        elif event.topic == "done" and event.action in _DONE:
            self._line(f"  {_DONE[event.action]:>9} {event.address}{self._took(event)}", COLORS[event.action])
        elif event.topic == "failed":
            self._line(f"  {'FAILED':>9} {event.address}{self._took(event)}: {event.text}", "red")
        elif event.topic == "notice":
            self._line(f"  {event.text}")

    def _took(self, event: Event) -> str:
        for work in reversed(self.timeline.done):
            if (work.address, work.action) == (event.address, event.action):
                return f"  {work.ended_s - work.started_s:.1f} s"
        return ""

    def _json(self, event: Event) -> None:
        shown: dict[str, Any] = {"capstan": event.topic, "at_s": round(self._clock() - self._started_s, 3)}
        shown |= {name: value for name in ("address", "action", "text") if (value := getattr(event, name))}
        plan = event.data.get("plan")
        if isinstance(plan, Plan):
            shown |= {"counts": plan.counts(), "digest": plan.digest()}
        self._line(json.dumps(shown, ensure_ascii=False))

    def plan(self, plan: Plan, text: str = "") -> None:
        """Prints a plan."""
        with self._lock:
            if self._style == "json":
                self._json(Event("planned", 0.0, text=text, data={"plan": plan}))
            if self._style != "text":
                return
            if text:
                self._line(f"  {text}:")
            for line in plan_lines(entries(plan, self._secrets), with_fields=self._with_fields):
                self._line(line.text, line.color)
            for notice in plan.notices:
                self._line(f"  note: {notice}", "cyan")
            for gap in gaps_of(plan):
                self._line(f"    ? {gap}", "red")
            self._line(summary(plan.counts(), unplanned=len(plan.unplanned)))

    def end(self, counts: Mapping[str, int], needs: Mapping[str, Iterable[str]], stats: Mapping[str, float]) -> None:
        """Prints what was done and where the time went; nothing when nothing was done."""
        if self._style != "text" or not self.timeline.done:
            return
        with self._lock:
            self._line(summary(counts, done=True))
            for line in timeline_lines(self.timeline, needs, stats):
                self._line(line)

    # -- how it is said ----------------------------------------------------------------------------------------
    def break_silence(self) -> None:
        """Says what is going on when nothing was said for a while."""
        with self._lock:
            now = self._clock()
            if now - self._spoke_s < SILENCE_S:
                return
            if self._style == "json":
                at_s = round(now - self._started_s, 3)
                self._line(json.dumps({"capstan": "waiting", "at_s": at_s, "text": self._standing(now)}))
            elif self._style == "text":
                self._line(f"  still {self._standing(now)}")

    def _standing(self, now: float) -> str:
        running = sorted(self._running.values(), key=lambda work: work.started_s)
        if not running:
            return f"{self._phase} … {now - self._started_s:.0f} s"
        named = [f"{_DOING[work.action]} {work.address} … {now - work.started_s:.0f} s" for work in running[:_NAMED]]
        named[0] += f" ({running[0].reason})" if running[0].reason else ""
        more = f" and {len(running) - _NAMED} more" if len(running) > _NAMED else ""
        return ", ".join(named) + more

    def _line(self, text: str, color: str = "") -> None:
        self._spoke_s = self._clock()
        self._say(Line(blanked(text, self._secrets), color))


def timeline_lines(timeline: Timeline, needs: Mapping[str, Iterable[str]], stats: Mapping[str, float]) -> list[str]:
    """Where the time of a run went: its longest path and its slowest resources."""
    lines = [
        f"Took {stats.get('seconds', 0):.1f} s: {stats.get('calls', 0):.0f} calls, {stats.get('writes', 0):.0f} writes."
    ]
    path = timeline.longest_path(needs)
    if len(path) > 1:
        lines.append(f"Longest path: {' -> '.join(_with_time(work) for work in path)}.")
    lines.append(f"Slowest: {', '.join(_with_time(work) for work in timeline.slowest())}.")
    return lines


def _with_time(work: Work) -> str:
    return f"{work.address} {work.ended_s - work.started_s:.1f} s"
