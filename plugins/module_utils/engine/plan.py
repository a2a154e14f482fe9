"""The plan: what a run would do and why. Pure: live and desired in, changes out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from .diff import Difference, diff
from .resource import Live, Mark, Meta, ReplaceOrder, Resource
from .values import UNSET, Unknown, contains, plain

Action = Literal["create", "adopt", "update", "replace", "delete", "none"]
MARKS = "marks"


@dataclass(frozen=True, kw_only=True)
class Change:
    """What happens to one resource. A deleted one has no `resource`, a created one no `live`."""

    address: str
    action: Action
    owner: str
    component: str
    cls: type[Resource] | None = None
    meta: Meta = field(default_factory=Meta)
    resource: Resource | None = None  # references resolved as far as they are known
    live: Live | None = None
    mark: Mark | None = None
    difference: Difference = field(default_factory=Difference)
    because: tuple[str, ...] = ()  # what forces a replacement
    first: ReplaceOrder = "create_first"
    waits: str = ""  # it is on its way (creating, deleting): the API's status
    held: str = ""  # shown but not done: prune is off
    refused: str = ""  # a safeguard forbids it

    @property
    def fields(self) -> Mapping[str, tuple[Any, Any]]:
        """Field -> (live, desired), "marks" among them when the ownership marks change."""
        return self.difference.fields

    @property
    def writes(self) -> bool:
        """Does apply write for it?"""
        return self.action != "none" and not self.held

    @property
    def data_at_stake(self) -> str:
        """What is lost by it."""
        return self.cls.data_at_stake if self.cls and self.action in ("replace", "delete") else ""

    @property
    def disruption(self) -> tuple[str, ...]:
        """What its fields bring when they change under a running system."""
        if self.resource is None or self.action != "update":
            return ()
        words = self.resource.disruption
        return tuple(sorted({words[name] for name in self.fields if name in words}))


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Every change, in an order in which it could be done; plus what could not be planned."""

    changes: tuple[Change, ...]
    version: str
    unreadable: Mapping[str, str] = field(default_factory=dict)  # kind or address -> reason
    unplanned: tuple[str, ...] = ()  # addresses that depend on something unreadable
    notices: tuple[str, ...] = ()

    @property
    def writes(self) -> bool:
        return any(change.writes for change in self.changes)

    @property
    def waits(self) -> bool:
        return any(change.waits for change in self.changes)

    def of(self, address: str) -> Change | None:
        """The change of a described resource, or the delete of a live one."""
        return next((change for change in self.changes if change.address == address), None)

    def counts(self) -> dict[str, int]:
        """How many of each action; held deletes are counted as "held"."""
        counts = dict.fromkeys(("create", "adopt", "update", "replace", "delete", "none", "held"), 0)
        for change in self.changes:
            counts["held" if change.held else change.action] += 1
        return counts

    def digest(self) -> str:
        """Identifies the plan: equal from any machine as long as description, world and version are the same."""
        text = json.dumps([self.version, *sorted(map(_canonical, self.changes), key=repr)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


NAMED = 5  # of many addresses: what a reader takes in; the plan's `unplanned` has them all


def gaps_of(plan: Plan) -> list[str]:
    """What could not be read, a line for each reason however many kinds it concerns, and what that leaves unplanned."""
    kinds: dict[str, list[str]] = {}
    for kind, reason in sorted(plan.unreadable.items()):
        kinds.setdefault(reason, []).append(kind)
    lines = [f"{', '.join(names)} cannot be read: {reason}." for reason, names in kinds.items()]
    if plan.unplanned:
        more = len(plan.unplanned) - NAMED
        tail = f" and {more} more" if more > 0 else ""
        lines.append(f"not planned, because of that: {', '.join(plan.unplanned[:NAMED])}{tail}")
    return lines


def _canonical(change: Change) -> list[Any]:
    live = {} if change.live is None else {"id": change.live.id, "readiness": change.live.readiness.state}
    desired: dict[str, Any] = {}
    if change.resource is not None:
        for name, value in change.resource.values().items():
            meaning = change.resource.meaning(name)
            if not meaning.initial:
                desired[name] = plain(value)
    fields = {name: [plain(before), plain(after)] for name, (before, after) in change.fields.items()}
    return [change.owner, change.address, change.action, bool(change.held), live, desired, fields]


def choose_live(resource: Resource, candidates: Iterable[Live]) -> tuple[Live | None, list[Live]]:
    """Of several live ones with one address: the one that needs least, and leftovers of earlier replacements."""
    found = sorted(candidates, key=lambda live: (_badness(resource, live), live.id))
    return (found[0], found[1:]) if found else (None, [])


def _badness(resource: Resource, live: Live) -> tuple[bool, int, int]:
    schema = resource.schema()
    values = {name: value for name, value in resource.values().items() if name in schema}
    difference = diff(values, live, resource.meaning)
    state = ("ready", "waiting", "failed", "deleting").index(live.readiness.state)
    return (state >= 2, len(difference.because), state)


def change_for(resource: Resource, proposed: Mapping[str, Any], live: Live | None, mark: Mark) -> Change:
    """What one described resource needs. `proposed`: its fields as the API would store them."""
    meta = resource.meta
    base: dict[str, Any] = {
        "address": resource.address,
        "owner": meta.owner,
        "component": meta.component,
        "cls": type(resource),
        "meta": meta,
        "resource": resource,
        "mark": mark,
    }
    if meta.existing and live is None:
        return Change(**base, action="none", refused=f"{resource.address} is existing, but it was not found")
    if live is None or live.readiness.state == "deleting":
        waits = f"the old one is {live.readiness.reason or 'being deleted'}" if live else ""
        difference = diff(proposed, None, resource.meaning)
        return Change(**base, action="create", live=live, difference=difference, waits=waits)
    difference = diff(proposed, live, resource.meaning)
    if meta.existing:
        return _existing(base, live, difference)
    difference = _with_marks(difference, live, mark, resource)
    reason = live.readiness.reason if live.readiness.state == "waiting" else ""
    because = difference.because
    if live.readiness.state == "failed" and resource.recreate_when_failed:
        because = (*because, f"it failed: {live.readiness.reason}")
    if because:
        refused = _protected(resource.protect or live.protect, resource.address, "replaced", because)
        first = resource.order_of_replace(live)
        if live.name and live.name == mark.name:  # forced from outside (a new id of what it lies in): same description
            first = "delete_first"
        return Change(
            **base, action="replace", live=live, difference=difference, because=because, first=first, refused=refused
        )
    action: Action = "adopt" if live.adopt else "update" if difference else "none"
    return Change(**base, action=action, live=live, difference=difference, waits=reason)


def _existing(base: dict[str, Any], live: Live, difference: Difference) -> Change:
    refused = ""
    if difference:
        named = ", ".join(sorted(difference.fields))
        refused = f"{base['address']} is existing, so it is never changed, but it differs in {named}"
    return Change(**base, action="none", live=live, difference=Difference(), refused=refused)


def _with_marks(difference: Difference, live: Live, mark: Mark, resource: Resource) -> Difference:
    if resource.owned_by == "parent":
        return difference
    before = {"address": live.address, "component": live.component, "protect": live.protect}
    after = {"address": mark.address, "component": mark.component, "protect": mark.protect}
    if before == after and not live.adopt:
        return difference
    fields = {**difference.fields, MARKS: (before, after)}
    return Difference(fields, difference.because, difference.kept, difference.foreign)


def _protected(protect: bool, address: str, what: str, because: Iterable[str] = ()) -> str:
    if not protect:
        return ""
    why = f" because of {', '.join(because)}" if because else ""
    return f"{address} is protected and would be {what}{why}. Set protect: false in its description first"


def deletion(live: Live, cls: type[Resource], *, via: str, location: str, prune: bool, forced: bool) -> Change:
    """What happens to a live resource that nothing describes any more. `forced`: its plan's digest was approved."""
    return Change(
        address=live.address,
        action="delete",
        owner=live.owner,
        component=live.component,
        cls=cls,
        meta=Meta(address=live.address, component=live.component, owner=live.owner, via=via, location=location),
        live=live,
        held="" if prune else "it is no longer described; prune: true deletes it",
        refused="" if forced or not prune else _protected(live.protect, live.address, "deleted"),
    )


def outlook(change: Change) -> dict[str, Any]:
    """The outputs that a resource will have once its change is done: known, or Unknown."""
    resource, live = change.resource, change.live
    if resource is None:
        return {}
    unknown = {name: Unknown(f"{change.address}.{name}") for name in ("id", *resource.outputs)}
    if change.action in ("create", "replace") or live is None:
        return {**unknown, **(resource.predict(change.mark) if change.mark else {})}
    there = {name: value for name, value in live.outputs.items() if value not in (None, "", UNSET)}
    return {**unknown, **there, "id": live.id}


def left_of(sent: Change, now: Change) -> Change:
    """What `now` still finds of what was `sent`; what else has moved since is the next plan's to show."""
    fields = {name: pair for name, pair in now.fields.items() if name in sent.fields}
    return replace(now, action="update" if fields else "none", difference=replace(now.difference, fields=fields))


def is_taken(sent: Change, rest: Change, later: frozenset[str]) -> bool:
    """Did the update do its part? `later`: the fields that it left for another; one of them may be half-way."""
    return not rest.fields or (rest.fields.keys() <= later and rest.fields != sent.fields)


def named(change: Change) -> str:
    """The names of the fields that differ."""
    return ", ".join(sorted(change.fields))


def moved_since(planned: Mapping[str, tuple[Any, Any]], now: Mapping[str, tuple[Any, Any]]) -> list[str]:
    """Fields in which `now` breaks what the plan showed as known: only unknowns may fill in, fields may drop out."""
    broken = []
    for name, (_before, after) in now.items():
        if name == MARKS:
            continue
        if name not in planned:
            if not any(contains(value, Unknown) for _unused, value in planned.values()):
                broken.append(name)
        elif not fits(planned[name][1], after):
            broken.append(name)
    return broken


def fits(planned: Any, actual: Any) -> bool:
    """Is `actual` what was planned, with unknowns filled in?"""
    if isinstance(planned, Unknown):
        return True
    if isinstance(planned, Mapping) and isinstance(actual, Mapping):
        if contains(list(planned), Unknown):
            return len(planned) == len(actual)
        return planned.keys() == actual.keys() and all(fits(planned[key], actual[key]) for key in planned)
    if isinstance(planned, (list, tuple)) and isinstance(actual, (list, tuple)):
        if len(planned) != len(actual):
            return False
        if contains(planned, Unknown):
            return True
        return all(fits(one, other) for one, other in zip(planned, actual, strict=True))
    return bool(planned == actual)
