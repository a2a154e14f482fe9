"""A small cloud: objects with lagging reads, slow creation, dependency rules, throttling, lost answers and kills.

It knows nothing of the engine's reasoning; it keeps the truth against which a run is judged.
"""

from __future__ import annotations

import copy
import itertools
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from engine.errors import ApiError, Category
from engine.lease import holder_of

from .virtual import EPOCH, Hub, Process


class Violation(AssertionError):
    """The engine did what it must never do."""


@dataclass
class Thing:
    """One object. `history`: (time, fields, marks, gone) so that reads can lag."""

    id: str
    kind: str
    name: str
    fields: dict[str, Any]
    marks: dict[str, Any] | None
    refs: set[str]
    ready_at: float
    foreign: list[Any] = field(default_factory=list)
    gone: bool = False
    maker: str = "run"
    host: str = ""  # the thing that it lies in and is reached through
    changer: str = ""  # whose update came last
    history: list[tuple[float, dict[str, Any], dict[str, Any] | None, bool]] = field(default_factory=list)


@dataclass
class Faults:
    """What may go wrong, as chances per call; `kill_at`: (call number, before or after) per process name."""

    lag_s: float = 0.0
    throttle: float = 0.0
    lose_answer: float = 0.0
    lose_request: float = 0.0
    not_yet: float = 0.0  # a created thing's user is told to wait
    kill_at: dict[str, tuple[int, str]] = field(default_factory=dict)
    freeze_at: dict[str, tuple[int, float]] = field(default_factory=dict)
    deny_read: str = ""


class Cloud:
    """The objects of every kind, the stacks' stores, and the log of calls."""

    def __init__(self, hub: Hub, unique: frozenset[str], slow: dict[str, float], busy: dict[str, float]) -> None:
        self.hub = hub
        self.things: dict[str, Thing] = {}
        self.store: dict[str, str] = {}
        self.faults = Faults()
        self.hits: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self.writes: list[tuple[str, str, str, str]] = []  # process, verb, kind, address
        self.tokens: dict[tuple[str, str], str] = {}
        self._unique = unique
        self._slow = slow
        self._busy = busy  # kind -> about how long it is not ready after an update, and takes no other
        self._ids = itertools.count(1)

    # -- what every call goes through ---------------------------------------------------------------------------
    @contextmanager
    def call(self, verb: str, *, write: bool) -> Iterator[None]:
        """One request: on its way, carried out in the body, answered."""
        try:
            self._enter(verb, write=write)
            yield
        except ApiError:
            self.hub.arrive()
            raise
        self._leave(verb, write=write)

    def _enter(self, verb: str, *, write: bool) -> None:
        process, hub = self.hub.current, self.hub
        number = self.calls[process.name] = self.calls[process.name] + 1
        hub.travel(0.02 + 0.08 * hub.random.random())
        if process.dead:
            return  # sent before the end, carried out after it
        if self.faults.kill_at.get(process.name) == (number, "before"):
            self.hits[f"kill before {'write' if write else 'read'}"] += 1
            hub.die()
        if self.faults.freeze_at.get(process.name, (0, 0.0))[0] == number:
            process.frozen_until = hub.now + self.faults.freeze_at[process.name][1]
            self.hits["freeze"] += 1
        if hub.random.random() < self.faults.throttle:
            self.hits["throttle"] += 1
            raise ApiError(verb, "Throttling", "slow down", Category.RETRY)
        if hub.random.random() < self.faults.lose_request:
            self.hits["lost request"] += 1
            raise ApiError(verb, "ConnectionReset", "", Category.LOST)

    def _leave(self, verb: str, *, write: bool) -> None:
        process = self.hub.current
        due, when = self.faults.kill_at.get(process.name, (0, ""))
        if when == "after" and not process.dead and self.calls[process.name] >= due:
            self.hits[f"kill after {'write' if write else 'read'}"] += 1
            self.hub.die()
        self.hub.arrive()
        if self.hub.random.random() < self.faults.lose_answer:
            self.hits["lost answer"] += 1
            raise ApiError(verb, "ConnectionReset", "", Category.LOST)

    def _write(self, verb: str, kind: str, address: str, stack: str) -> None:
        """Records the write and judges whether this process may write at all."""
        process = self.hub.current
        if process.dead:
            self.hits["executed after death"] += 1
            return
        self.writes.append((process.name, verb, kind, address))
        prefix = f"{stack}:"
        top = holder_of({k.removeprefix(prefix): v for k, v in self.store.items() if k.startswith(prefix)})
        if top is None or top.process.who != process.name or top.released or top.until <= EPOCH + self.hub.now:
            raise Violation(f"{process.name} wrote {verb} {address} without holding {stack}: {top}")

    # -- objects ------------------------------------------------------------------------------------------------
    def _record(self, thing: Thing) -> None:
        thing.history.append((self.hub.now, copy.deepcopy(thing.fields), copy.deepcopy(thing.marks), thing.gone))

    def _as_seen(self, thing: Thing) -> tuple[dict[str, Any], dict[str, Any] | None] | None:
        """The thing as a lagging read shows it."""
        at = self.hub.now - self.faults.lag_s * self.hub.random.random()
        seen = None
        for when, fields, marks, gone in thing.history:
            if when <= at:
                seen = None if gone else (fields, marks)
        if seen is None and not thing.gone or seen is not None and thing.gone:
            self.hits["lagging read"] += 1
        return seen

    def _reach(self, host: str) -> None:
        """Things inside a host are reached through it: while it is there, and once it is ready."""
        if not host:
            return
        if self.things[host].gone:
            raise ApiError("Connect", "Unreachable", f"{host} is gone")
        if self.things[host].ready_at > self.hub.now:
            raise Violation(f"a call through {host}, which is not ready")
        self.hits["through another"] += 1

    def list(self, kind: str, host: str = "") -> list[dict[str, Any]]:
        with self.call(f"List{kind}", write=False):
            self._reach(host)
            if self.faults.deny_read == kind:
                self.hits["denied read"] += 1
                raise ApiError(f"List{kind}", "AccessDenied", "not allowed", Category.DENIED)
            shown = []
            for thing in self.things.values():
                if (thing.kind, thing.host) == (kind, host) and (seen := self._as_seen(thing)) is not None:
                    shown.append(self._answer(thing, *seen))
        return shown

    def get(self, thing_id: str, host: str = "") -> dict[str, Any] | None:
        with self.call("Get", write=False):
            self._reach(host)
            thing = self.things.get(thing_id)
            seen = self._as_seen(thing) if thing is not None else None
        return self._answer(thing, *seen) if thing is not None and seen is not None else None

    def _answer(self, thing: Thing, fields: dict[str, Any], marks: dict[str, Any] | None) -> dict[str, Any]:
        return {
            "id": thing.id,
            "name": thing.name,
            "fields": copy.deepcopy(fields),
            "marks": dict(marks) if marks else None,
            "refs": set(thing.refs),
            "ready": thing.ready_at <= self.hub.now,
            "foreign": list(thing.foreign),
        }

    def create(
        self,
        kind: str,
        name: str,
        fields: dict[str, Any],
        refs: set[str],
        marks: dict[str, Any] | None,
        *,
        stack: str,
        address: str,
        token: str = "",
    ) -> str:
        with self.call(f"Create{kind}", write=True):
            self._write("create", kind, address, stack)
            if token and (kind, token) in self.tokens and not self.things[self.tokens[kind, token]].gone:
                thing_id = self.tokens[kind, token]
            else:
                self._check_refs(kind, address, refs)
                if kind in self._unique and any(t.kind == kind and t.name == name for t in self._there()):
                    raise ApiError(f"Create{kind}", "AlreadyExists", name, Category.EXISTS)
                thing_id = f"{kind}-{next(self._ids):04d}"
                ready_at = self.hub.now + self._slow.get(kind, 0.0) * (0.5 + self.hub.random.random())
                thing = Thing(thing_id, kind, name, copy.deepcopy(fields), marks, refs, ready_at)
                self.things[thing_id] = thing
                self._record(thing)
                if token:
                    self.tokens[kind, token] = thing_id
        return thing_id

    def _there(self) -> list[Thing]:
        return [thing for thing in self.things.values() if not thing.gone]

    def _check_refs(self, kind: str, address: str, refs: set[str]) -> None:
        for ref in refs:
            used = self.things.get(ref)
            if used is None or used.gone:
                raise Violation(f"{address} was created before {ref} existed")
            if used.ready_at > self.hub.now:
                raise Violation(f"{address} was created before {ref} was ready")
            if self.hub.random.random() < self.faults.not_yet:
                self.hits["not yet"] += 1
                raise ApiError(f"Create{kind}", "NotYetVisible", ref, Category.WAIT)

    def change(
        self, thing_id: str, fields: dict[str, Any], refs: set[str] | None, marks: Any, *, stack: str, address: str
    ) -> None:
        with self.call("Update", write=True):
            self._write("update", address.partition("/")[0], address, stack)
            thing = self.things.get(thing_id)
            if thing is None or thing.gone:
                raise ApiError("Update", "NotFound", thing_id, Category.ABSENT)
            self._reach(thing.host)
            if refs is not None:
                self._check_refs(thing.kind, address, refs - thing.refs)
            self._keep_busy(thing)
            thing.fields.update(copy.deepcopy(fields))
            thing.refs = thing.refs if refs is None else refs
            if marks is not None:
                thing.marks = dict(marks)
            self._record(thing)

    def _keep_busy(self, thing: Thing) -> None:
        """Some kinds take one update at a time."""
        if thing.kind not in self._busy:
            return
        process = self.hub.current.name
        if thing.ready_at > self.hub.now:
            if thing.changer == process and not self.faults.lose_answer:  # else it may be the same request again
                raise Violation(f"{process} updated {thing.id} before its own update was done")
            raise ApiError("Update", "Busy", thing.id, Category.WAIT)
        thing.changer = process
        thing.ready_at = self.hub.now + self._busy[thing.kind] * (0.5 + self.hub.random.random())

    def _holds(self, user: Thing, used: Thing) -> bool:
        """Does `user` keep `used` from going? What has to go before its successor comes can only be held for good."""
        lasting = user.fields.get("inside") == used.id
        return used.id in user.refs and (lasting or not self._leans_on_seen_name(used))

    def _leans_on_seen_name(self, thing: Thing) -> bool:
        return thing.kind == "sim.seen" or any(self._leans_on_seen_name(self.things[ref]) for ref in thing.refs)

    def delete(self, thing_id: str, *, stack: str, address: str) -> None:
        with self.call("Delete", write=True):
            self._write("delete", address.partition("/")[0], address, stack)
            thing = self.things.get(thing_id)
            if thing is None or thing.gone:
                raise ApiError("Delete", "NotFound", thing_id, Category.ABSENT)
            if thing.maker == "foreign" or (thing.marks or {}).get("protect"):
                raise Violation(f"{thing_id} is not ours to delete or protected, and was deleted as {address}")
            users = sorted(t.id for t in self._there() if self._holds(t, thing))
            if users and self.faults.lag_s:  # the run could not see them: the API refuses, a later run heals
                self.hits["dependency violation"] += 1
                raise ApiError("Delete", "DependencyViolation", f"{users} use it", Category.WAIT)
            if users:
                raise Violation(f"{address} ({thing_id}) was deleted while {users} use it")
            self._reach(thing.host)
            for one in (thing, *(inner for inner in self._there() if inner.host == thing.id)):
                one.gone = True
                self._record(one)

    # -- objects inside a host ----------------------------------------------------------------------------------
    def put(
        self, kind: str, host: str, name: str, fields: dict[str, Any], marks: dict[str, Any], *, verb: str = "create"
    ) -> None:
        """Makes the object of this name what it should be, new or not: doing it twice does no harm."""
        address = str(marks["address"])
        with self.call(f"Put{kind}", write=True):
            self._write(verb, kind, address, str(marks["stack"]))
            self._reach(host)
            thing = self.things.get(inner_id(host, name))
            if thing is None or thing.gone:
                thing = Thing(inner_id(host, name), kind, name, {}, marks, set(), self.hub.now, host=host)
                self.things[thing.id] = thing
            thing.fields, thing.marks = copy.deepcopy(fields), dict(marks)
            self._record(thing)


def inner_id(host: str, name: str) -> str:
    """The key of an object inside a host; its own API knows it by its name alone."""
    return f"{host}|{name}"


class CloudStore:
    """The engine's Store over the cloud: conditional creates, no lag (the parameter store reads its own writes)."""

    def __init__(self, cloud: Cloud, stack: str) -> None:
        self._cloud = cloud
        self._prefix = f"{stack}:"

    def _retry(self, verb: str, write: bool, effect: Any) -> Any:
        """A store's client repeats what may be repeated, as every provider's does."""
        for _ in range(12):
            try:
                with self._cloud.call(verb, write=write):
                    result = effect()
                return result
            except ApiError as error:
                if error.category not in (Category.RETRY, Category.LOST):
                    raise
                self._cloud.hub.sleep(0.2)
        raise ApiError(verb, "GaveUp")

    def entries(self) -> dict[str, str]:
        return self._retry(
            "Entries",
            False,
            lambda: {
                k.removeprefix(self._prefix): v for k, v in self._cloud.store.items() if k.startswith(self._prefix)
            },
        )

    def create(self, key: str, text: str) -> bool:
        store = self._cloud.store

        def effect() -> bool:
            if self._prefix + key in store:
                return False
            store[self._prefix + key] = text
            return True

        return self._retry("CreateEntry", True, effect)

    def put(self, key: str, text: str) -> None:
        self._retry("PutEntry", True, lambda: self._cloud.store.__setitem__(self._prefix + key, text))

    def remove(self, key: str) -> None:
        self._retry("RemoveEntry", True, lambda: self._cloud.store.pop(self._prefix + key, None))


def living(process: Process) -> bool:
    return not process.dead and not process.finished
