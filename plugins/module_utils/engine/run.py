"""The engine's front: plan, and converge."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .apply import Applied, Applier
from .calls import Calls, Patience
from .description import Description
from .errors import ApplyFailed, CapstanError, Refused, UnreadablePlan
from .events import Emit, Event
from .lease import Lease, Note, Process, Store, notes_in
from .operations import deadlock
from .plan import Plan, gaps_of
from .planning import Options, Planner
from .reading import Reader, Sessions, Snapshot, Stack
from .resource import Provider
from .runtime import Runtime

_USERS = "users/"  # keys in a platform's store: the environments of other inventories that use it
FORGET_S = 900.0  # after that a create is visible to every read, or it never happened

__all__ = ["Engine", "Options", "Outcome", "Stack"]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a run did. `error`: why it did not do all of its plan."""

    plan: Plan
    applied: Applied
    error: CapstanError | None = None
    stats: Mapping[str, float] = field(default_factory=dict)

    @property
    def changed(self) -> bool:
        return bool(self.applied.done)


class Engine:
    """One run over one description. Everything from the outside world is handed in."""

    def __init__(
        self,
        *,
        description: Description,
        stack: Stack,
        providers: Sequence[Provider],
        stores: Callable[[str], Store],
        runtime: Runtime,
        emit: Emit,
        process: Process,
        is_dead: Callable[[Process], bool],
        options: Options,
        stopping: Callable[[], bool] = lambda: False,
        may_write: Callable[[], None] = lambda: None,
        patience: Patience | None = None,
    ) -> None:
        self._description = description
        self._stack = stack
        self._stores = stores  # stack name -> its store; the store's own calls are not guarded by the lease
        self._runtime = runtime
        self._emit = emit
        self._process = process
        self._is_dead = is_dead
        self._options = options
        self._stopping = stopping
        self._may_write = may_write
        self._leases: dict[str, Lease] = {}
        self._tokens: dict[str, str] = {}
        self._started_s = runtime.monotonic()
        self.calls = Calls(runtime, self._guard, patience or Patience())
        self._sessions = Sessions(providers, self.calls)
        self._reader = Reader(
            description,
            providers,
            self._sessions,
            stack,
            runtime,
            prunes=options.absent or not options.narrowed,
            vias=options.vias,
        )

    def _guard(self) -> None:
        """Before every write: the run's parent lives, and every lease that it took is still good."""
        self._may_write()
        if not self._leases:
            raise AssertionError("a write without a lease")
        for lease in list(self._leases.values()):
            lease.check()

    # -- plan --------------------------------------------------------------------------------------------------
    def plan(self) -> Plan:
        """The plan, without a lock and without a write. Refused and unreadable things are in it, not raised."""
        return self._planner(self._read(), check=True).plan()

    def _read(self) -> Snapshot:
        self._say("reading", "reads what is live")
        return self._reader.read()

    def _planner(self, snapshot: Snapshot, *, check: bool) -> Planner:
        return Planner(
            self._description,
            snapshot,
            self._stack,
            self._sessions,
            self._reader,
            self._runtime,
            self._options,
            self._token,
            check,
        )

    def _token(self, address: str) -> str:
        return self._tokens.setdefault(address, self._runtime.nonce())

    # -- converge ----------------------------------------------------------------------------------------------
    def converge(self) -> Outcome:
        """Plan, and make it so. Raises what keeps it from starting; what fails on the way is in the outcome."""
        planner = self._planner(self._read(), check=False)
        plan = planner.plan()
        self._say("planned", data={"plan": plan})
        self._refuse(plan)
        if not plan.writes and not plan.waits:
            return self._outcome(plan, self._idle(planner))
        if not plan.writes:
            return self._outcome(plan, self._apply(plan, planner))
        try:
            notes = self._acquire(plan)
            self._register()
            again = self._planner(self._read_again(plan, planner.snapshot, notes), check=False)
            plan_now = again.plan()
            self._refuse(plan_now)
            if plan_now.digest() != plan.digest():
                self._say("planned", "the plan was made again under the lock", data={"plan": plan_now})
            applied = self._apply(plan_now, again)
            self._unregister(applied)
            return self._outcome(plan_now, applied)
        finally:
            self._release()

    def _refuse(self, plan: Plan) -> None:
        """Raises before anything is written when this plan must not be carried out."""
        if plan.unreadable:
            gaps = "\n".join([*gaps_of(plan), "Nothing was written."])
            raise UnreadablePlan(operation="read", code="Unreadable", message=gaps)
        refused = [change.refused for change in plan.changes if change.refused]
        if refused:
            raise Refused(". ".join(refused) + ". Nothing was written.")
        if circle := deadlock(plan, self._description.needs):
            raise Refused(f"this plan cannot be ordered: {circle}. Nothing was written. Make the change in two runs.")
        approved = self._options.expected_digest
        if approved and approved != plan.digest():
            raise Refused(
                f"the world or the description moved since the plan was approved: expected_digest {approved[:12]}…, "
                f"now {plan.digest()[:12]}…. Nothing was written. Look at the plan again."
            )
        deletes = [c.address for c in plan.changes if c.action == "delete" and c.writes]
        if self._options.prune and len(deletes) > self._options.prune_limit and not approved:
            raise Refused(
                f"prune would delete {len(deletes)} resources, more than prune_limit ({self._options.prune_limit}): "
                f"{', '.join(sorted(deletes))}. Nothing was written. Give expected_digest {plan.digest()} to allow it."
            )

    def _acquire(self, plan: Plan) -> dict[str, Note]:
        stacks = {change.owner for change in plan.changes if change.writes}
        if self._stack.platform and any(c.resource is not None and c.resource.touches_platform for c in plan.changes):
            stacks.add(self._stack.platform)
        notes: dict[str, Note] = {}
        for stack in sorted(stacks):
            lease = Lease(stack, self._stores(stack), self._runtime, self._process, self._is_dead)
            self._leases[stack] = lease  # let go of also where taking it breaks off half-way
            entries = lease.acquire()
            notes |= notes_in(entries)
            if stack == self._stack.platform:
                self._keep_used_platform(entries)
            self._say("locked", stack)
        return notes

    # -- who uses a platform -----------------------------------------------------------------------------------
    def _keep_used_platform(self, entries: Mapping[str, str]) -> None:
        """A platform goes only when no environment of another inventory is on it any more, as its store says."""
        if not self._options.absent or self._stack.shared:
            return
        users = sorted(key.removeprefix(_USERS) for key in entries if key.startswith(_USERS))
        if users:
            raise Refused(
                f"platform {self._stack.platform} is still used by {', '.join(users)}. Nothing was deleted. "
                "Destroy these environments first."
            )

    def _register(self) -> None:
        """An environment on a shared platform leaves its name there before its first write."""
        if self._stack.shared and not self._options.absent:
            self._stores(self._stack.platform).create(f"{_USERS}{self._stack.name}", "uses this platform")

    def _unregister(self, applied: Applied) -> None:
        if self._stack.shared and self._options.absent and not applied.failures and applied.halted is None:
            self._stores(self._stack.platform).remove(f"{_USERS}{self._stack.name}")

    def _release(self) -> None:
        leases, self._leases = self._leases, {}
        for lease in leases.values():
            lease.release()

    def _read_again(self, plan: Plan, before: Snapshot, notes: Mapping[str, Note]) -> Snapshot:
        """What the plan touches, now that nobody else writes; unresolved creates get time to become visible."""
        touched = {change.cls for change in plan.changes if change.writes and change.cls is not None}
        snapshot = self._reader.read(touched, before)
        return self._after_notes(snapshot, notes)

    def _after_notes(self, snapshot: Snapshot, notes: Mapping[str, Note]) -> Snapshot:
        """Polls for what earlier runs may have created; forgets notes whose result everybody must see by now."""
        started, now = self._runtime.monotonic(), self._runtime.wall()
        for address, note in notes.items():
            if now - note.at > FORGET_S:
                self._forget(address)
        fresh = {
            address: note
            for address, note in notes.items()
            if now - note.at <= FORGET_S and address in self._description.resources
        }
        while True:
            visible = {seen.live.address for seen in snapshot.everything() if seen.live.owner in self._stack.own}
            # All of them in one snapshot: a read that lags may lose again what an earlier one showed.
            pending = {address: note for address, note in fresh.items() if address not in visible}
            if not pending:
                break
            if self._runtime.monotonic() - started > self._options.consistency_s:
                self._tokens.update({address: note.token for address, note in pending.items()})
                break
            self._runtime.sleep(0.5)
            snapshot = self._reader.read({type(self._description.resources[a]) for a in pending}, snapshot)
        return snapshot

    def _forget(self, address: str) -> None:
        for lease in self._leases.values():
            lease.resolve(address)

    def _apply(self, plan: Plan, planner: Planner) -> Applied:
        applier = Applier(plan, planner, self.calls, self._runtime, self._emit, self._stopping, self._leases.get)
        return applier.run()

    def _idle(self, planner: Planner) -> Applied:
        outputs = {
            address: {"id": change.live.id, **change.live.outputs}
            for address, change in planner.changes.items()
            if change.live is not None
        }
        return Applied(outputs=outputs)

    def _outcome(self, plan: Plan, applied: Applied) -> Outcome:
        error: CapstanError | None = applied.halted
        if applied.failures:
            error = ApplyFailed(sorted(applied.failures.items()), applied.skipped)
        stats = {
            "seconds": round(self._runtime.monotonic() - self._started_s, 3),
            "calls": self.calls.made,
            "writes": self.calls.writes,
            "retries": self.calls.retries,
        }
        return Outcome(plan=plan, applied=applied, error=error, stats=stats)

    def _say(self, topic: Any, text: str = "", data: Mapping[str, Any] | None = None) -> None:
        self._emit(Event(topic, self._runtime.monotonic() - self._started_s, text=text, data=data or {}))
