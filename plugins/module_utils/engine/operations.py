"""Turns a plan into operations and says which has to wait for which: pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from . import graph
from .plan import Change, Plan


@dataclass(frozen=True)
class Operation:
    """One node of apply. `verb` "do": bring a resource to its description; "finish": after everything else."""

    verb: Literal["do", "delete", "finish"]
    address: str
    live_id: str = ""


def operations(plan: Plan, needs: Mapping[str, frozenset[str]]) -> dict[Operation, tuple[set[Operation], Change]]:
    """Every operation with what it waits for, and the change that it belongs to.

    - a resource waits for what it needs;
    - a delete waits for everything that still uses the live thing: for its own delete, or for the update that lets go;
    - a replacement creates first and deletes once its dependents have moved, or the other way where it has to.
    """
    doing = {change.address: Operation("do", change.address) for change in plan.changes if change.resource is not None}
    found: dict[Operation, tuple[set[Operation], Change]] = {}
    deletes: dict[str, Operation] = {}
    for change in plan.changes:
        if change.resource is not None:
            waits = {doing[need] for need in needs.get(change.address, ()) if need in doing}
            found[doing[change.address]] = (waits, change)
        if change.live is not None and change.writes and change.action in ("replace", "delete"):
            operation = Operation("delete", change.address, change.live.id)
            deletes[change.live.id] = operation
            found[operation] = (set(), change)
    for operation in deletes.values():
        waits, change = found[operation]
        waits |= _users(change, plan, needs, deletes, doing)
    _order_replacements(plan, needs, doing, deletes, found)
    _look_before_delete(plan, needs, doing, deletes, found)
    for change in plan.changes:
        if change.resource is not None and type(change.resource).finishes():
            before = {op for op in found if op.verb != "finish"}
            found[Operation("finish", change.address)] = (before, change)
    return found


def deadlock(plan: Plan, needs: Mapping[str, frozenset[str]]) -> str:
    """The operations that wait for each other in a circle, in words; empty when the plan can be carried out.

    Possible where something that must go before its successor comes is held by what only lets go afterwards.
    """
    circle = graph.cycle({operation: waits for operation, (waits, _unused) in operations(plan, needs).items()})
    return " -> ".join(f"{operation.verb} {operation.address}" for operation in circle)


def _users(
    change: Change,
    plan: Plan,
    needs: Mapping[str, frozenset[str]],
    deletes: Mapping[str, Operation],
    doing: Mapping[str, Operation],
) -> set[Operation]:
    """The operations that must let go of the live thing before it can be deleted."""
    users: set[Operation] = set()
    for other in plan.changes:
        if other.live is None or change.live is None or other is change or change.live.id not in other.live.refs:
            continue
        if other.live.id in deletes:
            users.add(deletes[other.live.id])
        elif other.action == "update" and not (
            change.first == "delete_first" and change.address in graph.closure([other.address], needs)
        ):
            users.add(doing[other.address])
    return users


def _order_replacements(
    plan: Plan,
    needs: Mapping[str, frozenset[str]],
    doing: Mapping[str, Operation],
    deletes: Mapping[str, Operation],
    found: dict[Operation, tuple[set[Operation], Change]],
) -> None:
    dependents: dict[str, list[str]] = {}
    for address, wanted in needs.items():
        for need in wanted:
            dependents.setdefault(need, []).append(address)
    for change in plan.changes:
        if change.action != "replace" or change.live is None:
            continue
        delete, create = deletes[change.live.id], doing[change.address]
        if change.first == "delete_first":
            found[create][0].add(delete)
        else:
            after = graph.closure([change.address], dependents)
            found[delete][0].update(doing[address] for address in after if address in doing)


def _look_before_delete(
    plan: Plan,
    needs: Mapping[str, frozenset[str]],
    doing: Mapping[str, Operation],
    deletes: Mapping[str, Operation],
    found: dict[Operation, tuple[set[Operation], Change]],
) -> None:
    """A replacement that deletes first waits for what it needs, where it can: so it sees whether it is needed."""
    waits = {operation: found[operation][0] for operation in found}
    for change in plan.changes:
        if change.action != "replace" or change.first != "delete_first" or change.live is None:
            continue
        delete = deletes[change.live.id]
        for need in sorted(needs[change.address]):
            if need in doing and delete not in graph.closure([doing[need]], waits):
                waits[delete].add(doing[need])
