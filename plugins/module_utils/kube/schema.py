"""What objects may hold, without a cluster: the API's own schema, shipped with the collection, plus described CRDs.

A schema node is a plain mapping in OpenAPI's own words; `$ref` names a definition of the same bundle.
"""

from __future__ import annotations

import base64
import functools
import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..engine.fields import nearest
from ..engine.values import Reference, Secret, Unknown
from .schemas import bundled

Node = Mapping[str, Any]
_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
_CRD = "CustomResourceDefinition"


@dataclass(frozen=True)
class Schemas:
    """`kinds`: "apps/v1/Deployment" -> definition name; `definitions`: name -> node."""

    kinds: Mapping[str, str] = field(default_factory=dict)
    definitions: Mapping[str, Node] = field(default_factory=dict)

    def of(self, api_version: str, kind: str) -> Node | None:
        """The node of a kind; None when nobody described it."""
        name = self.kinds.get(f"{api_version}/{kind}")
        return None if name is None else self.definitions[name]

    def resolved(self, node: Node | None) -> Node | None:
        """`node` with its reference followed."""
        while node is not None and "$ref" in node:
            node = self.definitions.get(node["$ref"])
        return node

    def child(self, node: Node | None, key: str) -> Node | None:
        """The node of one key of an object or map; None when nothing is known of it."""
        node = self.resolved(node)
        if node is None:
            return None
        return self.resolved((node.get("properties") or {}).get(key) or node.get("additionalProperties"))

    def items(self, node: Node | None) -> Node | None:
        """The node of a list's items."""
        node = self.resolved(node)
        return None if node is None else self.resolved(node.get("items"))

    def with_crds(self, manifests: Iterable[Mapping[str, Any]]) -> Schemas:
        """These schemas and those that the CustomResourceDefinitions among `manifests` bring."""
        kinds, definitions = dict(self.kinds), dict(self.definitions)
        for manifest in manifests:
            if manifest.get("kind") != _CRD:
                continue
            for name, node in _crd_nodes(manifest):
                kinds[name] = definitions_name = f"crd {name}"
                definitions[definitions_name] = node
        return Schemas(kinds, definitions)

    def versions(self, kind: str) -> list[str]:
        """The apiVersions that know a kind of this name."""
        return [name.rpartition("/")[0] for name in self.kinds if name.rpartition("/")[2] == kind]


@functools.cache
def bundled_schemas() -> Schemas:
    """The schemas of Kubernetes itself."""
    bundle = json.loads(zlib.decompress(base64.b85decode(bundled.PACKED)))
    return Schemas(bundle["kinds"], bundle["definitions"])


def _crd_nodes(manifest: Mapping[str, Any]) -> Iterable[tuple[str, Node]]:
    spec = manifest.get("spec") or {}
    for version in spec.get("versions") or ():
        node = (version.get("schema") or {}).get("openAPIV3Schema")
        if not isinstance(node, Mapping):
            continue
        text = {"type": "string"}
        properties = {**(node.get("properties") or {}), "apiVersion": text, "kind": text, "metadata": {"$ref": _META}}
        name = f"{spec.get('group')}/{version.get('name')}/{(spec.get('names') or {}).get('kind')}"
        yield name, {**node, "properties": properties}


def list_keys(node: Node | None) -> tuple[str, ...]:
    """The fields that tell items of an associative list apart, sorted; empty for other lists."""
    if node is None or node.get("x-kubernetes-list-type") != "map":
        return ()
    return tuple(sorted(node.get("x-kubernetes-list-map-keys") or ()))


def item_key(item: Mapping[str, Any], keys: tuple[str, ...], node: Node | None, schemas: Schemas) -> str | None:
    """An item's identity in an associative list, "8080/TCP"; None when a key is missing and has no default."""
    found = []
    for key in keys:
        value = item.get(key)
        if value is None:
            value = (schemas.child(node, key) or {}).get("default")
        if value is None:
            return None
        found.append(str(value))
    return "/".join(found)


def kind_problem(schemas: Schemas, api_version: str, kind: str) -> str | None:
    """What is wrong with this pair, when the kind is known under another version or is a near miss; else None."""
    if schemas.of(api_version, kind) is not None:
        return None
    versions = schemas.versions(kind)
    if versions:
        return f'there is no {kind} in "{api_version}"; write apiVersion: {" or ".join(versions)}.'
    near = nearest(kind, [name.rpartition("/")[2] for name in schemas.kinds if name.rpartition("/")[0] == api_version])
    return f'"{api_version}" has no kind "{kind}".{near}' if near else None


def problems(value: Any, node: Node | None, schemas: Schemas, where: str = "") -> list[str]:
    """What is wrong with `value`: unknown fields (with the nearest name), types, required fields; full depth."""
    node = schemas.resolved(node)
    if node is None or value is None or _stands_for_something(value):
        return []
    if node.get("format") == "quantity" or node.get("x-kubernetes-int-or-string"):
        return _scalar(value, (int, float, str), "a number or text", where)
    if node.get("format") == "int-or-string":
        return _scalar(value, (int, str), "an integer or text", where)
    checker = _CHECKERS.get(str(node.get("type", "")))
    return checker(value, node, schemas, where) if checker else []


def worded(value: Any, before: Any, node: Node | None, schemas: Schemas) -> Any:
    """`value` with text where the schema wants text and a reference gave a number. `before`: with its references.

    What the template itself wrote as a number is left, so that `problems` tells of it.
    """
    node = schemas.resolved(node)
    if isinstance(value, Mapping) and isinstance(before, Mapping):
        return {k: worded(item, before.get(k), schemas.child(node, str(k)), schemas) for k, item in value.items()}
    if isinstance(value, list) and isinstance(before, (list, tuple)) and len(before) == len(value):
        items = schemas.items(node)
        return [worded(item, other, items, schemas) for item, other in zip(value, before, strict=True)]
    plain_text = node is not None and node.get("type") == "string" and node.get("format") is None
    if plain_text and _stands_for_something(before) and isinstance(value, (int, float)):
        return str(value).lower() if isinstance(value, bool) else str(value)
    return value


def _stands_for_something(value: Any) -> bool:
    """Unknowns, references and markers have no type yet."""
    if isinstance(value, (Unknown, Reference)):
        return True
    return isinstance(value, str) and "capstan-ref(" in value


def _object(value: Any, node: Node, schemas: Schemas, where: str) -> list[str]:
    if not isinstance(value, Mapping):
        return [f"{where or 'the object'} is {_name(value)}; a mapping is wanted."]
    properties = node.get("properties")
    additional = node.get("additionalProperties")
    found: list[str] = []
    for key, item in value.items():
        path = f"{where}.{key}" if where else str(key)
        if properties and key in properties:
            found += problems(item, properties[key], schemas, path)
        elif isinstance(additional, Mapping):
            found += problems(item, additional, schemas, path)
        elif properties and not additional and not node.get("x-kubernetes-preserve-unknown-fields"):
            found.append(f"{path}: there is no such field.{nearest(str(key), properties)}")
    for key in node.get("required") or ():
        if value.get(key) is None:
            found.append(f"{where or 'the object'} lacks {key}.")
    return found


def _array(value: Any, node: Node, schemas: Schemas, where: str) -> list[str]:
    if not isinstance(value, (list, tuple)):
        return [f"{where} is {_name(value)}; a list is wanted."]
    keys, items = list_keys(node), schemas.items(node)
    found: list[str] = []
    seen: set[str] = set()
    for position, item in enumerate(value):
        key = item_key(item, keys, items, schemas) if keys and isinstance(item, Mapping) else None
        path = f"{where}[{position if key is None else key}]"
        if key is not None and key in seen:
            found.append(f"{path} is there twice.")
        if key is not None:
            seen.add(key)
        found += problems(item, items, schemas, path)
    return found


def _integer(value: Any, node: Node, schemas: Schemas, where: str) -> list[str]:
    return _scalar(value, (int,), "an integer", where)


def _number(value: Any, node: Node, schemas: Schemas, where: str) -> list[str]:
    return _scalar(value, (int, float), "a number", where)


def _text(value: Any, node: Node, schemas: Schemas, where: str) -> list[str]:
    return [] if isinstance(value, Secret) else _scalar(value, (str,), "text (write it in quotes)", where)


def _boolean(value: Any, node: Node, schemas: Schemas, where: str) -> list[str]:
    return [] if isinstance(value, bool) else [f"{where} is {_name(value)}; true or false is wanted."]


def _scalar(value: Any, types: tuple[type, ...], wanted: str, where: str) -> list[str]:
    if isinstance(value, types) and not isinstance(value, bool):
        return []
    return [f"{where} is {_name(value)}; {wanted} is wanted."]


_CHECKERS = {
    "object": _object,
    "array": _array,
    "integer": _integer,
    "number": _number,
    "string": _text,
    "boolean": _boolean,
}


def _name(value: Any) -> str:
    names = {dict: "a mapping", list: "a list", str: "text", int: "an integer", float: "a number", bool: "a boolean"}
    return names.get(type(value), "secret text" if isinstance(value, Secret) else type(value).__name__)
