"""What makes an object ours, and the request body that carries it: pure."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..engine.values import Secret, Unknown
from .names import (
    APPLIED_PATHS,
    COMPONENT,
    MANAGED_BY,
    MANAGER,
    PROTECT,
    SECRET_PATHS,
    STACK_LABEL,
    parent_name,
)
from .paths import Leaf, flatten, pack_paths
from .schema import Node, Schemas

PART_OF = "applyset.kubernetes.io/part-of"
SET_ID = "applyset.kubernetes.io/id"
# Ours, but neither described nor compared: the engine compares ownership by itself.
BOOKKEEPING = frozenset({STACK_LABEL, COMPONENT, PROTECT, SECRET_PATHS, APPLIED_PATHS})
_SERVERS = (
    "managedFields",
    "resourceVersion",
    "uid",
    "creationTimestamp",
    "generation",
    "selfLink",
    "deletionTimestamp",
)
_IDENTITY = frozenset({"apiVersion", "kind", "metadata.name", "metadata.namespace"})


@dataclass(frozen=True)
class Ownership:
    """Whose an object is. `home`: the namespace whose apply set lists it."""

    stack: str
    component: str
    protect: bool
    home: str


def set_id(stack: str, namespace: str) -> str:
    """The id of the stack's apply set in a namespace. Source: KEP-3659: hash of name, namespace, kind and group."""
    text = f"{parent_name(stack)}.{namespace}.ConfigMap."
    digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
    return f"applyset-{digest}-v1"


def normal(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """`manifest` as it is applied: no nulls, nothing that is the server's, a Secret's text as base64 data."""
    tree: dict[str, Any] = _without_nulls(manifest)
    tree.pop("status", None)
    metadata = tree.setdefault("metadata", {})
    for key in _SERVERS:
        metadata.pop(key, None)
    if tree.get("kind") == "Secret" and tree.get("apiVersion") == "v1":
        # A dropped stringData key would stay live: only data is owned key by key.
        texts = tree.pop("stringData", None) or {}
        data = {key: _secret(value) for key, value in (tree.get("data") or {}).items()}
        data |= {key: _encoded(value) for key, value in texts.items()}
        if data:
            tree["data"] = data
    return tree


def sealed(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """`manifest` with what a Secret holds literally as secrets; text with references waits until they are resolved."""
    if (manifest.get("apiVersion"), manifest.get("kind")) != ("v1", "Secret"):
        return dict(manifest)
    parts = {part: manifest[part] for part in ("data", "stringData") if isinstance(manifest.get(part), Mapping)}
    return {**manifest, **{part: {key: _sealed(value) for key, value in held.items()} for part, held in parts.items()}}


def _sealed(value: Any) -> Any:
    return Secret(value) if isinstance(value, str) and "capstan-ref(" not in value else value


class Unprinted(dict[str, Any]):
    """A live object whose content never gets into a message or a traceback."""

    def __repr__(self) -> str:
        metadata = self.get("metadata") or {}
        return f"<{self.get('kind')} {metadata.get('namespace', '')}/{metadata.get('name', '')}>"


def _without_nulls(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, (list, tuple)):
        return [_without_nulls(item) for item in value]
    return value


def _secret(value: Any) -> Any:
    return value if isinstance(value, (Secret, Unknown)) else Secret(str(value))


def _encoded(value: Any) -> Any:
    if isinstance(value, Unknown):
        return value
    secret = value if isinstance(value, Secret) else Secret(str(value))
    return secret.holding(base64.b64encode(secret.reveal().encode()).decode())


def revealed(value: Any) -> Any:
    """`value` with its secrets in the clear: for a request's body, nowhere else."""
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, Mapping):
        return {key: revealed(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [revealed(item) for item in value]
    return value


def secret_texts(value: Any) -> Iterable[str]:
    """Every secret inside `value` in every form in which it could be quoted."""
    if isinstance(value, Secret):
        text = value.reveal()
        yield text
        try:
            yield base64.b64decode(text, validate=True).decode()
        except ValueError:
            return
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from secret_texts(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from secret_texts(item)


def labelled(tree: Mapping[str, Any], owner: Ownership) -> dict[str, Any]:
    """`tree` with the labels that make it a member of its apply set."""
    metadata = dict(tree.get("metadata") or {})
    ours = {MANAGED_BY: MANAGER, STACK_LABEL: owner.stack, PART_OF: set_id(owner.stack, owner.home)}
    metadata["labels"] = {**(metadata.get("labels") or {}), **ours}
    return {**tree, "metadata": metadata}


def body(
    tree: Mapping[str, Any], owner: Ownership, paths: Iterable[str], secret_paths: Iterable[str]
) -> dict[str, Any]:
    """The request body that applies `tree` (see `normal`) as ours, secrets revealed."""
    marked = labelled(tree, owner)
    notes = {COMPONENT: owner.component, APPLIED_PATHS: pack_paths(paths)}
    if owner.protect:
        notes[PROTECT] = "true"
    hidden = sorted(secret_paths)
    if hidden:
        notes[SECRET_PATHS] = ",".join(hidden)
    metadata = marked["metadata"]
    metadata["annotations"] = {**(metadata.get("annotations") or {}), **notes}
    result: dict[str, Any] = revealed(marked)
    return result


def leaves(tree: Mapping[str, Any], node: Node | None, schemas: Schemas) -> dict[str, Leaf]:
    """The fields of an object that are compared: no identity, no status, none of our bookkeeping or the server's."""
    kept = {key: value for key, value in tree.items() if key != "status"}
    metadata = {key: value for key, value in (tree.get("metadata") or {}).items() if key not in _SERVERS}
    for part in ("labels", "annotations"):
        if part in metadata:
            metadata[part] = {key: value for key, value in metadata[part].items() if key not in BOOKKEEPING}
            if not metadata[part]:
                del metadata[part]
    kept["metadata"] = metadata
    found = flatten(kept, node, schemas)
    return {path: leaf for path, leaf in found.items() if path not in _IDENTITY and path != "metadata"}


def note(raw: Mapping[str, Any], name: str) -> str:
    """One annotation of a live object, "" when it is not there."""
    return str(((raw.get("metadata") or {}).get("annotations") or {}).get(name, ""))


def label(raw: Mapping[str, Any], name: str) -> str:
    """One label of a live object, "" when it is not there."""
    return str(((raw.get("metadata") or {}).get("labels") or {}).get(name, ""))
