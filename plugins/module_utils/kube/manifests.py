"""Rendered manifests as resources of the graph, and what ties them together: apply sets and implied needs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..engine.description import Raw
from ..engine.errors import InvalidDescription
from .dependencies import dependencies
from .documents import documents
from .hashed import NAME_LIMIT, is_hashed, with_hashed_names
from .names import BUILT_IN, CLUSTER_SCOPED, HASHED, PROTECT, GroupKind, address_of, group_kind, home_of
from .schema import bundled_schemas, problems

DEPENDS_ON = "capstan.dev/depends-on"  # annotation: addresses, separated by commas
EXISTING = "capstan.dev/existing"  # annotation: "true": used and verified, never changed
SET_COMPONENT = "namespace"  # the component that apply sets belong to
_NAME = re.compile(r"^[A-Za-z0-9]([A-Za-z0-9.:_-]*[A-Za-z0-9])?$")


def parse_manifests(
    text: str, *, component: str, owner: str, source: str, via: str = "", namespace: str = ""
) -> list[Raw]:
    """The resources in rendered multi-document YAML. Raises InvalidDescription with every problem, file and line.

    `source`: the template, for messages; `via`: address of the cluster; `namespace`: for objects that say none.
    """
    raws: list[Raw] = []
    wrong: list[str] = []
    for line, document in documents(text, source):
        where = f"{source}, line {line} of what it renders to"
        found = list(_object_problems(document, namespace))
        if found:
            wrong += [f"{where}: {problem}" for problem in found]
            continue
        raw = _raw(document, component, owner, where, via, namespace)
        if any(other.address == raw.address for other in raws):
            wrong.append(f"{where}: {raw.address} is there twice.")
        raws.append(raw)
    if wrong:
        raise InvalidDescription(*wrong)
    return raws


def _object_problems(document: Any, namespace: str) -> Iterator[str]:
    if not isinstance(document, Mapping):
        yield "a Kubernetes object (a mapping) is wanted."
        return
    for key in ("apiVersion", "kind"):
        if not isinstance(document.get(key), str) or not document[key]:
            yield f"it says no {key}."
    metadata = document.get("metadata")
    if not isinstance(metadata, Mapping):
        yield "it has no metadata."
        return
    name = metadata.get("name")
    if metadata.get("generateName"):
        yield "generateName makes a new object in every run; give it a name."
    elif not isinstance(name, str) or not name:
        yield f"{document.get('kind')} says no metadata.name (as text)."
    elif not _NAME.match(name):
        yield f'{document.get("kind")}: "{name[:80]}" cannot be its name; it has to be known before the run.'
    kind = group_kind(document)
    yield from _hash_problems(kind, metadata)
    if BUILT_IN.get(kind.kind) == kind.group:
        given = metadata.get("namespace")
        if kind.kind in CLUSTER_SCOPED and given:
            yield f"{kind.kind} {name} lies in no namespace; leave metadata.namespace out."
        if kind.kind not in CLUSTER_SCOPED and not (given or namespace):
            yield f"{kind.kind} {name} says no metadata.namespace."


def _hash_problems(kind: GroupKind, metadata: Mapping[str, Any]) -> Iterator[str]:
    """Why an object that asks for a hashed name cannot have one."""
    notes, name = metadata.get("annotations") or {}, metadata.get("name")
    asked = str(notes.get(HASHED, "false")).lower()
    if asked not in ("true", "false"):
        yield f'{kind.kind} {name}: {HASHED} is "{asked[:80]}"; choose "true" or "false".'
    if asked != "true":
        return
    if kind not in (GroupKind("ConfigMap"), GroupKind("Secret")):
        yield f"{kind.kind} {name}: only a ConfigMap or a Secret can have a hashed name ({HASHED})."
    if str(notes.get(EXISTING, "")).lower() == "true":
        yield f"{kind.kind} {name}: what exists has its name already; leave {HASHED} out."
    if len(str(name)) > NAME_LIMIT:
        yield f"{kind.kind} {name}: its name is too long to be hashed, more than {NAME_LIMIT} characters."


def _raw(document: Mapping[str, Any], component: str, owner: str, where: str, via: str, namespace: str) -> Raw:
    metadata = dict(document["metadata"])
    kind = group_kind(document)
    if namespace and not metadata.get("namespace") and kind.kind not in CLUSTER_SCOPED:
        metadata["namespace"] = namespace
    notes = dict(metadata.get("annotations") or {})
    fields: dict[str, Any] = {"via": via} if via else {}
    if PROTECT in notes:
        fields["protect"] = str(notes.pop(PROTECT)).lower() == "true"
    if EXISTING in notes:
        fields["existing"] = str(notes.pop(EXISTING)).lower() == "true"
    if DEPENDS_ON in notes:
        fields["depends_on"] = [part.strip() for part in str(notes.pop(DEPENDS_ON)).split(",") if part.strip()]
    if HASHED in notes:
        asked = str(notes.pop(HASHED)).lower() == "true"
        notes |= {HASHED: "true"} if asked else {}
    if notes or "annotations" in metadata:
        metadata["annotations"] = notes
        if not notes:
            del metadata["annotations"]
    manifest = {**document, "metadata": metadata}
    return Raw(address_of(manifest), {"manifest": manifest, **fields}, component, owner, where)


def link_objects(raws: Iterable[Raw]) -> tuple[Raw, ...]:
    """A whole description with its Kubernetes objects tied together; other resources pass through.

    Adds one apply set for each stack and namespace, and to each object what it needs (see `dependencies`).
    Raises InvalidDescription for custom resources that do not fit the definition that comes along.
    """
    everything = list(raws)
    objects = {raw.address: raw for raw in everything if _is_object(raw)}
    if not objects:
        return tuple(everything)
    manifests = {address: raw.fields["manifest"] for address, raw in objects.items()}
    _check_custom(objects)
    needs = dependencies(manifests)
    hashed = {address for address, manifest in manifests.items() if is_hashed(manifest)}
    sets = _apply_sets(objects)
    linked = []
    for raw in everything:
        if raw.address not in objects:
            linked.append(raw)
            continue
        wanted = set(needs[raw.address])
        if not raw.address.startswith("kube.Namespace/"):
            wanted.add(sets[raw.owner, home_of(raw.address)].address)
        manifest = with_hashed_names(raw.fields["manifest"], hashed)
        linked.append(_with_needs(replace(raw, fields={**raw.fields, "manifest": manifest}), wanted))
    return (*linked, *sets.values())


def _is_object(raw: Raw) -> bool:
    fields = raw.fields if isinstance(raw.fields, Mapping) else {}
    return raw.address.startswith("kube.") and isinstance(fields.get("manifest"), Mapping)


def _with_needs(raw: Raw, needs: set[str]) -> Raw:
    given = list(raw.fields.get("depends_on", ()))
    return replace(raw, fields={**raw.fields, "depends_on": [*given, *sorted(needs - set(given))]})


def _apply_sets(objects: Mapping[str, Raw]) -> dict[tuple[str, str], Raw]:
    """(stack, namespace) -> the parent of its set."""
    found: dict[tuple[str, str], list[Raw]] = {}
    for address, raw in objects.items():
        found.setdefault((raw.owner, home_of(address)), []).append(raw)
    return {key: _apply_set(*key, members, objects) for key, members in sorted(found.items())}


def _apply_set(owner: str, namespace: str, members: Sequence[Raw], objects: Mapping[str, Raw]) -> Raw:
    kinds = {str(GroupKind.named(raw.address.partition("/")[0])) for raw in members}
    fields: dict[str, Any] = {"kinds": sorted(kinds)}
    if f"kube.Namespace/{namespace}" in objects:
        fields["depends_on"] = [f"kube.Namespace/{namespace}"]
    vias = [raw.fields["via"] for raw in members if raw.fields.get("via")]
    if vias:
        fields["via"] = vias[0]
    source = f"the apply set of {owner} in namespace {namespace}"
    return Raw(f"kube.ApplySet/{namespace}/{owner}", fields, SET_COMPONENT, owner, source)


def _check_custom(objects: Mapping[str, Raw]) -> None:
    schemas = bundled_schemas().with_crds(raw.fields["manifest"] for raw in objects.values())
    wrong = []
    for raw in objects.values():
        manifest = raw.fields["manifest"]
        if BUILT_IN.get(str(manifest.get("kind"))) == group_kind(manifest).group:
            continue
        node = schemas.of(str(manifest.get("apiVersion")), str(manifest.get("kind")))
        wrong += [f"{raw.address} ({raw.source}): {problem}" for problem in problems(manifest, node, schemas)]
    if wrong:
        raise InvalidDescription(*wrong)
