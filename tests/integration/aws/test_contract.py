"""The one contract that every AWS kind has to stand, whatever it is: see `contract.Sample`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ansible_collections.capstan.fullstack.plugins.module_utils.aws.index import KINDS
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.errors import Refused
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.resource import Scope
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.values import UNSET

from sandbox.aws.testing import AwsSandbox

from .contract import Sample
from .harness import World, differences
from .samples import SAMPLES


def each(part: Callable[[Sample], Any]) -> Any:
    """Parameters: every sample with every entry of one of its parts."""
    return pytest.mark.parametrize(
        ("sample", "entry"),
        [pytest.param(s, entry, id=f"{s.address}-{entry}".replace(" ", "_")) for s in SAMPLES for entry in part(s)],
    )


every_sample = pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.address)


class Converged:
    """The worlds in which samples were converged once; tests that leave them as they found them share them."""

    def __init__(self, sandbox: AwsSandbox) -> None:
        self._sandbox = sandbox
        self._worlds: dict[str, World] = {}

    def of(self, sample: Sample) -> World:
        if sample.address not in self._worlds:
            world = World(self._sandbox.account())
            if sample.before is not None:
                sample.before(world.account)
            world.converge(sample.description)
            self._worlds[sample.address] = world
        return self._worlds[sample.address]

    def close(self) -> None:
        for world in self._worlds.values():
            world.runtime.close()


@pytest.fixture(scope="module")
def converged(sandbox: AwsSandbox) -> Iterator[Converged]:
    made = Converged(sandbox)
    yield made
    made.close()


def live_id(world: World, sample: Sample) -> str:
    change = world.plan(sample.description).of(sample.address)
    assert change is not None and change.live is not None, f"{sample.address} is not there"
    return change.live.id


def test_every_kind_has_a_sample() -> None:
    assert {sample.kind for sample in SAMPLES} == set(KINDS)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_samples_of_a_kind_set_every_field(kind: str) -> None:
    samples = [sample for sample in SAMPLES if sample.kind == kind]
    fields = [set(sample.description[sample.address]) | set(sample.unset) for sample in samples]
    assert set[str]().union(*fields) == set(KINDS[kind].schema())


@every_sample
def test_a_sample_says_how_each_of_its_fields_changes(sample: Sample) -> None:
    assert {*sample.changes, *sample.replaces, *sample.fixed} == set(sample.description[sample.address])


@every_sample
def test_from_nothing_to_no_change(world: World, sample: Sample) -> None:
    if sample.before is not None:
        sample.before(world.account)
    plans: list[Any] = []
    assert world.writes(lambda: plans.append(world.plan(sample.description))) == []
    assert {change.address: change.action for change in plans[0].changes} == dict.fromkeys(sample.description, "create")

    outcome = world.converge(sample.description)

    assert outcome.applied.done == dict.fromkeys(sample.description, "create")
    facts = sample.facts(world.account, live_id(world, sample))
    assert dict(sample.seen(facts)) == dict(sample.expect)
    assert differences(world.plan(sample.description)) == {}
    assert world.writes(lambda: world.converge(sample.description)) == []


@each(lambda sample: sample.drifts)
def test_drift_is_named_exactly_and_mended_exactly(converged: Converged, sample: Sample, entry: str) -> None:
    world, found = converged.of(sample), sample.drifts[entry]
    live = live_id(world, sample)
    before = sample.facts(world.account, live)

    found.by(world.account, live)

    assert sample.facts(world.account, live) != before, "nothing drifted"
    assert differences(world.plan(sample.description)) == {sample.address: (found.action, set(found.fields))}
    world.converge(sample.description)
    assert sample.facts(world.account, live_id(world, sample)) == before
    assert differences(world.plan(sample.description)) == {}


@each(lambda sample: sample.changes)
def test_a_changed_field_is_updated_there_and_back(converged: Converged, sample: Sample, entry: str) -> None:
    world, changed = converged.of(sample), sample.with_field(entry, sample.changes[entry])
    live = live_id(world, sample)
    before = sample.facts(world.account, live)

    assert differences(world.plan(changed)) == {sample.address: ("update", {entry})}
    world.converge(changed)

    assert differences(world.plan(changed)) == {}
    assert sample.facts(world.account, live) != before
    world.converge(sample.description)
    assert differences(world.plan(sample.description)) == {}
    if not _sets_open(sample, entry):
        assert sample.facts(world.account, live) == before


def _clearable(sample: Sample) -> list[str]:
    """The changeable fields that null clears, without those that the sample's other fields need."""
    needed = {"aws.hosted_zone": {"vpcs"}, "aws.record": {"records", "alias", "weight", "failover", "region"}}
    schema = KINDS[sample.kind].schema()
    return [n for n in sample.changes if schema[n].cleared is not UNSET and n not in needed.get(sample.kind, ())]


@each(_clearable)
def test_null_brings_a_field_to_what_its_kind_calls_cleared(converged: Converged, sample: Sample, entry: str) -> None:
    world, cleared = converged.of(sample), sample.with_field(entry, None)
    world.converge(sample.with_field(entry, sample.changes[entry]))

    world.converge(cleared)

    change = world.plan(cleared).of(sample.address)
    assert change is not None and change.live is not None
    assert change.action == "none"
    assert _shape(change.live.fields[entry]) == _shape(KINDS[sample.kind].schema()[entry].cleared)
    world.converge(sample.description)
    assert differences(world.plan(sample.description)) == {}


def _shape(value: Any) -> Any:
    """A field's value without the difference between lists and tuples, or between kinds of nothing."""
    if isinstance(value, (list, tuple)):
        return list(value) or None
    return None if value in ("", {}) else value


def _sets_open(sample: Sample, name: str) -> bool:
    """Entries of open sets that were added stay when they are no longer described."""
    meaning = KINDS[sample.kind].schema()[name]
    return meaning.open_set and not meaning.closed_by


@each(lambda sample: sample.replaces)
def test_a_changed_create_only_field_replaces_and_says_why(world: World, sample: Sample, entry: str) -> None:
    if sample.before is not None:
        sample.before(world.account)
    unprotected = {**sample.description, sample.address: {**sample.description[sample.address], "protect": False}}
    world.converge(unprotected)
    live = live_id(world, sample)
    changed = {**unprotected, sample.address: {**unprotected[sample.address], entry: sample.replaces[entry]}}

    change = world.plan(changed).of(sample.address)
    assert change is not None
    assert (change.action, change.because) == ("replace", (entry,))
    world.converge(changed)

    assert differences(world.plan(changed)) == {}
    successor = world.plan(changed).of(sample.address)
    assert successor is not None and successor.live is not None
    if successor.live.id != live:
        assert sample.gone(world.account, live)


@each(lambda sample: sample.others_at_work)
def test_what_others_do_is_no_change(converged: Converged, sample: Sample, entry: str) -> None:
    world = converged.of(sample)
    live = live_id(world, sample)
    before = sample.facts(world.account, live)

    sample.others_at_work[entry](world.account, live)

    assert sample.facts(world.account, live) != before, "nobody did anything"
    assert differences(world.plan(sample.description)) == {}
    assert world.writes(lambda: world.converge(sample.description)) == []


@pytest.mark.parametrize("sample", [s for s in SAMPLES if not s.outlives], ids=lambda sample: sample.address)
def test_what_is_no_longer_described_is_held_then_pruned(world: World, sample: Sample) -> None:
    if sample.before is not None:
        sample.before(world.account)
    free = {**sample.description, sample.address: {**sample.description[sample.address], "protect": False}}
    world.converge(free)
    live = live_id(world, sample)

    change = world.plan(sample.without()).of(sample.address)
    assert change is not None
    assert (change.action, bool(change.held)) == ("delete", True)
    assert world.writes(lambda: world.converge(sample.without())) == []

    world.converge(sample.without(), prune=True)

    assert sample.gone(world.account, live)
    assert world.plan(sample.without()).of(sample.address) is None


@pytest.mark.parametrize("sample", [s for s in SAMPLES if s.protected], ids=lambda sample: sample.address)
def test_a_protected_kind_refuses_to_be_pruned_by_name(converged: Converged, sample: Sample) -> None:
    world = converged.of(sample)
    with pytest.raises(Refused, match=sample.address):
        world.converge(sample.without(), prune=True)
    assert live_id(world, sample)


def read_calls(world: World, sample: Sample) -> dict[str, int]:
    """The calls that one read of the sample's kind takes."""
    described = dict(world.engine_resources(sample.description))
    wanted = {a: r for a, r in described.items() if a.partition("/")[0] == sample.kind}
    scope = Scope(frozenset({world.stack}), wanted, {}, described)
    calls = [
        call["operation"] for call in world.watch(lambda: world.with_api(lambda a: KINDS[sample.kind].read(a, scope)))
    ]
    return {operation: calls.count(operation) for operation in calls}


@every_sample
def test_reading_costs_what_the_kind_says_however_much_others_have(world: World, sample: Sample) -> None:
    if sample.before is not None:
        sample.before(world.account)
    world.converge(sample.description)
    assert read_calls(world, sample) == sample.read_calls

    World(world.account, stack="other", provider=world.provider).converge(sample.description)

    foreign = {
        operation: sample.read_calls.get(operation, 0) + more for operation, more in sample.foreign_calls.items()
    }
    assert read_calls(world, sample) == {**sample.read_calls, **foreign}
