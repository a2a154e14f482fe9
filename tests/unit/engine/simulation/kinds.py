"""Kinds of the simulated cloud: one for each way of owning, naming, creating and replacing that the engine knows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from engine.calls import Calls
from engine.errors import ApiError, Category, Unreadable
from engine.fields import attr
from engine.resource import READY, Live, Mark, Resource, Scope, waiting
from engine.values import UNSET, Unset

from .cloud import Cloud

ANY = ("sim.net", "sim.base", "sim.named", "sim.seen", "sim.zone", "sim.slow", "sim.rules", "sim.scaled", "sim.turns")

UNIQUE = frozenset(
    {"sim.named", "sim.seen", "sim.zone", "sim.slow", "sim.rules", "sim.scaled", "sim.turns", "sim.host"}
)


class SimApi:
    """The provider's client: every request goes through the engine's Calls."""

    def __init__(self, cloud: Cloud, calls: Calls) -> None:
        self.cloud = cloud
        self.calls = calls

    def read(self, request: Any) -> Any:
        try:
            return self.calls.make(request, write=False)
        except ApiError as error:
            if error.category is Category.DENIED:
                raise Unreadable(error.operation, error.code, error.message, Category.DENIED) from error
            raise

    def write(self, request: Any, *, repeatable: bool) -> Any:
        return self.calls.make(request, write=True, repeatable=repeatable)


@dataclass(frozen=True, kw_only=True)
class SimResource(Resource):
    """What all simulated kinds share. `later`: fields that the create call does not take."""

    later: ClassVar[frozenset[str]] = frozenset({"extra"})
    marked_at_create: ClassVar[bool] = True
    tokened: ClassVar[bool] = False
    outputs: ClassVar[Mapping[str, str]] = {"endpoint": "where it answers"}

    fixed: str = attr("create-only text", create_only=True)
    size: int | Unset = attr("a plain number", default=UNSET)
    extra: str | Unset = attr("a field that only an update sets", default=UNSET)
    uses: list[str] | Unset = attr("others, exchangeable", refers_to=ANY, unordered=True, default=UNSET)
    inside: str | Unset = attr("another, for good", refers_to=ANY, create_only=True, default=UNSET)
    text: str | Unset = attr("text that may hold references", default=UNSET)
    note: str | Unset = attr("text that null clears", cleared=None, default=UNSET)

    @classmethod
    def read(cls, api: SimApi, scope: Scope) -> list[Live]:
        answers = api.read(lambda: api.cloud.list(cls.kind))
        lives = (cls.live(answer, scope) for answer in answers)
        return [live for live in lives if live is not None]

    @classmethod
    def get(cls, api: SimApi, live_id: str, scope: Scope) -> Live | None:
        answer = api.read(lambda: api.cloud.get(live_id))
        return cls.live(answer, scope) if answer is not None else None

    @classmethod
    def live(cls, answer: dict[str, Any], scope: Scope) -> Live | None:
        marks = answer["marks"] or {}
        adopt = False
        if not marks and not cls.marked_at_create:
            found = [address for address, name in scope.names.items() if name == answer["name"]]
            if not found:
                return None
            marks = {"stack": scope.wanted[found[0]].meta.owner, "address": found[0], "component": ""}
            adopt = True
        if not marks:
            return None
        return Live(
            address=marks["address"],
            id=answer["id"],
            fields=answer["fields"],
            outputs={"endpoint": f"{answer['id']}.example"} if answer["ready"] else {},
            refs=frozenset(answer["refs"]),
            readiness=READY if answer["ready"] else waiting("creating"),
            name=answer["name"] if cls.kind in UNIQUE else "",
            owner=marks["stack"],
            component=marks["component"],
            protect=bool(marks.get("protect")),
            adopt=adopt,
            foreign={"entries": tuple(answer["foreign"])} if answer["foreign"] else {},
        )

    def create(self, api: SimApi, mark: Mark) -> str:
        fields = {k: v for k, v in self.values().items() if k not in self.later}
        marks = marks_of(mark) if self.marked_at_create else None
        thing_id = api.write(
            lambda: api.cloud.create(
                self.kind,
                mark.name,
                fields,
                refs_of(self.values()),
                marks,
                stack=mark.stack,
                address=mark.address,
                token=mark.token if self.tokened else "",
            ),
            repeatable=self.tokened,
        )
        return str(thing_id)

    def update(self, api: SimApi, live: Live, change: Any) -> Iterable[str] | None:
        self.send(api, live, change, change.fields)
        return None

    def send(self, api: SimApi, live: Live, change: Any, names: Iterable[str]) -> None:
        """One update with the fields called `names`."""
        marks = marks_of(change.mark) if "marks" in names or live.adopt else None
        fields = {name: change.fields[name][1] for name in names if name != "marks"}
        if "entries" in fields:
            fields["entries"] = self.values()["entries"]
        refs = refs_of(self.values())
        api.write(
            lambda: api.cloud.change(live.id, fields, refs, marks, stack=self.meta.owner, address=self.address),
            repeatable=True,
        )

    @classmethod
    def delete(cls, api: SimApi, live: Live) -> None:
        api.write(lambda: api.cloud.delete(live.id, stack=live.owner, address=live.address), repeatable=True)


def marks_of(mark: Mark) -> dict[str, Any]:
    return {"stack": mark.stack, "address": mark.address, "component": mark.component, "protect": mark.protect}


def refs_of(values: Mapping[str, Any]) -> set[str]:
    """Ids of what is used: the reference fields, and whatever the text names."""
    found = set(values.get("uses") or ())
    if values.get("inside"):
        found.add(values["inside"])
    return found


@dataclass(frozen=True, kw_only=True)
class Net(SimResource):
    """No unique name, no token: only the journal keeps a lost create from becoming a duplicate."""

    kind = "sim.net"
    journal = True


@dataclass(frozen=True, kw_only=True)
class Base(SimResource):
    """No unique name, but a client token beside the journal."""

    kind = "sim.base"
    journal = True
    tokened = True


@dataclass(frozen=True, kw_only=True)
class Named(SimResource):
    """A unique name with a hash: create before delete."""

    kind = "sim.named"


@dataclass(frozen=True, kw_only=True)
class SeenName(SimResource):
    """A unique name that people see: delete before create."""

    kind = "sim.seen"
    name_seen = True


@dataclass(frozen=True, kw_only=True)
class Zone(SimResource):
    """Its create call takes no marks: known by its name until they are there."""

    kind = "sim.zone"
    owned_by = "name"
    marked_at_create = False


@dataclass(frozen=True, kw_only=True)
class Slow(SimResource):
    """Takes minutes to become ready; others may only use it then."""

    kind = "sim.slow"
    ready_timeout_s = 900.0


@dataclass(frozen=True, kw_only=True)
class Rules(SimResource):
    """Holds an open set in which others keep entries of their own."""

    kind = "sim.rules"

    entries: list[str] | Unset = attr("rules", open_set=True, closed_by="exclusive", default=UNSET)
    exclusive: bool | Unset = attr("foreign rules are removed", default=UNSET)


@dataclass(frozen=True, kw_only=True)
class Scaled(SimResource):
    """Fields that others move: an initial size, a floor, a version prefix."""

    kind = "sim.scaled"

    replicas: int | Unset = attr("start size", initial=True, default=UNSET)
    storage_gib: int | Unset = attr("storage", floor=True, default=UNSET)
    version: str | Unset = attr("major version", version_prefix=True, default=UNSET)


@dataclass(frozen=True, kw_only=True)
class Turns(SimResource):
    """Takes one kind of change at a time, and is busy with it for a while."""

    kind = "sim.turns"

    def update(self, api: SimApi, live: Live, change: Any) -> Iterable[str]:
        first, *others = sorted(change.fields)
        self.send(api, live, change, [first])
        return others


@dataclass(frozen=True, kw_only=True)
class Host(SimResource):
    """What other things lie in and are reached through, like a cluster."""

    kind = "sim.host"
    ready_timeout_s = 900.0


KINDS: dict[str, type[SimResource]] = {
    cls.kind: cls for cls in (Net, Base, Named, SeenName, Zone, Slow, Rules, Scaled, Turns)
}
SLOW = {"sim.slow": 120.0, "sim.scaled": 20.0, "sim.host": 60.0}
BUSY = {"sim.turns": 15.0}


class SimProvider:
    """The engine's Provider over the simulated cloud."""

    name = "sim"

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def kind(self, name: str) -> type[Resource] | None:
        return Host if name == Host.kind else KINDS.get(name)

    def kinds(self) -> Iterable[str]:
        return [*KINDS, Host.kind]

    def open(self, location: str, connection: Mapping[str, Any] | None, calls: Calls) -> SimApi:
        return SimApi(self._cloud, calls)
