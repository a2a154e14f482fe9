"""After an update: the engine reads back until it shows, waits until ready, and goes on with what is left."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from ansible_collections.capstan.fullstack.plugins.module_utils.engine.calls import Calls
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.description import Raw, describe
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.events import Event
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.fields import attr
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.lease import Process
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.resource import (
    READY,
    Live,
    Mark,
    Resource,
    Scope,
    waiting,
)
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.run import Engine, Options, Outcome, Stack
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.runtime import Threads
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.values import UNSET, Unset

from ..plugins.memory import Store


class Hasty(Threads):
    """The real runtime, but its clocks jump instead of sleeping."""

    def __init__(self) -> None:
        super().__init__(8)
        self.skipped = 0.0

    def wall(self) -> float:
        return super().wall() + self.skipped

    def monotonic(self) -> float:
        return super().monotonic() + self.skipped

    def sleep(self, seconds: float) -> None:
        self.skipped += seconds


@dataclass
class Panel:
    """One lift. `shows_after`: reads before an update shows; `busy_for`: further reads before it is ready again."""

    fields: dict[str, Any] = field(default_factory=dict)
    mark: Mark | None = None
    shows_after: int = 0
    busy_for: int = 0
    deaf: bool = False  # accepts updates and forgets them
    meddling: dict[str, Any] = field(default_factory=dict)  # what somebody else changes right after an update
    updates: list[dict[str, Any]] = field(default_factory=list)
    coming: dict[str, Any] = field(default_factory=dict)
    reads: int = 0

    def seen(self) -> tuple[dict[str, Any], bool]:
        self.reads -= 1
        if self.coming and self.reads < self.busy_for:
            self.fields, self.coming = self.fields | self.coming, {}
        return dict(self.fields), self.reads < 0 or self.reads >= self.busy_for

    def change(self, fields: dict[str, Any]) -> None:
        assert self.reads < 0, f"{fields} came before the update before was done"
        self.updates.append(fields)
        self.fields |= self.meddling
        self.coming, self.reads = {} if self.deaf else fields, self.shows_after + self.busy_for


@dataclass(frozen=True, kw_only=True)
class Lift(Resource):
    """Takes one kind of change at a time, and goes up floor by floor."""

    kind = "toy.lift"
    visible_s = 20.0
    poll_s = (1.0, 2.0)

    floor: int = attr("where it stands")
    music: str | Unset = attr("what it plays", default=UNSET)
    lights: str | Unset = attr("how bright it is", default=UNSET)

    @classmethod
    def read(cls, api: Panel, scope: Scope) -> list[Live]:
        if api.mark is None:
            return []
        fields, ready = api.seen()
        mark = api.mark
        readiness = READY if ready else waiting("moving")
        marks: dict[str, Any] = {"owner": mark.stack, "component": mark.component}
        return [Live(address=mark.address, id="1", fields=fields, readiness=readiness, **marks)]

    def create(self, api: Panel, mark: Mark) -> str:
        api.mark, api.fields = mark, {"floor": 1}
        return "1"

    def update(self, api: Panel, live: Live, change: Any) -> Iterable[str]:
        first, *others = sorted(change.fields)
        before, after = change.fields[first]
        if first == "floor":
            api.change({"floor": before + 1})
            return [*others, *(["floor"] if before + 1 < after else [])]
        api.change({first: after})
        return others


class Toys:
    name = "toy"

    def __init__(self, panel: Panel) -> None:
        self.panel = panel

    def kind(self, name: str) -> type[Resource] | None:
        return {"toy.lift": Lift}.get(name)

    def kinds(self) -> Iterable[str]:
        return ["toy.lift"]

    def open(self, location: str, connection: Mapping[str, Any] | None, calls: Calls) -> Panel:
        return self.panel


class House:
    """One lift, the lock beside it, and what the runs said."""

    def __init__(self, panel: Panel) -> None:
        self.panel, self.store = panel, Store()
        self.said: list[Event] = []

    def converge(self, **fields: Any) -> Outcome:
        provider = Toys(self.panel)
        runtime = Hasty()
        try:
            return Engine(
                description=describe([Raw("toy.lift/main", fields, "house", "shop")], [provider]),
                stack=Stack("shop"),
                providers=[provider],
                stores=lambda name: self.store,
                runtime=runtime,
                emit=self.said.append,
                process=Process("me", "here"),
                is_dead=lambda process: False,
                options=Options(complete=frozenset({"house"})),
            ).converge()
        finally:
            runtime.close()


def settled(panel: Panel) -> House:
    """A house whose lift stands on the first floor, dark and silent."""
    house = House(panel)
    assert house.converge(floor=1).error is None
    assert panel.updates == []
    return house


def test_an_api_that_takes_one_change_at_a_time_is_updated_until_nothing_is_left() -> None:
    house = settled(Panel(shows_after=2, busy_for=3))
    outcome = house.converge(floor=3, music="waltz", lights="dim")
    assert outcome.error is None
    assert house.panel.updates == [{"floor": 2}, {"floor": 3}, {"lights": "dim"}, {"music": "waltz"}]
    assert house.panel.fields == {"floor": 3, "music": "waltz", "lights": "dim"}
    assert not house.converge(floor=3, music="waltz", lights="dim").changed


def test_what_a_creation_left_out_is_updated_the_same_way() -> None:
    house = House(Panel(shows_after=1, busy_for=1))
    assert house.converge(floor=2, music="waltz").error is None
    assert house.panel.updates == [{"floor": 2}, {"music": "waltz"}]


def test_an_update_that_does_not_take_effect_fails_and_names_the_field() -> None:
    house = settled(Panel(deaf=True))
    error = house.converge(floor=1, music="waltz").error
    assert "toy.lift/main: update: NoEffect. it still differs in music 20 s after its update" in str(error)
    assert len(house.panel.updates) == 1


def test_a_long_wait_is_told_every_few_seconds_with_the_apis_own_words() -> None:
    house = settled(Panel(shows_after=0, busy_for=30))
    house.converge(floor=2)
    told = [event for event in house.said if event.topic == "waiting"]
    assert {(event.address, event.text) for event in told} == {("toy.lift/main", "moving")}
    assert len(told) >= 4
    gaps = [after.at_s - before.at_s for before, after in pairwise(told)]
    assert max(gaps) <= 10.0


def test_what_somebody_else_changes_meanwhile_is_left_to_the_next_plan() -> None:
    house = settled(Panel(shows_after=2))
    house.panel.fields["music"] = "waltz"
    house.panel.meddling = {"music": "rock"}
    assert house.converge(floor=2, music="waltz").error is None
    assert house.panel.updates == [{"floor": 2}]
    assert house.panel.fields == {"floor": 2, "music": "rock"}
