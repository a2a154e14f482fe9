"""Live Kubernetes objects as the manifests that would make them: only the fields that our own applies own."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from ..engine.reading import Seen
from ..kube.applyset import ApplySet
from ..kube.hashed import with_described_names
from ..kube.marks import BOOKKEEPING, PART_OF
from ..kube.names import MANAGED_BY, MANAGER, group_kind
from ..kube.proposal import hidden_paths, is_secret

_OURS = BOOKKEEPING | {MANAGED_BY, PART_OF}
_MISSING = object()


def is_object(seen: Seen) -> bool:
    """Is it a Kubernetes object (or an apply set, which is made without being described)?"""
    return seen.live.address.startswith("kube.")


def manifests_of(everything: Iterable[Seen]) -> list[Mapping[str, Any]]:
    """The manifests of all live objects but apply sets, by address. Left out: secret values, digests in names."""
    found = []
    for seen in sorted(everything, key=lambda seen: seen.live.address):
        if is_object(seen) and not seen.live.address.startswith(f"{ApplySet.kind}/") and seen.live.raw:
            found.append(manifest_of(seen.live.raw))
    return with_described_names(found)


def manifest_of(raw: Mapping[str, Any]) -> dict[str, Any]:
    """What we applied of the live object `raw`, as its record of field owners says."""
    metadata = raw.get("metadata") or {}
    kind, hidden = group_kind(raw), hidden_paths(raw)
    picked: dict[str, Any] = {}
    for entry in metadata.get("managedFields") or ():
        if entry.get("manager") == MANAGER and entry.get("operation") == "Apply" and not entry.get("subresource"):
            picked = _merged(
                picked, _picked(raw, entry.get("fieldsV1") or {}, "", lambda at: is_secret(at, kind, hidden))
            )
    identity = {key: metadata[key] for key in ("name", "namespace") if metadata.get(key)}
    own = {**identity, **picked.pop("metadata", {})}
    for part in ("labels", "annotations"):
        if part in own:
            own[part] = {key: value for key, value in own[part].items() if key not in _OURS}
            if not own[part]:
                del own[part]
    return {"apiVersion": raw.get("apiVersion"), "kind": raw.get("kind"), "metadata": own, **picked}


def _merged(one: dict[str, Any], other: Any) -> dict[str, Any]:
    return {**one, **other} if isinstance(other, Mapping) else one


def _picked(tree: Any, fields: Mapping[str, Any], at: str, secret: Any) -> Any:
    """The part of `tree` that `fields` (FieldsV1) name."""
    inner = {key: value for key, value in fields.items() if key != "."}
    if not inner:
        return _MISSING if secret(at) else tree
    if isinstance(tree, Mapping):
        pairs = {key[2:]: value for key, value in inner.items() if key.startswith("f:")}
        parts = {
            name: _picked(tree[name], value, f"{at}.{name}" if at else name, secret)
            for name, value in pairs.items()
            if name in tree
        }
        return {name: part for name, part in parts.items() if part is not _MISSING}
    if isinstance(tree, (list, tuple)):
        return [part for item in tree for part in _items(item, inner, at, secret)]
    return tree


def _items(item: Any, fields: Mapping[str, Any], at: str, secret: Any) -> Iterable[Any]:
    """The item of a list, as far as one of `fields` names it."""
    for key, value in fields.items():
        kind, _sep, text = key.partition(":")
        wanted = json.loads(text)
        if kind == "v" and item == wanted:
            yield item
        elif kind == "k" and isinstance(item, Mapping) and all(item.get(name) == part for name, part in wanted.items()):
            name = "/".join(str(part) for _unused, part in sorted(wanted.items()))
            part = _picked(item, value, f"{at}[{name}]", secret)
            if part is not _MISSING:
                yield part
