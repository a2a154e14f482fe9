"""The course of one seed, and the checks after each chapter."""

from __future__ import annotations

import functools
from collections import Counter
from typing import Any

from engine.description import Raw, describe
from engine.errors import ApplyFailed, CapstanError, LeaseLost, LockHeld, PlanMoved, Refused, Unreadable
from engine.names import physical_name
from engine.plan import Plan
from engine.run import Outcome

from .cloud import Cloud, Faults, Thing, Violation
from .judge import drift, judge_kept, judge_record, judge_single, judge_world, others_at_work, own_things
from .kinds import BUSY, KINDS, SLOW, SimProvider
from .scenario import STACK, Story, changed_graph, completed, direct_needs, outcome_of, random_graph, users_of

EXCUSED = (LockHeld, LeaseLost, ApplyFailed, PlanMoved, Refused, Unreadable)


def play(seed: int) -> Counter[str]:
    """Plays one seed; returns how often each fault was hit. Raises Violation (or any error) when something is wrong."""
    story = Story(seed)
    rng = story.rng
    add_foreign(story)
    first = random_graph(rng)
    if rng.random() < 0.2:
        chapter_clean(story, first)
    else:
        chapter_faults(story, first)
    settle(story, first)
    kept = others_at_work(story.cloud)
    named = drift(story.cloud, rng) if rng.random() < 0.5 else []
    chapter_drift(story, first, named)
    judge_kept(story.cloud, {i: k for i, k in kept.items() if not story.cloud.things[i].gone})
    protected = {a for a, raw in first.items() if raw.fields.get("protect")}
    second = changed_graph(rng, first, protected)
    try:
        chapter_faults(story, second)
        settle(story, second)
    except Refused as error:  # two runs are needed, and the engine says so before it writes
        if "cannot be ordered" not in str(error):
            raise
        story.hits["cannot be ordered"] += 1
        return story.hits
    chapter_narrow(story, second)
    if rng.random() < 0.2:
        chapter_protected(story, second)
    if rng.random() < 0.2:
        chapter_conflict(story, second)
    if rng.random() < 0.1:
        chapter_unreadable(story, second)
    story.hits.update(story.cloud.hits)
    return story.hits


def add_foreign(story: Story) -> None:
    """Other people's objects, of every kind, some with names like ours."""
    for number, kind in enumerate(KINDS):
        thing = Thing(
            f"{kind}-foreign", kind, f"prod-n{number}x", {"fixed": "theirs"}, None, set(), 0.0, maker="foreign"
        )
        thing.marks = {"stack": "prod2", "address": f"{kind}/n{number}", "component": "one"} if number % 2 else None
        thing.history.append((0.0, dict(thing.fields), thing.marks, False))
        story.cloud.things[thing.id] = thing


def judge_foreign(cloud: Cloud) -> None:
    for thing in cloud.things.values():
        if thing.maker == "foreign" and (thing.gone or thing.fields != {"fixed": "theirs"}):
            raise Violation(f"{thing.id} belongs to somebody else and was touched")


# -- chapters ----------------------------------------------------------------------------------------------------
def chapter_clean(story: Story, raws: dict[str, Raw]) -> None:
    """No faults: the plan is exact, and the run does exactly that, in the time of the longest path."""
    plan = run(story, raws, "plan")
    assert isinstance(plan, Plan)
    if story.cloud.writes:
        raise Violation(f"a plan wrote {story.cloud.writes}")
    began = story.hub.now
    outcome = run(story, raws)
    took = story.hub.now - began
    story.hits["clean run"] += 1
    planned = {change.address: change.action for change in plan.changes if change.writes}
    if outcome.applied.done != planned:
        raise Violation(f"planned {planned}, done {outcome.applied.done}")
    created = Counter(address for _, verb, _, address in story.cloud.writes if verb == "create")
    if created != Counter(dict.fromkeys(planned, 1)):
        raise Violation(f"planned {sorted(planned)}, created {created}")
    judge_world(story.cloud, raws, STACK)
    longest = longest_path(raws)
    if took > longest + 60.0:
        raise Violation(f"took {took:.0f} s; the longest path is at most {longest:.0f} s")


def longest_path(raws: dict[str, Raw]) -> float:
    """An upper bound of the time that the longest chain needs: 1.5 times the kinds' durations, plus calls."""
    cost = {kind: 1.5 * seconds + 8.0 for kind, seconds in (SLOW | BUSY).items()}

    @functools.cache
    def length_of(address: str) -> float:
        raw = raws[address]
        text = raw.fields.get("text", "")
        needs = [*direct_needs(raw), *(a for a in raws if f"({a}|" in text)]
        before = max((length_of(need) for need in needs), default=0.0)
        return before + cost.get(address.partition("/")[0], 3.0)

    return max(map(length_of, raws))


def chapter_faults(story: Story, raws: dict[str, Raw]) -> None:
    """Runs under faults and kills, at times two at once, until one gets through (or patience ends)."""
    rng, cloud = story.rng, story.cloud
    for _ in range(rng.randint(1, 4)):
        cloud.faults = Faults(
            lag_s=rng.choice([0.0, 0.5, 3.0, 6.0]),
            throttle=rng.choice([0.0, 0.05]),
            lose_answer=rng.choice([0.0, 0.0, 0.05]),
            lose_request=rng.choice([0.0, 0.0, 0.03]),
            not_yet=rng.choice([0.0, 0.1]),
        )
        process = start_with_mishap(story, raws)
        if rng.random() < 0.25:
            chapter_two_at_once(story, raws, process)
        story.wait(process)
        excuse(process)
        if process.finished and process.error is None and not process.result.error:
            if not cloud.faults.lag_s:
                judge_single(cloud)
            return


def start_with_mishap(story: Story, raws: dict[str, Raw]) -> Any:
    rng, cloud = story.rng, story.cloud
    name = f"run-{story.runs + 1}"
    mishap = rng.random()
    if mishap < 0.7:
        cloud.faults.kill_at[name] = (rng.randint(1, 30 + 10 * len(raws)), rng.choice(["before", "after"]))
    elif mishap < 0.85:
        cloud.faults.freeze_at[name] = (rng.randint(8, 20 + 6 * len(raws)), rng.choice([20.0, 200.0, 400.0]))
    return story.start(raws)


def chapter_two_at_once(story: Story, raws: dict[str, Raw], first: Any) -> None:
    """A second run beside the first: it stops before any write, or takes over from one that is gone."""
    pause = story.start(raws, "plan")
    story.wait(pause)
    second = story.start(raws)
    story.hits["two at once"] += 1
    story.wait(second)
    excuse(second)
    if isinstance(second.error, LockHeld):
        story.hits["lock held"] += 1
        if any(writer == second.name for writer, *_ in story.cloud.writes):
            raise Violation(f"{second.name} was refused the lock and wrote")


def excuse(process: Any) -> None:
    """A run may fail of the faults that were planted, in the words meant for that; of nothing else."""
    error = process.error or (process.result.error if isinstance(process.result, Outcome) else None)
    if error is not None and not isinstance(error, EXCUSED):
        raise error
    if isinstance(error, ApplyFailed) and "NotThere" in str(error):
        raise error


def settle(story: Story, raws: dict[str, Raw]) -> None:
    """A quiet run brings everything to the description; the one after it has nothing to do."""
    outcome = story.settled(raws)
    judge_world(story.cloud, raws, STACK)
    judge_foreign(story.cloud)
    if any(address.startswith("pod.") for address in outcome.applied.done):
        judge_record(story.cloud)
        story.hits["record judged"] += 1
    before = len(story.cloud.writes)
    outcome = story.settled(raws)
    if outcome.changed or len(story.cloud.writes) != before:
        raise Violation(f"the second run wrote {story.cloud.writes[before:]}")


def chapter_drift(story: Story, raws: dict[str, Raw], named: list[str]) -> None:
    """Check names exactly what was changed by hand, the next run mends exactly that."""
    plan = run(story, raws, "plan")
    shown = sorted(change.address for change in plan.changes if change.action != "none")
    if shown != sorted(named):
        raise Violation(f"drifted {sorted(named)}, shown {shown}")
    if named:
        story.hits["drift"] += 1
    story.settled(raws, digest=plan.digest())
    judge_world(story.cloud, raws, STACK)


def chapter_narrow(story: Story, raws: dict[str, Raw]) -> None:
    """Only one component is described: nothing of the others is deleted, or even shown."""
    one = completed({a: raw for a, raw in raws.items() if raw.component == "one"}, raws)
    if not one:
        return
    story.settled(one, complete=("one",))
    judge_world(story.cloud, raws, STACK)
    story.hits["narrowed run"] += 1


def chapter_protected(story: Story, raws: dict[str, Raw]) -> None:
    """What is protected is neither replaced nor deleted, and nothing else is written by a run that would."""
    protected = sorted(a for a, raw in raws.items() if raw.fields.get("protect") and not users_of(raws, a))
    if not protected:
        return
    victim = raws[protected[0]]
    changed = dict(raws)
    if story.rng.random() < 0.5:
        del changed[victim.address]
    else:
        fields = {**victim.fields, "fixed": "another"}
        changed[victim.address] = Raw(victim.address, fields, victim.component, STACK, victim.source)
    before = len(story.cloud.writes)
    process = story.start(changed)
    story.wait(process)
    if not isinstance(process.error, Refused) or victim.address not in str(process.error):
        raise Violation(f"{victim.address} is protected, and the run ended with {process.error!r}")
    if len(story.cloud.writes) != before:
        raise Violation(f"refused, and wrote {story.cloud.writes[before:]}")
    story.hits["protected"] += 1


def chapter_conflict(story: Story, raws: dict[str, Raw]) -> None:
    """Somebody else's thing has our name: a conflict that names it, and it stays as it is."""
    raw = Raw("sim.named/new", {"fixed": "f0"}, "one", STACK, "simulation")
    described = describe([raw], [SimProvider(story.cloud)]).resources[raw.address]
    marks = {"stack": "prod2", "address": raw.address, "component": "one"}
    thing = Thing("sim.named-taken", "sim.named", physical_name(described, ""), {"fixed": "theirs"}, marks, set(), 0.0)
    thing.maker = "foreign"
    thing.history.append((0.0, dict(thing.fields), marks, False))
    story.cloud.things[thing.id] = thing
    process = story.start(raws | {raw.address: raw})
    story.wait(process)
    error = process.error or process.result.error
    if not isinstance(error, ApplyFailed) or "conflict" not in str(error):
        raise Violation(f"the name was taken, and the run ended with {error!r}")
    judge_foreign(story.cloud)
    story.hits["conflict"] += 1


def chapter_unreadable(story: Story, raws: dict[str, Raw]) -> None:
    """A kind that must not be read is never taken for absent: nothing is written at all."""
    kind = story.rng.choice(sorted({raw.address.partition("/")[0] for raw in raws.values()}))
    for thing in own_things(story.cloud):
        if thing.kind == kind and "size" in thing.fields:
            thing.fields = {**thing.fields, "size": -5}
    story.cloud.faults = Faults(deny_read=kind)
    before = len(story.cloud.writes)
    process = story.start(raws)
    story.wait(process)
    if not isinstance(process.error, Unreadable):
        raise Violation(f"{kind} could not be read, and the run ended with {process.error!r}")
    if len(story.cloud.writes) != before:
        raise Violation(f"{kind} could not be read, and the run wrote {story.cloud.writes[before:]}")


def run(story: Story, raws: dict[str, Raw], verb: str = "converge") -> Any:
    process = story.start(raws, verb)
    story.wait(process)
    try:
        return outcome_of(process)
    except CapstanError as error:
        raise Violation(f"{verb} failed: {error}") from error
