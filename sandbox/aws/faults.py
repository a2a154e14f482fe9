"""Faults on demand: what to do to the n-th call that fits a rule.

A rule is a JSON object:
  {"match": {"service", "operation", "write", "access_key", "user_agent", "nth": 1, "count": 1}, "effect": {...}}
Every part of `match` may be missing. `operation` takes shell patterns, `user_agent` a part of the header. The rule
acts on the `nth` fitting call and the `count - 1` after it (count 0: on all that follow). Effects, by "kind":
  delay_before, delay_after {"seconds"}; throttle; error {"code", "message", "status"};
  drop_before (connection closed, not executed), drop_after (executed, answer lost);
  kill_before, kill_after {"pid" or "pid_file", "tree": false}: as drop, and SIGKILL to that process first;
  hang: nothing happens until the rule is removed, then the call goes on, if its client is still there;
  barrier_before, barrier_after: the call waits until the controller says "continue" or "drop".
"""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

KINDS = frozenset(
    {
        "delay_before", "delay_after", "throttle", "error", "drop_before", "drop_after", "kill_before", "kill_after",
        "hang", "barrier_before", "barrier_after",
    }
)
_MATCH_KEYS = frozenset({"service", "operation", "write", "access_key", "user_agent", "nth", "count"})


class BadRule(ValueError):
    """A fault rule that makes no sense; the text says why."""


@dataclass(frozen=True)
class Candidate:
    """What a rule may look at."""

    service: str
    operation: str
    write: bool
    access_key: str
    user_agent: str


@dataclass
class Rule:
    """One fault; `seen` counts fitting calls, `hits` those it acted on (numbers of the call log)."""

    id: int
    match: dict[str, Any]
    effect: dict[str, Any]
    seen: int = 0
    hits: list[int] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)

    def fits(self, call: Candidate) -> bool:
        want = self.match
        return (
            want.get("service", call.service) == call.service
            and fnmatchcase(call.operation, want.get("operation", "*"))
            and want.get("write", call.write) == call.write
            and want.get("access_key", call.access_key) == call.access_key
            and want.get("user_agent", "") in call.user_agent
        )

    def is_due(self) -> bool:
        """Whether the fitting call just counted in `seen` is one to act on."""
        nth, count = int(self.match.get("nth", 1)), int(self.match.get("count", 1))
        return self.seen >= nth and (count == 0 or self.seen < nth + count)


def rule_from_json(number: int, document: dict[str, Any]) -> Rule:
    """Checks a rule as described above. Raises BadRule."""
    match, effect = document.get("match", {}), document.get("effect", {})
    unknown = sorted(set(match) - _MATCH_KEYS)
    if unknown or set(document) - {"match", "effect"}:
        raise BadRule(f"unknown keys: {unknown or sorted(set(document) - {'match', 'effect'})}")
    kind = effect.get("kind")
    if kind not in KINDS:
        raise BadRule(f"effect kind {kind!r} is none of {', '.join(sorted(KINDS))}")
    if kind in ("delay_before", "delay_after") and not isinstance(effect.get("seconds"), int | float):
        raise BadRule(f"{kind} needs seconds")
    if kind in ("kill_before", "kill_after") and not ("pid" in effect or "pid_file" in effect):
        raise BadRule(f"{kind} needs pid or pid_file")
    if kind == "error" and "code" not in effect:
        raise BadRule("error needs code")
    return Rule(number, dict(match), dict(effect))


@dataclass
class Pause:
    """A call that waits at a barrier."""

    call: int
    service: str
    operation: str
    stage: str  # "before" or "after" its execution
    verdict: str | None = None


class Faults:
    """The rules in force and the calls that wait at barriers; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._rules: list[Rule] = []
        self._next = 1
        self._pauses: dict[int, Pause] = {}

    def add(self, documents: list[dict[str, Any]]) -> list[int]:
        """Adds rules; their ids."""
        with self._lock:
            rules = [rule_from_json(self._next + i, document) for i, document in enumerate(documents)]
            self._next += len(rules)
            self._rules.extend(rules)
            return [rule.id for rule in rules]

    def remove(self, number: int | None = None) -> None:
        """Removes one rule or all; hanging and waiting calls of removed rules go on."""
        with self._lock:
            gone = [rule for rule in self._rules if number in (None, rule.id)]
            self._rules = [rule for rule in self._rules if rule not in gone]
            for rule in gone:
                rule.released.set()
            if number is None:
                for pause in self._pauses.values():
                    pause.verdict = pause.verdict or "continue"
            self._lock.notify_all()

    def listed(self) -> list[dict[str, Any]]:
        with self._lock:
            return [
                {"id": r.id, "match": r.match, "effect": r.effect, "seen": r.seen, "hits": list(r.hits)}
                for r in self._rules
            ]

    def due(self, number: int, call: Candidate) -> list[Rule]:
        """Counts call `number` on every fitting rule; the rules that act on it, in the order they were added."""
        with self._lock:
            acting = []
            for rule in self._rules:
                if rule.fits(call):
                    rule.seen += 1
                    if rule.is_due():
                        rule.hits.append(number)
                        acting.append(rule)
            return acting

    def wait_at_barrier(self, rule: Rule, pause: Pause) -> str:
        """Blocks until the controller or the rule's removal decides: "continue" or "drop"."""
        with self._lock:
            self._pauses[pause.call] = pause
            self._lock.notify_all()
            while pause.verdict is None and not rule.released.is_set():
                self._lock.wait()
            del self._pauses[pause.call]
            return pause.verdict or "continue"

    def waiting(self, wait_s: float = 0.0) -> list[dict[str, Any]]:
        """The calls at barriers, by number; waits up to `wait_s` seconds for the first one."""
        deadline = time.monotonic() + wait_s
        with self._lock:
            while not (found := self._undecided()) and (left := deadline - time.monotonic()) > 0:
                self._lock.wait(left)
            return [{"n": p.call, "service": p.service, "operation": p.operation, "stage": p.stage} for p in found]

    def _undecided(self) -> list[Pause]:
        return [self._pauses[n] for n in sorted(self._pauses) if self._pauses[n].verdict is None]

    def decide(self, number: int, verdict: str) -> bool:
        """Lets the waiting call `number` "continue" or "drop"; False when it does not wait."""
        if verdict not in ("continue", "drop"):
            raise BadRule(f"a verdict is continue or drop, not {verdict!r}")
        with self._lock:
            pause = self._pauses.get(number)
            if pause is None or pause.verdict is not None:
                return False
            pause.verdict = verdict
            self._lock.notify_all()
            return True


def kill(effect: dict[str, Any]) -> list[int]:
    """SIGKILL to the process that a kill effect names, with "tree" to all below it too; the pids hit.

    The tree is stopped from the root down before it is killed, so that nothing forks away meanwhile.
    """
    pid = int(effect["pid"] if "pid" in effect else Path(effect["pid_file"]).read_text())
    if pid <= 1 or pid == os.getpid():
        raise BadRule(f"will not kill process {pid}")
    if not effect.get("tree"):
        return [pid] if _send(pid, signal.SIGKILL) else []
    hit: list[int] = []
    todo = [pid]
    while todo:
        hit += [each for each in todo if _send(each, signal.SIGSTOP)]
        todo = [child for child in _children_of(set(hit)) if child not in hit]
    for each in hit:
        _send(each, signal.SIGKILL)
    return hit


def _children_of(parents: set[int]) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) in parents:
            found.append(int(stat.parent.name))
    return found


def _send(pid: int, number: int) -> bool:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True
