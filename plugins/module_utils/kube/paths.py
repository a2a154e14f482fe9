"""Objects as flat fields: "spec.template.spec.containers[backend].image" -> value; and whose hands they are in.

Associative lists are keyed by their merge keys and sets by their elements, so neither order nor foreign items matter;
atomic lists and maps are one field. The API server's record of field owners uses the same granularity.
Source: structured-merge-diff's FieldsV1 (`f:` field, `k:` keyed item, `v:` set element, `.` the thing itself).
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..engine.values import Reference, Secret, Unknown
from .names import APPLIED_PATHS, MANAGER
from .quantity import spelled
from .schema import Node, Schemas, item_key, list_keys


@dataclass(frozen=True)
class Leaf:
    """One field. `canonical`: equal for two spellings of the same value (quantities, int-or-string, secrets)."""

    value: Any
    canonical: Any

    def same(self, other: Leaf) -> bool:
        return bool(self.canonical == other.canonical)


def flatten(tree: Any, node: Node | None, schemas: Schemas, at: str = "") -> dict[str, Leaf]:
    """The fields of `tree`; nulls are left out, as they say "not mine"."""
    return dict(_leaves(tree, schemas.resolved(node), schemas, at))


def _leaves(tree: Any, node: Node | None, schemas: Schemas, at: str) -> Iterator[tuple[str, Leaf]]:
    if tree is None:
        return
    if isinstance(tree, Mapping) and tree and (node is None or node.get("x-kubernetes-map-type") != "atomic"):
        for key, item in tree.items():
            yield from _leaves(item, schemas.child(node, str(key)), schemas, f"{at}.{key}" if at else str(key))
    elif isinstance(tree, (list, tuple)) and tree and node is not None:
        yield from _items(tree, node, schemas, at)
    else:
        yield at, Leaf(tree, canonical(tree, node, schemas))


def _items(tree: list[Any] | tuple[Any, ...], node: Node, schemas: Schemas, at: str) -> Iterator[tuple[str, Leaf]]:
    keys, items = list_keys(node), schemas.items(node)
    if node.get("x-kubernetes-list-type") == "set":
        for item in tree:
            yield f"{at}[{item}]", Leaf(item, canonical(item, items, schemas))
    elif keys and all(isinstance(item, Mapping) for item in tree):
        for position, item in enumerate(tree):
            key = item_key(item, keys, items, schemas)
            yield from _leaves(item, items, schemas, f"{at}[{position if key is None else key}]")
    else:
        yield at, Leaf(tree, canonical(tree, node, schemas))


def canonical(value: Any, node: Node | None, schemas: Schemas) -> Any:
    """`value` in a form in which equal meanings are equal; secrets are compared by their value."""
    node = schemas.resolved(node)
    if isinstance(value, Secret):
        value = value.reveal()
    if isinstance(value, (Unknown, Reference)):
        return object()  # equal to nothing
    if isinstance(value, Mapping):
        return {
            str(key): canonical(item, schemas.child(node, str(key)), schemas)
            for key, item in value.items()
            if item is not None
        }
    if isinstance(value, (list, tuple)):
        return [canonical(item, schemas.items(node), schemas) for item in value]
    form = str((node or {}).get("format", ""))
    if form == "quantity":
        return spelled(value)
    if form == "int-or-string" or (node or {}).get("x-kubernetes-int-or-string"):
        return str(value)
    return value


@dataclass(frozen=True)
class Hand:
    """One entry of an object's managedFields."""

    manager: str
    operation: str  # Apply or Update
    subresource: str
    paths: frozenset[str]


def hands(raw: Mapping[str, Any]) -> list[Hand]:
    """Who manages which fields, status left out."""
    found = []
    for entry in (raw.get("metadata") or {}).get("managedFields") or ():
        if entry.get("subresource") == "status":
            continue
        paths = frozenset(_field_paths(entry.get("fieldsV1") or {}, ""))
        found.append(Hand(entry.get("manager", ""), entry.get("operation", ""), entry.get("subresource", ""), paths))
    return found


def _field_paths(fields: Mapping[str, Any], at: str) -> Iterator[str]:
    for key, inner in fields.items():
        kind, _sep, rest = key.partition(":")
        if kind == "f":
            path = f"{at}.{rest}" if at else rest
        elif kind == "k":
            path = f"{at}[{'/'.join(_text(value) for _name, value in sorted(json.loads(rest).items()))}]"
        elif kind == "v":
            path = f"{at}[{_text(json.loads(rest))}]"
        else:
            continue
        if inner:
            yield from _field_paths(inner, path)
        else:
            yield path


def _text(value: Any) -> str:
    return str(value)


def owned_paths(raw: Mapping[str, Any]) -> frozenset[str]:
    """The fields that our applies own."""
    return frozenset().union(
        *(hand.paths for hand in hands(raw) if hand.manager == MANAGER and hand.operation == "Apply")
    )


def movers(raw: Mapping[str, Any]) -> dict[str, str]:
    """field -> who holds it, for fields that are in others' hands and not in ours."""
    ours = owned_paths(raw)
    found: dict[str, str] = {}
    for hand in hands(raw):
        if hand.manager != MANAGER:
            found.update((path, hand.manager) for path in hand.paths - ours)
    return found


_CAUSE_KEY = re.compile(r'\[([^\]"]*(?:"[^"]*"[^\]"]*)*)\]')


def path_of_cause(text: str) -> str:
    """The API's spelling of a field in a conflict, `.spec.containers[name="a"].image`, in ours."""

    def key(match: re.Match[str]) -> str:
        parts = re.findall(r'(?:[^=,\[\]"]*)=("(?:[^"]*)"|[^,\]]+)', match.group(1))
        return f"[{'/'.join(part.strip(chr(34)) for part in parts)}]"

    return _CAUSE_KEY.sub(key, text).removeprefix(".")


def pack_paths(paths: Iterable[str]) -> str:
    """The fields of an apply as an annotation's value."""
    text = "\n".join(sorted(paths)).encode()
    return base64.b64encode(zlib.compress(text, 9)).decode()


def recorded_paths(raw: Mapping[str, Any]) -> frozenset[str]:
    """The fields that our last apply named, from its annotation; empty when it is missing or broken."""
    packed = ((raw.get("metadata") or {}).get("annotations") or {}).get(APPLIED_PATHS, "")
    try:
        return frozenset(zlib.decompress(base64.b64decode(packed)).decode().split("\n")) if packed else frozenset()
    except (ValueError, zlib.error):
        return frozenset()
