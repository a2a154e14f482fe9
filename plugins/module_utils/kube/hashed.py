"""Names that say what is inside, `settings-3f2a9c01bd`: new content is a new object, and its users start anew. Pure.

Everything else keeps the described name: the address, and what other manifests write. Their references become
references to the output `name`, so order, unknowns and the delete of the old object are the engine's as ever.
"""

from __future__ import annotations

import copy
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ..engine.errors import InvalidDescription
from ..engine.values import UNSET, Reference, Secret, Unknown, Unset, contains, parse_markers
from .dependencies import sites
from .names import HASHED, address_of

_CONTENT = ("data", "binaryData", "stringData", "type")
_LENGTH = 10  # hex digits
_TAIL = re.compile(rf"-[0-9a-f]{{{_LENGTH}}}$")
NAME_LIMIT = 253 - _LENGTH - 1  # of the described name


def is_hashed(manifest: Mapping[str, Any]) -> bool:
    """Does its description ask for a hashed name (or, of a live object: did it)?"""
    notes = (manifest.get("metadata") or {}).get("annotations") or {}
    return str(notes.get(HASHED, "")).lower() == "true"


def hashed_name(manifest: Mapping[str, Any], template: Mapping[str, Any]) -> str | Unknown | Unset:
    """The name in the cluster. `template`: the manifest before its references were resolved.

    Unknown while the content is; UNSET where none is asked for, or references wait to be resolved. A secret counts by
    its version. Raises InvalidDescription for one that has none.
    """
    if not is_hashed(manifest):
        return UNSET
    name, address = manifest["metadata"]["name"], address_of(manifest)
    content = {part: manifest[part] for part in _CONTENT if manifest.get(part)}
    if _waits(content):
        return UNSET
    if contains(content, Unknown):
        return Unknown(f"{address}.name")
    _check_secrets(content, address)
    shown = {part: _fingerprint(held, template.get(part)) for part, held in content.items()}
    digest = hashlib.sha256(json.dumps(shown, sort_keys=True).encode()).hexdigest()
    return f"{name}-{digest[:_LENGTH]}"


def _waits(value: Any) -> bool:
    """Does it hold a reference, or a marker in whose place a secret is put before anything is resolved?"""
    if isinstance(value, Secret):
        value = value.reveal()
    if isinstance(value, Mapping):
        return any(_waits(item) for item in value.values())
    return isinstance(value, str) and ("capstan-ref(" in value or "capstan-secret(" in value)


def _check_secrets(content: Mapping[str, Any], address: str) -> None:
    for part, held in content.items():
        for key, value in held.items() if isinstance(held, Mapping) else ():
            if isinstance(value, Secret) and not all(value.version.split("+")):
                raise InvalidDescription(
                    f"{address}: its name cannot be hashed: {part}.{key} is a secret without a version, and could be "
                    f"guessed from a digest. Leave {HASHED} out, or take it from where it has one (secret_ref)."
                )


def _fingerprint(value: Any, template: Any) -> Any:
    if isinstance(value, Secret):
        around = _neutral(template) if isinstance(template, str) and "capstan-ref(" in template else ""
        return {"version": value.version, "in": around}
    if isinstance(value, Mapping):
        held = template if isinstance(template, Mapping) else {}
        return {str(key): _fingerprint(item, held.get(key)) for key, item in value.items() if item is not None}
    return value


def _neutral(text: str) -> str:
    """`text` with its markers as plain names: their serial numbers differ from run to run."""
    for reference in parse_markers(text):
        text = text.replace(reference.marker(), str(reference))
    return text


def with_hashed_names(manifest: Mapping[str, Any], hashed: Iterable[str]) -> Mapping[str, Any]:
    """`manifest`, its references to the objects at the addresses `hashed` being references to their names."""
    return _renamed(manifest, {address: Reference(address, "name").marker() for address in hashed})


def with_described_names(manifests: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Manifests of live objects as they are described: hashed names, and references to them, without their digests."""
    given = list(manifests)
    names = {address_of(one): _TAIL.sub("", one["metadata"]["name"]) for one in given if is_hashed(one)}
    found: list[Mapping[str, Any]] = []
    for one in given:
        metadata = {**one["metadata"], "name": names.get(address_of(one), one["metadata"]["name"])}
        found.append({**_renamed(one, names), "metadata": metadata})
    return found


def _renamed(manifest: Mapping[str, Any], names: Mapping[str, str]) -> Mapping[str, Any]:
    """`manifest` with other names where it refers to the objects at these addresses."""
    if not names:
        return manifest
    copied = copy.deepcopy(dict(manifest))
    namespace = (manifest.get("metadata") or {}).get("namespace")
    for kind, holder, key in sites(copied):
        address = f"kube.{kind}/{namespace}/{holder.get(key)}"
        if address in names and isinstance(holder, dict):
            holder[key] = names[address]
    return copied


def described_address(raw: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """The address under which a live object is described. `wanted`: the described ones, by address.

    A hashed one is known by its annotation; one that lost it, by the name of one that is described with it.
    """
    address = address_of(raw)
    stem = _TAIL.sub("", address)
    if stem == address or (address in wanted and not is_hashed(raw)):
        return address
    described = getattr(wanted.get(stem), "manifest", None)
    asked = isinstance(described, Mapping) and is_hashed(described)
    return stem if is_hashed(raw) or asked else address
