"""What the engine knows of a resource: an immutable typed description, and what its kind can do.

A kind is a class derived from Resource: data, and about a screen of calls. The engine never looks inside the `api`
object that it passes to a kind: its provider made it (see `Provider`).
"""

from __future__ import annotations

import dataclasses
import functools
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar, Literal, Protocol

from .calls import Calls
from .fields import Field, fields_of
from .values import UNSET, Reference

Owned = Literal["tag", "name", "parent", "registry"]
ReplaceOrder = Literal["create_first", "delete_first"]
NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Readiness:
    """Where a live resource stands. `reason`: the API's own status or words."""

    state: Literal["ready", "waiting", "deleting", "failed"] = "ready"
    reason: str = ""


READY = Readiness()


def waiting(reason: str) -> Readiness:
    """It will become ready by itself."""
    return Readiness("waiting", reason)


def deleting(reason: str = "") -> Readiness:
    """It is going away by itself."""
    return Readiness("deleting", reason)


def failed(reason: str) -> Readiness:
    """It never becomes ready; only a replacement helps."""
    return Readiness("failed", reason)


@dataclass(frozen=True, kw_only=True)
class Live:
    """What is there, as read from the API: never changed in place."""

    address: str  # kind/name, from its marks ("" for something found that carries none)
    id: str  # what the API knows it by
    fields: Mapping[str, Any] = field(
        default_factory=dict
    )  # the declared fields, in the description's own shapes; references as ids
    outputs: Mapping[str, Any] = field(default_factory=dict)  # what others may refer to besides `id`
    refs: frozenset[str] = frozenset()  # ids of live objects it uses: these cannot go before it
    readiness: Readiness = READY
    name: str = ""  # its physical name, where a second one of that name cannot exist
    owner: str = ""  # the stack in its marks
    component: str = ""  # the component in its marks
    protect: bool = False  # from its marks
    adopt: bool = False  # ours by name or caller reference, but its marks are not complete yet
    foreign: Mapping[str, tuple[Any, ...]] = field(
        default_factory=dict
    )  # entries of open sets that are not ours, by field
    moved_by: Mapping[str, str] = field(
        default_factory=dict
    )  # field -> who moved it (a controller's name), where the API tells
    raw: Any = None  # for the kind's own use in update and delete


@dataclass(frozen=True)
class Mark:
    """What makes a resource ours: written with its creation wherever the API takes it.

    `name`: the physical name, unique for its create-only fields, at most the kind's `name_limit` long.
    `token`: the same for the same attempt at creating the same thing, for APIs that take a client token.
    """

    stack: str
    address: str
    component: str
    name: str
    token: str
    protect: bool = False


@dataclass(frozen=True)
class Scope:
    """Whose resources a read is about.

    `wanted`: the described resources of the class, references not resolved. `stacks`: names of the stacks whose marks
    count (the run's own, and a platform that it uses).
    """

    stacks: frozenset[str]
    wanted: Mapping[str, Resource]
    names: Mapping[str, str]  # address -> physical name, for kinds that are found by it
    described: Mapping[str, Resource] = field(default_factory=dict)  # everything described in this run, by address


@dataclass(frozen=True, kw_only=True)
class Meta:
    """What a description says about a resource besides its fields."""

    address: str = ""
    component: str = ""
    owner: str = ""  # the stack that it belongs to
    source: str = ""  # file and line or role, for messages
    depends_on: tuple[str, ...] = ()
    protect: bool | None = None  # None: the kind's default
    existing: bool = False  # used and verified, never changed or deleted
    moved_from: str = ""
    location: str = "main"
    via: str = ""  # address of the resource through which its API is reached (a cluster)


@dataclass(frozen=True, kw_only=True)
class Resource:
    """Base of every kind. Class attributes describe the kind; instances are one description each."""

    kind: ClassVar[str] = ""
    owned_by: ClassVar[Owned] = "tag"
    outputs: ClassVar[Mapping[str, str]] = NOTHING  # output -> what it is (besides `id`)
    journal: ClassVar[bool] = False  # no unique name, no client token: note a create before it is sent
    protected: ClassVar[bool] = False  # default of `protect`
    data_at_stake: ClassVar[str] = ""  # what a delete or replace destroys, for the plan
    disruption: ClassVar[Mapping[str, str]] = NOTHING  # field -> what changing it brings ("reboot", "drain" …)
    name_limit: ClassVar[int] = 63
    name_seen: ClassVar[bool] = False  # people see the name: no hash in it, so delete before create
    replace_order: ClassVar[ReplaceOrder] = "create_first"
    ready_timeout_s: ClassVar[float] = 300.0
    poll_s: ClassVar[tuple[float, float]] = (0.2, 5.0)  # first and longest pause between looks while waiting
    visible_s: ClassVar[float] = 60.0  # how long what an update did may stay unseen while it is ready
    creates_whole: ClassVar[bool] = False  # its calls take every field, or refuse: no second diff after them
    recreate_when_failed: ClassVar[bool] = True  # a failed live one is replaced; False: updated in place

    meta: Meta = field(default_factory=Meta, compare=False)

    # -- what a kind writes ------------------------------------------------------------------------------------
    @classmethod
    def read(cls, api: Any, scope: Scope) -> list[Live]:
        """Everything of this kind that carries the marks of `scope.stacks`, or is one of `scope.wanted`'s own."""
        raise NotImplementedError

    @classmethod
    def get(cls, api: Any, live_id: str, scope: Scope) -> Live | None:
        """One live resource by its id; None when it is not there. The default looks through `read`."""
        return next((live for live in cls.read(api, scope) if live.id == live_id), None)

    def find(self, api: Any) -> Live | None:
        """The `existing` resource that this description means; None when it is not there."""
        raise NotImplementedError(f"{self.kind} cannot be used as existing")

    def create(self, api: Any, mark: Mark) -> str:
        """Create it with its marks; returns its id. What the call does not take is updated by the engine afterwards."""
        raise NotImplementedError

    def update(self, api: Any, live: Live, change: Any) -> Iterable[str] | None:
        """Change what `change.fields` names. `change.mark` holds the marks when "marks" is among them.

        Returns the fields that it leaves for another call, where the API takes one kind of change at a time: the engine
        waits until what was taken shows and the resource is ready, and calls again with what is left.
        """
        raise NotImplementedError(f"{self.kind} has nothing to update")

    @classmethod
    def delete(cls, api: Any, live: Live) -> None:
        """Delete it. Not being there any more is success (the engine checks)."""
        raise NotImplementedError

    def propose(self, api: Any, live: Live | None) -> Mapping[str, Any]:
        """The fields as the API would store them, compared with `live.fields`. `api` None: it is not there yet."""
        return self.values()

    def predict(self, mark: Mark) -> Mapping[str, Any]:
        """Outputs that are known before it exists (a name that we choose)."""
        return NOTHING

    @property
    def touches_platform(self) -> bool:
        """Does writing it need the platform's lock as well (cluster-scoped objects of an environment)?"""
        return False

    def finish(self, api: Any, live: Live) -> None:
        """After the last write of a run that touched its members (see `finishes`)."""

    @classmethod
    def finishes(cls) -> bool:
        """Does the engine call `finish` after everything that depends on it, and every delete, is done?"""
        return cls.finish is not Resource.finish

    @classmethod
    def link(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """`values` with names in reference fields turned into References. A name may be a whole address, too.

        Kinds with names deeper inside a field (a rule's source group) override it and use `link_name`.
        """
        schema = cls.schema()
        return {name: _linked(value, schema[name]) for name, value in values.items()}

    def problems(self) -> Iterable[str]:
        """What is wrong with the description beyond its types, one sentence each."""
        return ()

    # -- what follows from the declaration ----------------------------------------------------------------------
    @classmethod
    def schema(cls) -> dict[str, Field]:
        """The declared fields."""
        return _schema(cls)  # type: ignore[arg-type] # mypy takes a frozen class for unhashable

    @classmethod
    def meaning(cls, name: str) -> Field:
        """What a field means, for the diff. Kinds whose fields are not declared one by one (manifests) override it."""
        return cls.schema()[name]

    @classmethod
    def hints(cls) -> dict[str, Any]:
        """The declared fields' types."""
        return _hints(cls)  # type: ignore[arg-type] # the same

    def values(self) -> dict[str, Any]:
        """The fields that the description gives (UNSET ones left out)."""
        return {name: value for name in self.schema() if (value := getattr(self, name)) is not UNSET}

    def with_values(self, values: Mapping[str, Any]) -> typing.Self:
        """The same description with other field values (references resolved)."""
        return dataclasses.replace(self, **values)

    @property
    def address(self) -> str:
        return self.meta.address

    @property
    def protect(self) -> bool:
        """May it be deleted or replaced?"""
        return self.protected if self.meta.protect is None else self.meta.protect

    def order_of_replace(self, live: Live) -> ReplaceOrder:
        """Which half of a replacement comes first for this very change."""
        return "delete_first" if self.name_seen else self.replace_order


def link_name(name: Any, kinds: tuple[str, ...], output: str = "id") -> Any:
    """The Reference that `name` means: kind/name, or a bare name of the first of `kinds`. Markers stay as they are."""
    if not isinstance(name, str) or "capstan-ref(" in name:
        return name
    address = name if name.partition("/")[0] in kinds else f"{kinds[0]}/{name}"
    return Reference(address, output)


def _linked(value: Any, meaning: Field) -> Any:
    if not meaning.refers_to:
        return value
    if isinstance(value, (list, tuple)):
        return [link_name(item, meaning.refers_to, meaning.output) for item in value]
    return link_name(value, meaning.refers_to, meaning.output)


@functools.cache
def _schema(cls: Any) -> dict[str, Field]:
    return fields_of(cls)


@functools.cache
def _hints(cls: Any) -> dict[str, Any]:
    hints = typing.get_type_hints(cls)
    return {name: hints[name] for name in _schema(cls)}


class Provider(Protocol):
    """A family of kinds and the way to their API."""

    name: str  # "aws": the first part of its kinds' names

    def kind(self, name: str) -> type[Resource] | None:
        """The class of a kind, None when there is none of that name."""

    def kinds(self) -> Iterable[str]:
        """The names of all kinds, for messages and for prune."""

    def open(self, location: str, connection: Mapping[str, Any] | None, calls: Calls) -> Any:
        """The `api` object for kinds at `location`. Raises Unreadable when it cannot be reached.

        `connection`: the outputs of the resource that it is reached through (`Meta.via`), None where there is none.
        """
