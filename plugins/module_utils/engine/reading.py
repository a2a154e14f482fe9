"""Reads what is live, kind by kind and side by side, and remembers what could not be read."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .calls import Calls
from .description import Description
from .errors import ApiError, Unreadable
from .names import physical_name
from .plan import choose_live
from .resource import Live, Provider, Resource, Scope
from .runtime import Runtime, side_by_side
from .values import Reference, Unknown, resolve


@dataclass(frozen=True)
class Stack:
    """Whose run it is. `platform`: the platform stack's name; `shared`: it belongs to another inventory, read only."""

    name: str
    platform: str = ""
    shared: bool = False
    region: str = ""

    @property
    def own(self) -> frozenset[str]:
        """The stacks that this run may write."""
        return frozenset({self.name} if self.shared or not self.platform else {self.name, self.platform})

    @property
    def all(self) -> frozenset[str]:
        """The stacks that this run reads."""
        return self.own | ({self.platform} if self.platform else frozenset())


@dataclass(frozen=True)
class Group:
    """Resources that one `read` answers for."""

    cls: type[Resource]
    location: str
    via: str

    @property
    def label(self) -> str:
        return self.cls.kind or self.cls.__name__


@dataclass(frozen=True)
class Seen:
    """A live resource and the group in which it was found."""

    live: Live
    group: Group


@dataclass
class Snapshot:
    """What was live when it was read. `existing`: address -> what an `existing` description means."""

    seen: dict[Group, list[Live]] = field(default_factory=dict)
    existing: dict[str, Live | None] = field(default_factory=dict)
    unreadable: dict[Group, str] = field(default_factory=dict)

    def at(self, address: str, owner: str) -> list[Seen]:
        """The live resources that carry these marks."""
        return [
            Seen(live, group)
            for group, lives in self.seen.items()
            for live in lives
            if live.address == address and live.owner == owner
        ]

    def everything(self) -> Iterable[Seen]:
        """Every live resource that was found."""
        return (Seen(live, group) for group, lives in self.seen.items() for live in lives)

    def updated(self, newer: Snapshot) -> Snapshot:
        """This snapshot with the groups of a newer one in their place."""
        unreadable = {group: why for group, why in self.unreadable.items() if group not in newer.seen}
        return Snapshot(self.seen | newer.seen, self.existing | newer.existing, unreadable | newer.unreadable)


class Sessions:
    """One `api` object per provider, location and connection, made when it is first needed."""

    def __init__(self, providers: Sequence[Provider], calls: Calls) -> None:
        self._providers = {provider.name: provider for provider in providers}
        self._calls = calls
        self._lock = threading.Lock()
        self._apis: dict[tuple[str, str, str], Any] = {}

    def api(self, cls: type[Resource], location: str, via: str, connection: Mapping[str, Any] | None) -> Any:
        """The api for `cls`; raises Unreadable. `connection`: outputs of `via`."""
        key = (cls.kind.partition(".")[0], location, via)
        with self._lock:
            if key not in self._apis:
                self._apis[key] = self._providers[key[0]].open(location, connection if via else None, self._calls)
            return self._apis[key]

    def forget(self, via: str) -> None:
        """The connection through `via` is made anew: it was replaced or created."""
        with self._lock:
            self._apis = {key: api for key, api in self._apis.items() if key[2] != via}


class Reader:
    """Reads everything that a plan needs. `prunes`: read kinds that nothing describes, too."""

    def __init__(
        self,
        description: Description,
        providers: Sequence[Provider],
        sessions: Sessions,
        stack: Stack,
        runtime: Runtime,
        *,
        prunes: bool,
        vias: Mapping[str, str],
    ) -> None:
        self._description = description
        self._providers = providers
        self._sessions = sessions
        self._stack = stack
        self._runtime = runtime
        self._prunes = prunes
        self._scopes: dict[Group, Scope] = {}
        self._vias = vias  # provider name -> address through which its API is reached

    def groups(self) -> list[Group]:
        """Every read that is needed, each once."""
        found: dict[Group, None] = {}
        for resource in self._description.resources.values():
            found[Group(type(resource), resource.meta.location, resource.meta.via)] = None
        for cls in self._description.externals.values():
            found[Group(cls, "main", self._via(cls))] = None
        if self._prunes:
            for provider in self._providers:
                for name in provider.kinds():
                    if (known := provider.kind(name)) is not None:
                        found[Group(known, "main", self._via(known))] = None
        return list(found)

    def _via(self, cls: type[Resource]) -> str:
        return self._vias.get(cls.kind.partition(".")[0], "")

    def read(self, only: Iterable[type[Resource]] | None = None, before: Snapshot | None = None) -> Snapshot:
        """What is live now; `only` some classes, on top of what `before` says of the others."""
        wanted = None if only is None else set(only)
        groups = [group for group in self.groups() if wanted is None or group.cls in wanted]
        snapshot = before or Snapshot()
        for stage in ([g for g in groups if not g.via], [g for g in groups if g.via]):
            base = snapshot
            for part in side_by_side(self._runtime, functools.partial(self._read_group, base=base), stage):
                snapshot = snapshot.updated(part)
        return snapshot

    def scope(self, group: Group) -> Scope:
        """What a read of `group` is about."""
        if group in self._scopes:
            return self._scopes[group]
        wanted = {
            address: resource
            for address, resource in self._description.resources.items()
            if Group(type(resource), resource.meta.location, resource.meta.via) == group
        }
        names = {address: physical_name(resource, self._stack.region) for address, resource in wanted.items()}
        self._scopes[group] = Scope(self._stack.all, wanted, names, self._description.resources)
        return self._scopes[group]

    def _read_group(self, group: Group, base: Snapshot) -> Snapshot:
        try:
            connection = self.connection(group.via, base) if group.via else None
            if group.via and connection is None:
                return Snapshot({group: []})
            api = self._sessions.api(group.cls, group.location, group.via, connection)
            scope = self.scope(group)
            lives = group.cls.read(api, scope)
            existing = {a: r.find(api) for a, r in scope.wanted.items() if r.meta.existing}
            return Snapshot({group: list(lives)}, existing)
        except ApiError as error:  # whatever the reason: not seen is never taken for absent
            return Snapshot({group: []}, unreadable={group: str(replace(error, resource="")).rstrip(".")})

    def _chosen(self, address: str, lives: Sequence[Live], snapshot: Snapshot) -> Live | None:
        """Of several with one address (a replacement was cut off) the one that the plan will choose, too."""
        resource = self._description.resources.get(address)
        if resource is None or len(lives) < 2:
            return next(iter(lives), None)

        def lookup(reference: Reference) -> Any:
            found = [seen.live for owner in self._stack.all for seen in snapshot.at(reference.address, owner)]
            if len(found) != 1:
                return Unknown(str(reference))
            return found[0].id if reference.output == "id" else found[0].outputs.get(reference.output)

        return choose_live(resource.with_values(resolve(resource.values(), lookup)), lives)[0]

    def connection(self, via: str, snapshot: Snapshot) -> Mapping[str, Any] | None:
        """The outputs of the live resource through which an API is reached; None while it is not there (yet).

        Raises Unreadable when nobody knows whether it is there.
        """
        for group, reason in snapshot.unreadable.items():
            if group.label == via.partition("/")[0]:
                raise Unreadable(operation=f"connect through {via}", code="Unreadable", message=reason)
        for owner in sorted(self._stack.all):
            live = self._chosen(via, [seen.live for seen in snapshot.at(via, owner)], snapshot)
            if live is not None:
                return {**live.outputs, "id": live.id} if live.readiness.state == "ready" else None
        found = snapshot.existing.get(via)
        return {**found.outputs, "id": found.id} if found else None
