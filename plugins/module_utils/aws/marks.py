"""The marks of AWS resources: tags that say which stack and address a resource belongs to. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ..engine.resource import Mark, Scope

STACK = "capstan:stack"
ADDRESS = "capstan:address"
COMPONENT = "capstan:component"
PROTECT = "capstan:protect"
PREFIX = "capstan:"
_SYSTEM = "aws:"

Tags = dict[str, str]


def mark_tags(mark: Mark) -> Tags:
    """The tags that carry `mark`."""
    tags = {STACK: mark.stack, ADDRESS: mark.address, COMPONENT: mark.component}
    return tags | {PROTECT: "true"} if mark.protect else tags


def all_tags(mark: Mark, tags: Any) -> Tags:
    """What a new resource is tagged with: the description's `tags` (unset: none), a Name, and the marks."""
    described = {key: value for key, value in tags.items() if value is not None} if tags else {}
    return {"Name": mark.name} | described | mark_tags(mark)


def own_tags(tags: Mapping[str, str]) -> Tags:
    """The tags that a description may speak about: without our marks and without AWS's own."""
    return {key: value for key, value in tags.items() if not key.startswith((PREFIX, _SYSTEM))}


def marks_of(tags: Mapping[str, str]) -> dict[str, Any]:
    """The arguments of `Live` that its marks decide: address, owner, component, protect."""
    return {
        "address": tags.get(ADDRESS, ""),
        "owner": tags.get(STACK, ""),
        "component": tags.get(COMPONENT, ""),
        "protect": tags.get(PROTECT) == "true",
    }


def is_ours(tags: Mapping[str, str], scope: Scope) -> bool:
    """Do these tags name one of the stacks that a read is about?"""
    return tags.get(STACK) in scope.stacks


def name_prefixes(scope: Scope) -> tuple[str, ...]:
    """What the physical names of the scope's stacks begin with: a filter before tags are asked for, never a proof."""
    return tuple(sorted(re.sub(r"[^a-z0-9-]+", "-", f"{stack}-".lower()) for stack in scope.stacks))


def tag_changes(change: Any) -> tuple[Tags, list[str]]:
    """The tags to write and the keys to remove, for a change that may name "tags" and "marks"."""
    write: Tags = {}
    remove: list[str] = []
    if "tags" in change.fields:
        before, after = ({} if side is None else dict(side) for side in change.fields["tags"])
        write |= {key: value for key, value in after.items() if before.get(key) != value}
        remove += sorted(before.keys() - after.keys())
    if "marks" in change.fields:
        write |= mark_tags(change.mark)
        if not change.mark.protect:
            remove.append(PROTECT)
    return write, remove


def pairs(tags: Mapping[str, str], key: str = "Key", value: str = "Value") -> list[dict[str, str]]:
    """`tags` in the API's list form."""
    return [{key: name, value: text} for name, text in sorted(tags.items())]


def from_pairs(items: Iterable[Mapping[str, str]] | None, key: str = "Key", value: str = "Value") -> Tags:
    """Tags from the API's list form."""
    return {item[key]: item.get(value, "") for item in items or ()}
