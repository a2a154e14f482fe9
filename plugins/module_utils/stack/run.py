"""One task: arguments and a rendered description in, a result out. The action plugin and the module both call this."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..engine.calls import Calls, Patience
from ..engine.description import Description, Raw, describe
from ..engine.errors import CapstanError, InvalidDescription
from ..engine.lease import Process, Store, describe_holder
from ..engine.plan import Plan
from ..engine.reading import Reader, Seen, Sessions
from ..engine.resource import Provider
from ..engine.run import Engine, Options, Outcome, Stack
from ..engine.runtime import Runtime
from . import gather, results
from .manifests import manifests_of
from .narrowing import Part, part_of
from .progress import Progress
from .secret_refs import GivenSecrets, ReadStored, with_secrets
from .settings import VERSION, Settings
from .shown import blanked

NOTHING = Description({}, {})


@dataclass(frozen=True, kw_only=True)
class World:
    """Everything outside: providers, where locks and secrets are kept, the clock, this process, and its end."""

    providers: Sequence[Provider]
    stores: Callable[[str], Store]
    read_stored: ReadStored
    runtime: Runtime
    process: Process
    is_dead: Callable[[Process], bool]
    stopping: Callable[[], bool] = lambda: False
    may_write: Callable[[], None] = lambda: None
    patience: Patience | None = None


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is to be done. `raws`: the description; `complete`: the components that it holds completely.

    `secrets`: texts that must never be seen; `given`: what `secret_ref`s name that the controller knows.
    """

    settings: Settings
    raws: Sequence[Raw] = ()
    complete: frozenset[str] = frozenset()
    check: bool = False
    secrets: frozenset[str] = field(default=frozenset(), repr=False)
    given: GivenSecrets = field(default_factory=dict, repr=False)

    @property
    def stack(self) -> Stack:
        names = self.settings.names
        return Stack(names.environment, names.platform, names.shared, self.settings.region)


def run_stack(task: Task, world: World, progress: Progress) -> dict[str, Any]:
    """The result of the module `stack`. Failures are in it, not raised."""
    try:
        if task.settings.state == "rendered":
            return _rendered(task, world)
        if task.settings.state == "gathered":
            seen = _own(task, world)
            return {"changed": False, "description": gather.described(seen), "manifests": manifests_of(seen)}
        task, part = _prepared(task, world, progress)
        result = (_planned if task.check else _converged)(task, part, world, progress)
        return results.fitted({**results.EMPTY, **result}, task.settings.plan_path, task.settings.names.environment)
    except CapstanError as error:
        return {"changed": False, **results.failure(error, task.secrets)}


def run_info(task: Task, world: World, progress: Progress) -> dict[str, Any]:
    """The result of the module `stack_info`. Failures are in it, not raised."""
    wanted = task.settings.gather
    result: dict[str, Any] = {"changed": False}
    try:
        if wanted & {"outputs", "members"}:
            seen = _own(task, world)
            if "members" in wanted:
                result["members"] = gather.members(seen)
            if "outputs" in wanted:
                live = {one.live.address: {"id": one.live.id, **one.live.outputs} for one in seen if one.live.address}
                result["outputs"] = results.shown_outputs(live, task.secrets)
        if "lock" in wanted:
            result["lock"] = {name: describe_holder(world.stores(name).entries()) for name in sorted(task.stack.all)}
        if "drift" in wanted:
            task, part = _prepared(task, world, progress)
            plan = _engine(task, world, part, progress).plan()
            shown = results.planned(plan, task.secrets)
            result["drift"] = [change for change in shown["plan"] if change["action"] != "none"]
            result |= {key: shown[key] for key in ("unreadable", "unplanned", "notices", "digest", "diff")}
            result |= _failed(results.plan_failures(plan) if plan.unreadable else [])
    except CapstanError as error:
        result |= results.failure(error, task.secrets)
    return result


def _rendered(task: Task, world: World) -> dict[str, Any]:
    describe(task.raws, world.providers, shared_platform=_shared(task))
    components = {raw.address: raw.component for raw in task.raws}
    description = blanked(gather.rendered(task.raws), task.secrets)
    return {"changed": False, "description": description, "components": components}


def _shared(task: Task) -> str:
    return task.settings.names.platform if task.settings.names.shared else ""


def _prepared(task: Task, world: World, progress: Progress) -> tuple[Task, Part]:
    """The part that this run is about, its secrets in place; the task and its progress keep quiet about them."""
    part = _part(task, world)
    description, secrets = with_secrets(part.description, task.given, world.read_stored)
    progress.hide(secrets)
    return replace(task, secrets=task.secrets | secrets), replace(part, description=description)


def _part(task: Task, world: World) -> Part:
    settings = task.settings
    if settings.state == "absent":
        if settings.components or settings.targets:
            raise InvalidDescription(
                "state: absent is about the whole stack; components, targets and tags cannot narrow it. To delete a "
                "part, disable its roles or take it out of the description and converge with prune: true."
            )
        return Part(NOTHING, frozenset(), False)
    description = describe(task.raws, world.providers, shared_platform=_shared(task))
    return part_of(description, task.complete, settings.components, settings.targets)


def _engine(task: Task, world: World, part: Part, emit: Callable[[Any], None]) -> Engine:
    settings = task.settings
    return Engine(
        description=part.description,
        stack=task.stack,
        providers=world.providers,
        stores=world.stores,
        runtime=world.runtime,
        emit=emit,
        process=world.process,
        is_dead=world.is_dead,
        stopping=world.stopping,
        may_write=world.may_write,
        patience=world.patience,
        options=Options(
            version=VERSION,
            absent=settings.state == "absent",
            prune=settings.prune,
            prune_limit=settings.prune_limit,
            expected_digest=settings.expected_digest,
            complete=part.complete,
            narrowed=part.narrowed,
            vias={"kube": settings.via} if settings.via else {},
        ),
    )


def _planned(task: Task, part: Part, world: World, progress: Progress) -> dict[str, Any]:
    """Check mode: the plan, and a failure when it could not be made or would be refused."""
    started_s = world.runtime.monotonic()
    engine = _engine(task, world, part, progress)
    plan, settings = engine.plan(), task.settings
    if settings.prune:
        more = results.approval_notices(plan, settings.prune_limit, settings.expected_digest)
        plan = replace(plan, notices=(*plan.notices, *more))
    progress.plan(plan)
    return {
        "changed": plan.writes,
        **results.planned(plan, task.secrets),
        "outputs": results.foreseen(plan, task.secrets),
        "stats": {
            "seconds": round(world.runtime.monotonic() - started_s, 3),
            "calls": engine.calls.made,
            "writes": engine.calls.writes,
            "retries": engine.calls.retries,
        },
        **_failed(results.plan_failures(plan, settings.expected_digest)),
    }


def _converged(task: Task, part: Part, world: World, progress: Progress) -> dict[str, Any]:
    shown: list[Plan] = []

    def emit(event: Any) -> None:
        if isinstance(event.data.get("plan"), Plan):
            shown[:] = [event.data["plan"]]
        progress(event)

    try:
        outcome = _engine(task, world, part, emit).converge()
    except CapstanError as error:  # before anything was written
        known = results.planned(shown[0], task.secrets) if shown else {}
        return {**known, "changed": False, **results.failure(error, task.secrets)}
    progress.end(_done(outcome), part.description.needs, outcome.stats)
    result = {
        "changed": outcome.changed,
        **results.planned(outcome.plan, task.secrets),
        "outputs": results.shown_outputs(outcome.applied.outputs, task.secrets),
        "stats": dict(outcome.stats),
    }
    if outcome.error is not None:
        result |= results.failure(outcome.error, task.secrets)
        result["left"] = outcome.applied.skipped
    return result


def _done(outcome: Outcome) -> Mapping[str, int]:
    actions = list(outcome.applied.done.values())
    return {action: actions.count(action) for action in set(actions)}


def _failed(lines: Sequence[str]) -> dict[str, Any]:
    return {"failed": True, "msg": "\n".join(lines)} if lines else {}


def _own(task: Task, world: World) -> list[Seen]:
    """Everything live of the stacks that this task may write. Raises what makes it unreadable."""
    calls = Calls(world.runtime, _refuse_write, world.patience or Patience())
    vias = {"kube": task.settings.via} if task.settings.via else {}
    sessions = Sessions(world.providers, calls)
    reader = Reader(NOTHING, world.providers, sessions, task.stack, world.runtime, prunes=True, vias=vias)
    snapshot = reader.read()
    if snapshot.unreadable:
        reasons = (f"{group.label} cannot be read: {reason}" for group, reason in snapshot.unreadable.items())
        raise CapstanError("\n".join(sorted(reasons)))
    return [seen for seen in snapshot.everything() if seen.live.owner in task.stack.own]


def _refuse_write() -> None:
    raise AssertionError("a read-only task would write")
