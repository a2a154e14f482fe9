"""Makes the plan: walks the graph in its order, resolves what is known, and asks each kind what it would change."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from . import graph
from .description import Description
from .errors import ApiError, Category, InvalidDescription, Unreadable
from .fields import nearest
from .names import mark_for
from .plan import Change, Plan, change_for, choose_live, deletion, outlook
from .reading import Group, Reader, Seen, Sessions, Snapshot, Stack
from .resource import Live, Resource
from .runtime import Runtime
from .values import Reference, Unknown, resolve


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a run may do.

    `complete`: components that were described completely in this run; only theirs is pruned. `narrowed`: a part of the
    description was left out (components, targets), so undescribed kinds are not even read.
    """

    version: str = "0"
    absent: bool = False
    prune: bool = False
    prune_limit: int = 10
    expected_digest: str = ""
    complete: frozenset[str] = frozenset()
    narrowed: bool = False
    vias: Mapping[str, str] = field(default_factory=dict)
    consistency_s: float = 10.0  # how long after a lost create its result may stay invisible


@dataclass
class Planner:
    """One plan over one snapshot."""

    description: Description
    snapshot: Snapshot
    stack: Stack
    sessions: Sessions
    reader: Reader
    runtime: Runtime
    options: Options
    tokens: Callable[[str], str]  # address -> client token for its creation
    check: bool
    changes: dict[str, Change] = field(default_factory=dict)
    leftovers: list[Seen] = field(default_factory=list)
    matched: set[str] = field(default_factory=set)
    unplanned: dict[str, str] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    missing: set[str] = field(default_factory=set)  # what the shared platform does not have
    lock: threading.Lock = field(default_factory=threading.Lock)

    def plan(self) -> Plan:
        """The whole plan."""
        if self.options.absent:
            return self._absent()
        needs = self.description.needs
        graph.walk(needs, self._visit, self.runtime, inline=self._is_pure)
        ordered = [self.changes[address] for address in graph.order(needs) if address in self.changes]
        changes = spread_delete_first(ordered, needs)
        deletes = deletion_order([*self._deposed(), *self._pruned()])
        return self._result((*changes, *deletes))

    def _result(self, changes: tuple[Change, ...]) -> Plan:
        unreadable = {group.label: reason for group, reason in self.snapshot.unreadable.items()}
        return Plan(
            changes=changes,
            version=self.options.version,
            unreadable=unreadable,
            unplanned=tuple(sorted(self.unplanned)),
            notices=(*self._missing_platform(), *dict.fromkeys(self.notices)),
        )

    def _is_pure(self, address: str) -> bool:
        return type(self.description.resources[address]).propose is Resource.propose

    def _visit(self, address: str) -> bool:
        resource = self.description.resources[address]
        group = Group(type(resource), resource.meta.location, resource.meta.via)
        blocked = [need for need in self.description.needs[address] if need in self.unplanned]
        reason = self.snapshot.unreadable.get(group) or (f"it needs {blocked[0]}" if blocked else "")
        if not reason:
            try:
                change = self._change(resource, group)
            except ApiError as error:
                if not isinstance(error, Unreadable) and error.category is not Category.DENIED:
                    raise replace(error, resource=address) from error
                reason = str(error)
        with self.lock:
            if reason:
                self.unplanned[address] = reason
            else:
                self.changes[address] = change
        return True

    def _change(self, resource: Resource, group: Group) -> Change:
        resolved = resource.with_values(resolve(resource.values(), self.outlook_of))
        mark = mark_for(resource, self.stack.region, self.tokens(resource.address))
        live = self._live_of(resource, resolved)
        api = self._api(group)
        change = change_for(resolved, resolved.propose(api, live), live, mark)
        if change.action == "replace" and live is not None and live.name == mark.name and resource.owned_by == "tag":
            mark = mark_for(resource, self.stack.region, self.tokens(resource.address), instead_of=live.id)
            change = change_for(resolved, resolved.propose(api, live), live, mark)
        return change

    def _api(self, group: Group) -> Any:
        """None where the way to it does not exist yet: then a kind proposes offline."""
        if not group.via:
            return self.sessions.api(group.cls, group.location, "", None)
        if self._is_made_anew(group.via):
            return None
        connection = self.reader.connection(group.via, self.snapshot)
        if connection is None:
            return None
        return self.sessions.api(group.cls, group.location, group.via, connection)

    def _live_of(self, resource: Resource, resolved: Resource) -> Live | None:
        meta = resource.meta
        if meta.existing:
            return self.snapshot.existing.get(resource.address)
        candidates = self.snapshot.at(resource.address, meta.owner)
        if not candidates and meta.moved_from:
            candidates = self.snapshot.at(meta.moved_from, meta.owner)
        live, rest = choose_live(resolved, [seen.live for seen in candidates])
        gone = self._is_made_anew(meta.via)  # what lies in it goes with it, and is made again in its successor
        with self.lock:
            self.matched.update(seen.live.id for seen in candidates)
            self.leftovers.extend(seen for seen in candidates if seen.live in rest and not gone)
        return None if gone else live

    def _is_made_anew(self, via: str) -> bool:
        change = self.changes.get(via)
        return change is not None and change.action in ("create", "replace")

    def outlook_of(self, reference: Reference) -> Any:
        """What a reference will be once its resource is done: known, or Unknown."""
        if reference.address in self.description.externals:
            return self._external(reference)
        change = self.changes.get(reference.address)
        if change is None:
            return Unknown(str(reference))
        return outlook(change).get(reference.output, Unknown(str(reference)))

    def _external(self, reference: Reference) -> Any:
        platform = self.stack.platform
        for seen in self.snapshot.at(reference.address, platform):
            if reference.output == "id":
                return seen.live.id
            return seen.live.outputs.get(reference.output, Unknown(str(reference)))
        if not self.check:
            problem = f"the shared platform {platform} has no {reference.address} (yet)"
            there = {seen.live.address for seen in self.snapshot.everything() if seen.live.owner == platform}
            hint = nearest(reference.address, sorted(there))
            raise InvalidDescription(f"{problem}: converge the platform first, or correct the reference.{hint}")
        with self.lock:
            self.missing.add(reference.address)
        return Unknown(str(reference))

    def _missing_platform(self) -> list[str]:
        if not self.missing:
            return []
        what = f"the shared platform {self.stack.platform} has no {' (yet), no '.join(sorted(self.missing))} (yet)"
        return [f"{what}: what depends on it is known after that platform's apply"]

    # -- what nothing describes --------------------------------------------------------------------------------
    def _deposed(self) -> list[Change]:
        """Leftovers of replacements that were cut off: ours, with the address of one that stays."""
        held = "it is a leftover, but protected: delete it by hand"
        changes = [self._deletion(seen, prune=True) for seen in self.leftovers]
        return [replace(change, refused="", held=held) if change.refused else change for change in changes]

    def _pruned(self) -> list[Change]:
        moved = {resource.meta.moved_from for resource in self.description.resources.values()}
        return [
            self._deletion(seen, prune=self.options.prune)
            for seen in self.snapshot.everything()
            if seen.live.owner in self.stack.own
            and seen.live.id not in self.matched
            and seen.live.address not in self.description.resources
            and seen.live.address not in moved
            and seen.live.component in self.options.complete
            and seen.live.readiness.state != "deleting"
        ]

    def _deletion(self, seen: Seen, *, prune: bool) -> Change:
        forced = bool(self.options.expected_digest)
        return deletion(
            seen.live, seen.group.cls, via=seen.group.via, location=seen.group.location, prune=prune, forced=forced
        )

    def _absent(self) -> Plan:
        """Everything of the stack goes, but for what is protected and what that needs."""
        mine = [seen for seen in self.snapshot.everything() if seen.live.owner in self.stack.own]
        by_id = {seen.live.id: seen.live.refs for seen in mine}
        kept = graph.closure((seen.live.id for seen in mine if seen.live.protect), by_id)
        for seen in mine:
            if seen.live.id in kept:
                why = "is protected" if seen.live.protect else "is needed by something protected"
                self.notices.append(f"{seen.live.address} {why} and stays")
        gone = [seen for seen in mine if seen.live.id not in kept]
        return self._result(tuple(deletion_order([self._deletion(seen, prune=True) for seen in gone])))


def spread_delete_first(changes: list[Change], needs: Mapping[str, frozenset[str]]) -> tuple[Change, ...]:
    """What is replaced together with something that goes before its successor comes must go before, too."""
    by_address = {change.address: change for change in changes}
    for change in changes:
        if change.action != "replace" or change.live is None:
            continue
        for need in needs[change.address]:
            other = by_address.get(need)
            if other is None or other.action != "replace" or other.live is None:
                continue
            if other.first == "delete_first" and other.live.id in change.live.refs:
                by_address[change.address] = replace(change, first="delete_first")
    return tuple(by_address.values())


def deletion_order(changes: list[Change]) -> list[Change]:
    """What is used goes after what uses it, as the live references say."""
    by_id = {change.live.id: change for change in changes if change.live is not None}
    users: dict[str, list[str]] = {live_id: [] for live_id in by_id}
    for live_id, change in sorted(by_id.items()):
        for used in change.live.refs if change.live else ():
            if used in users and used != live_id:
                users[used].append(live_id)
    return [by_id[live_id] for live_id in graph.order(users)]
