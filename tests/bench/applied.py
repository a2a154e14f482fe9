"""What one field manager applied to an object, cut out of the live object: the manifest that a peer applies again.

Source: structured-merge-diff's FieldsV1 in `metadata.managedFields`: `f:` a field, `k:` an item of a keyed list, `v:`
an element of a set, `.` the thing itself; nothing below means the whole value.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

Raw = Mapping[str, Any]


def applied(live: Raw, manager: str) -> dict[str, Any] | None:
    """The manifest that `manager` applied to `live`, as the API server remembers it; None when it applied nothing."""
    meta = live["metadata"]
    for entry in meta.get("managedFields", []):
        if (entry["manager"], entry["operation"], entry.get("subresource", "")) == (manager, "Apply", ""):
            chosen = _chosen(live, entry["fieldsV1"])
            identity = {key: meta[key] for key in ("name", "namespace") if key in meta}
            head = {"apiVersion": live["apiVersion"], "kind": live["kind"]}
            return {**head, **chosen, "metadata": {**identity, **chosen.get("metadata", {})}}
    return None


def managers(live: Raw) -> set[str]:
    """Everybody who wrote to `live` but for its subresources, as controllers do all the time."""
    entries = live["metadata"].get("managedFields", [])
    return {entry["manager"] for entry in entries if not entry.get("subresource")}


def _chosen(value: Any, fields: Raw) -> Any:
    below = {key: more for key, more in fields.items() if key != "."}
    if not below:
        return value
    if isinstance(value, Mapping):
        return {key[2:]: _chosen(value[key[2:]], more) for key, more in below.items() if key[2:] in value}
    return [item for each in value for item in _chosen_items(each, below.items())]


def _chosen_items(item: Any, below: Iterable[tuple[str, Raw]]) -> list[Any]:
    """`item` of a list, cut to the fields that one of `below` names; nothing when none does."""
    for key, more in below:
        wanted = json.loads(key[2:])
        if key.startswith("v:") and wanted == item:
            return [item]
        if key.startswith("k:") and all(item.get(name) == value for name, value in wanted.items()):
            return [_chosen(item, more)]
    return []
