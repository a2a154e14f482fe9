"""Cuts the API server's OpenAPI v3 documents down to what the offline schema needs: pure.

Kept: types, required fields, lists' merge keys, defaults of merge keys. Dropped: descriptions, status, list kinds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

_KEPT = (
    "type",
    "format",
    "required",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-map-type",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-int-or-string",
    "x-kubernetes-embedded-resource",
)
_PREFIX = "#/components/schemas/"
_QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
_NAMESPACED = re.compile(r"^(?:/api|/apis/[^/]+)/[^/]+/namespaces/\{namespace\}/([^/]+)/\{name\}$")
_CLUSTER = re.compile(r"^(?:/api|/apis/[^/]+)/[^/]+/([^/]+)/\{name\}$")


def trim(documents: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """What can be applied: `{"kinds": {"apps/v1/Deployment": definition name}, "definitions": {name: schema}}`."""
    schemas: dict[str, Any] = {}
    kinds: dict[str, str] = {}
    for document in documents:
        schemas |= (document.get("components") or {}).get("schemas") or {}
        kinds |= _applied_kinds(document)
    definitions: dict[str, Any] = {}
    waiting = sorted(set(kinds.values()))
    while waiting:
        name = waiting.pop()
        if name in definitions:
            continue
        definitions[name] = node(schemas[name], drop_status=name in kinds.values())
        if name == _QUANTITY:
            definitions[name] = {"format": "quantity"}
        waiting.extend(sorted(_references(definitions[name])))
    return {"kinds": dict(sorted(kinds.items())), "definitions": dict(sorted(definitions.items()))}


def node(schema: Mapping[str, Any], *, drop_status: bool = False) -> dict[str, Any]:
    """One trimmed schema; `allOf` around a single reference becomes that reference."""
    if "allOf" in schema and len(schema["allOf"]) == 1:
        return {**node(schema["allOf"][0]), **_default(schema)}
    if "$ref" in schema:
        return {"$ref": schema["$ref"].removeprefix(_PREFIX), **_default(schema)}
    kept = {key: schema[key] for key in _KEPT if key in schema} | _default(schema)
    properties = {
        key: node(value)
        for key, value in (schema.get("properties") or {}).items()
        if key != "managedFields" and not (drop_status and key == "status")
    }
    if properties:
        kept["properties"] = properties
    if isinstance(schema.get("items"), Mapping):
        kept["items"] = node(schema["items"])
    additional = schema.get("additionalProperties")
    if isinstance(additional, Mapping):
        kept["additionalProperties"] = node(additional)
    return kept


def _default(schema: Mapping[str, Any]) -> dict[str, Any]:
    default = schema.get("default")
    return {"default": default} if default not in (None, {}, 0, "", [], False) else {}


def _applied_kinds(document: Mapping[str, Any]) -> dict[str, str]:
    """Kinds with a PATCH of their own name in the document's paths."""
    found: dict[str, str] = {}
    for path, operations in (document.get("paths") or {}).items():
        if not (_NAMESPACED.match(path) or _CLUSTER.match(path)):
            continue
        patch = operations.get("patch")
        gvk = (patch or {}).get("x-kubernetes-group-version-kind")
        if not gvk:
            continue
        version = f"{gvk['group']}/{gvk['version']}" if gvk["group"] else gvk["version"]
        answer = patch["responses"]["200"]["content"]["application/json"]["schema"]["$ref"]
        found[f"{version}/{gvk['kind']}"] = answer.removeprefix(_PREFIX)
    return found


def _references(schema: Any) -> set[str]:
    if isinstance(schema, Mapping):
        own = {schema["$ref"]} if isinstance(schema.get("$ref"), str) else set()
        return own.union(*(_references(value) for key, value in schema.items() if key != "$ref"))
    return set()
