"""Carries out a plan: every operation as soon as what it waits for is done, each resource planned again just before."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from . import graph
from .calls import Calls
from .errors import ApiError, CapstanError, Category, Conflict, LeaseLost, PlanMoved, Stopped
from .events import Emit, Event, Topic
from .lease import Lease
from .operations import Operation, operations
from .plan import Change, Plan, change_for, is_taken, left_of, moved_since, named
from .planning import Planner
from .reading import Group
from .resource import Live, Resource, Scope
from .runtime import Runtime
from .values import UNSET, Reference, Unknown, contains, known, resolve
from .waiting import Waits

VISIBLE_S = 60.0  # how long a created thing may stay invisible to reads
DELETE_S = 1200.0
ROUNDS = 40  # updates of one resource in a run, one kind of change each: more would go round in circles


@dataclass
class Applied:
    """What became of the plan. `done`: addresses that were written, with their action."""

    done: dict[str, str] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    halted: CapstanError | None = None
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)


class Applier:
    """One apply. `lease_of`: the lease that covers a stack (None: nothing is written)."""

    def __init__(
        self,
        plan: Plan,
        planner: Planner,
        calls: Calls,
        runtime: Runtime,
        emit: Emit,
        stopping: Callable[[], bool],
        lease_of: Callable[[str], Lease | None],
    ) -> None:
        self._plan = plan
        self._planner = planner
        self._calls = calls
        self._runtime = runtime
        self._emit = emit
        self._stopping = stopping
        self._lease_of = lease_of
        self._lock = threading.Lock()
        self._operations = operations(plan, planner.description.needs)
        self._kept: set[str] = set()  # addresses whose replacement turned out not to be needed
        self._wrote: set[str] = set()  # connections through which something was written
        self.result = Applied()
        self._started_s = runtime.monotonic()
        self._waits = Waits(runtime, stopping, self._say)

    def run(self) -> Applied:
        """Apply the plan; failures are in the result, not raised."""
        needs = {operation: waits for operation, (waits, _unused) in self._operations.items()}
        left = graph.walk(
            needs,
            self._visit,
            self._runtime,
            go_on=lambda: self.result.halted is None and not self._stopping(),
            inline=self._is_idle,
        )
        wrote = [op for op in left if op.verb != "finish" and (op.verb == "delete" or self._change(op).writes)]
        self.result.skipped = sorted({operation.address for operation in wrote})
        if self.result.halted is None and self._stopping():
            self.result.halted = Stopped("the run was asked to stop; what is left is listed as not attempted")
        return self.result

    def _change(self, operation: Operation) -> Change:
        return self._operations[operation][1]

    def _is_idle(self, operation: Operation) -> bool:
        change = self._change(operation)
        if operation.verb == "finish":
            return change.meta.via not in self._wrote and change.action == "none"
        return operation.verb == "do" and change.action == "none" and not change.waits

    # -- one operation -----------------------------------------------------------------------------------------
    def _visit(self, operation: Operation) -> bool:
        change = self._change(operation)
        try:
            if operation.verb == "delete":
                self._delete(change)
            elif operation.verb == "finish":
                self._finish(change)
            else:
                self._do(change)
        except (LeaseLost, PlanMoved, Stopped) as error:
            with self._lock:
                self.result.halted = self.result.halted or error
            self._say("failed", change, str(error))
            return False
        except CapstanError as error:
            if isinstance(error, ApiError) and not error.resource:
                error = replace(error, resource=change.address)
            with self._lock:
                self.result.failures[change.address] = str(error)
            self._say("failed", change, str(error))
            return False
        return True

    def _do(self, change: Change) -> None:
        if change.action == "none":
            live = change.live
            if change.waits and live is not None:
                self._say("started", change, f"waits: {change.waits}")
                live = self._until_ready(change, live)
                self._say("done", change)
            self._publish(change, live)
            return
        self._say("started", change)
        resource, live, fresh = self._fresh(change)
        if change.action == "replace" and fresh.action not in ("create", "replace"):
            with self._lock:
                self._kept.add(change.address)
        if fresh.action in ("create", "replace"):
            self._mark_written(change)
            live = self._create(change, resource)
        elif fresh.action != "none" and live is not None:
            self._mark_written(change)
            live = self._update(change, resource, live, fresh)
        elif live is not None:
            live = self._until_ready(change, live)
        self._publish(change, live)
        self._say("done", change)

    def _fresh(self, change: Change) -> tuple[Resource, Live | None, Change]:
        """The resource with its references resolved, what is live now, and what that still needs."""
        resource, live = self._resolved(change), self._again(change)
        return resource, live, self._still_planned(change, resource, live)

    def _resolved(self, change: Change) -> Resource:
        original = self._planner.description.resources[change.address]
        values = resolve(original.values(), self._lookup)
        return original.with_values(known(values))

    def _lookup(self, reference: Reference) -> Any:
        if reference.address in self._planner.description.externals:
            return self._planner.outlook_of(reference)
        with self._lock:
            outputs = self.result.outputs.get(reference.address, {})
        if reference.output not in outputs:
            raise ApiError("resolve", "MissingOutput", f"{reference} has no value although its resource is done")
        return outputs[reference.output]

    def _again(self, change: Change) -> Live | None:
        """The live resource as it is just before the write."""
        if change.live is None or change.action == "create":
            return None
        api = self._api(change)
        return type(self._resource(change)).get(api, change.live.id, self._scope(change)) or change.live

    def _still_planned(self, change: Change, resource: Resource, live: Live | None) -> Change:
        """The change as it is now. Raises PlanMoved when it is not what the plan showed."""
        if change.mark is None:
            raise AssertionError(change.address)
        if change.action == "create":
            fresh = change_for(resource, resource.propose(self._api(change), None), None, change.mark)
        else:
            fresh = change_for(resource, resource.propose(self._api(change), live), live, change.mark)
        broken = moved_since(change.fields, fresh.fields)
        calmer = fresh.action == "none" or (change.action, fresh.action) == ("replace", "update")
        if broken or (fresh.action != change.action and not calmer):
            what = ", ".join(broken) or f"{change.action} became {fresh.action}"
            raise PlanMoved(f"{change.address} is not as it was planned any more ({what}). Run again for a new plan.")
        if fresh.refused:
            raise PlanMoved(f"{change.address}: {fresh.refused}")
        return fresh

    # -- create ------------------------------------------------------------------------------------------------
    def _create(self, change: Change, resource: Resource) -> Live:
        api, mark, lease = self._api(change), change.mark, self._lease_of(change.owner)
        if mark is None:
            raise AssertionError(change.address)
        if change.live is not None and change.live.readiness.state == "deleting":
            self._until_gone(change, change.live)
        if type(resource).journal and lease is not None:
            lease.note(change.address, mark.token)
        live_id = ""
        for attempt in range(3):
            try:
                live_id = _without_nulls(resource).create(api, mark)
                break
            except ApiError as error:
                if error.category not in (Category.EXISTS, Category.LOST):
                    raise
                mine = self._settle(change)
                if mine is not None:
                    live_id = mine.id
                    break
                if error.category is Category.EXISTS:
                    raise Conflict(
                        change.address, f"{error.code}: {error.message}", "Rename or remove what is there."
                    ) from error
                if attempt == 2:
                    raise
        live = self._seen_again(change, live_id)
        return self._complete(change, resource, self._until_ready(change, live))

    def _settle(self, change: Change) -> Live | None:
        """After an answer that says neither yes nor no: our own creation, as soon as reads show it."""
        cls, api, scope = type(self._resource(change)), self._api(change), self._scope(change)
        old = change.live.id if change.live is not None else ""

        def look() -> Live | None:
            for live in cls.read(api, scope):
                if (live.address, live.owner) == (change.address, change.owner) and live.id != old:
                    return live
            return None

        return self._waits.poll(look, change, "looks for what was created", self._planner.options.consistency_s, cls)

    def _complete(self, change: Change, resource: Resource, live: Live) -> Live:
        """What the create call did not take is updated; a kill in between heals the same way in the next run."""
        if type(resource).creates_whole or change.mark is None:
            return live
        rest = change_for(resource, resource.propose(self._api(change), live), live, change.mark)
        if rest.action == "replace":
            raise ApiError("create", "NotAsDescribed", f"it differs in {', '.join(rest.because)}; run again")
        return self._update(change, resource, live, rest)

    # -- update ------------------------------------------------------------------------------------------------
    def _update(self, change: Change, resource: Resource, live: Live, rest: Change) -> Live:
        """Updates until nothing of `rest` is left: an API may take one kind of change at a time."""
        for _turn in range(ROUNDS):
            if rest.action == "none":
                return live
            sent = replace(rest, live=live)
            later = resource.update(self._api(change), live, sent) or ()
            if type(resource).creates_whole:
                return self._until_ready(change, self._seen_again(change, live.id))
            live, rest = self._taken(change, resource, sent, frozenset(later))
        raise ApiError("update", "NoEnd", f"it still differs in {named(rest)} after {ROUNDS} updates")

    def _taken(self, change: Change, resource: Resource, sent: Change, later: frozenset[str]) -> tuple[Live, Change]:
        """What is live, and what is left, once it is ready and shows what the update took (all but `later`)."""
        rest = sent

        def look() -> Live | None:
            nonlocal rest
            live = self._until_ready(change, self._seen_again(change, live_id))
            now = change_for(resource, resource.propose(self._api(change), live), live, mark)
            rest = left_of(sent, now)
            return live if is_taken(sent, rest, later) else None

        if sent.live is None or sent.mark is None:
            raise AssertionError(change.address)
        live_id, mark, cls = sent.live.id, sent.mark, type(resource)
        live: Live | None = self._waits.poll(look, change, "does not show its update yet", cls.visible_s, cls)
        if live is None:
            problem = f"it still differs in {named(rest)} {cls.visible_s:.0f} s after its update"
            raise ApiError("update", "NoEffect", problem, remedy="Something else may have changed it back: run again.")
        return live, rest

    # -- delete and finish -------------------------------------------------------------------------------------
    def _delete(self, change: Change) -> None:
        if change.live is None or change.cls is None or self._is_kept(change):
            return
        self._say("started", change)
        self._mark_written(change)
        try:
            change.cls.delete(self._api(change), change.live)
        except ApiError as error:
            if error.category is not Category.ABSENT:
                raise
        self._until_gone(change, change.live)
        with self._lock:
            self.result.done.setdefault(change.address, change.action)
        self._say("done", change)

    def _is_kept(self, change: Change) -> bool:
        """Did what it needs stay after all, so that nothing forces its replacement any more?"""
        if change.action != "replace":
            return False
        unresolved = any(contains(after, Unknown) for _before, after in change.fields.values())
        if change.first == "delete_first" and unresolved and self._needs_done(change):
            return self._fresh(change)[2].action not in ("create", "replace")
        return change.address in self._kept

    def _needs_done(self, change: Change) -> bool:
        needs = self._planner.description.needs[change.address] - self._planner.description.externals.keys()
        with self._lock:
            return needs <= self.result.outputs.keys()

    def _finish(self, change: Change) -> None:
        if change.meta.via not in self._wrote and change.action == "none":
            return
        live = type(self._resource(change)).get(self._api(change), self._id(change), self._scope(change))
        if live is not None:
            self._resource(change).finish(self._api(change), live)

    # -- waiting -----------------------------------------------------------------------------------------------
    def _seen_again(self, change: Change, live_id: str) -> Live:
        cls, api, scope = type(self._resource(change)), self._api(change), self._scope(change)
        live = self._waits.poll(lambda: cls.get(api, live_id, scope), change, "is not visible yet", VISIBLE_S, cls)
        if live is None:
            raise ApiError("read back", "NotVisible", f"{live_id} is not visible {VISIBLE_S:.0f} s after its write")
        return live

    def _until_ready(self, change: Change, live: Live) -> Live:
        cls, api, scope = type(self._resource(change)), self._api(change), self._scope(change)
        state = [live]

        def look() -> Live | None:
            if state[0].readiness.state == "failed":
                raise ApiError("wait until ready", "Failed", state[0].readiness.reason)
            if state[0].readiness.state == "ready":
                return state[0]
            state[0] = cls.get(api, live.id, scope) or state[0]
            return state[0] if state[0].readiness.state == "ready" else None

        ready = self._waits.poll(look, change, lambda: state[0].readiness.reason, cls.ready_timeout_s, cls)
        if ready is None:
            reason = state[0].readiness.reason
            raise ApiError("wait until ready", "Timeout", f"still {reason} after {cls.ready_timeout_s:.0f} s")
        return ready

    def _until_gone(self, change: Change, live: Live) -> None:
        cls = change.cls or type(self._resource(change))
        api, scope = self._api(change), self._scope(change)

        def look() -> bool | None:
            return True if cls.get(api, live.id, scope) is None else None

        if not self._waits.poll(look, change, "is being deleted", DELETE_S, cls):
            raise ApiError("delete", "Timeout", f"{live.id} is still there after {DELETE_S:.0f} s")

    # -- small things ------------------------------------------------------------------------------------------
    def _resource(self, change: Change) -> Resource:
        if change.resource is None:
            raise AssertionError(f"{change.address} is not described")
        return change.resource

    def _id(self, change: Change) -> str:
        return str(self.result.outputs.get(change.address, {}).get("id", ""))

    def _group(self, change: Change) -> Group:
        return Group(change.cls or type(self._resource(change)), change.meta.location, change.meta.via)

    def _scope(self, change: Change) -> Scope:
        return self._planner.reader.scope(self._group(change))

    def _api(self, change: Change) -> Any:
        group = self._group(change)
        return self._planner.sessions.api(group.cls, group.location, group.via, self._connection(group.via))

    def _connection(self, via: str) -> Mapping[str, Any] | None:
        if not via:
            return None
        with self._lock:
            outputs = self.result.outputs.get(via)
        found = outputs or self._planner.reader.connection(via, self._planner.snapshot)
        if found is None:
            raise ApiError("connect", "NotThere", f"{via} is not there")
        return found

    def _publish(self, change: Change, live: Live | None) -> None:
        outputs: dict[str, Any] = {"id": live.id, **live.outputs} if live is not None else {}
        with self._lock:
            self.result.outputs[change.address] = {k: v for k, v in outputs.items() if not isinstance(v, Unknown)}
        if change.action in ("create", "replace"):
            self._planner.sessions.forget(change.address)

    def _mark_written(self, change: Change) -> None:
        with self._lock:
            self._wrote.add(change.meta.via)
            self.result.done[change.address] = change.action

    def _say(self, topic: Topic, change: Change, text: str = "") -> None:
        at_s = self._runtime.monotonic() - self._started_s
        self._emit(Event(topic, at_s, change.address, change.action, text))


def _without_nulls(resource: Resource) -> Resource:
    """For a creation: what null clears is simply not given."""
    return resource.with_values({name: UNSET for name, value in resource.values().items() if value is None})
