"""From an object as the API answers it to what the engine knows of a live resource."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..engine.resource import Live, Readiness, Resource, Scope
from .api import KubeApi
from .dependencies import sites
from .hashed import described_address, is_hashed
from .marks import PART_OF, SET_ID, Unprinted, label, leaves, note, set_id
from .names import (
    BUILT_IN,
    COMPONENT,
    MANAGER,
    PROTECT,
    STACK_LABEL,
    GroupKind,
    address_of,
    group_kind,
    home_of,
    namespace_id,
    parent_id,
)
from .paths import hands, movers
from .proposal import field_name, hidden_paths, is_secret, shown

Raw = Mapping[str, Any]


def live_from_api(api: KubeApi, path: str, raw: Raw, scope: Scope, state: Readiness) -> Live:
    """The live resource. An object whose stack label was taken off, but that we applied, is adopted again."""
    address, kind = described_address(raw, scope.wanted), group_kind(raw)
    scaled = address in scaled_addresses(scope.described.values())
    owner, adopt = label(raw, STACK_LABEL), False
    wanted = scope.wanted.get(address)
    if not owner and wanted is not None and applied_by_us(raw):
        owner, adopt = wanted.meta.owner, True
    hidden = hidden_paths(raw)
    fields = {
        field_name(at, raw, autoscaled=scaled): shown(leaf.value, secret=is_secret(at, kind, hidden))
        for at, leaf in leaves(raw, api.schemas.of(raw.get("apiVersion", ""), kind.kind), api.schemas).items()
    }
    if is_hashed(raw) or address != address_of(raw):
        fields["hashed_name"] = raw["metadata"]["name"]
    return Live(
        address=address,
        id=path,
        fields=fields,
        outputs=outputs_of(raw),
        refs=refs_of(api, raw),
        readiness=state,
        owner=owner,
        component=note(raw, COMPONENT),
        protect=note(raw, PROTECT) == "true",
        adopt=adopt,
        moved_by={field_name(at, raw, autoscaled=scaled): who for at, who in movers(raw).items()},
        raw=Unprinted(raw),
    )


def scaled_addresses(described: Iterable[Resource]) -> set[str]:
    """The workloads whose replicas a described autoscaler moves."""
    found = set()
    for resource in described:
        manifest = getattr(resource, "manifest", None)
        if isinstance(manifest, Mapping) and manifest.get("kind") == "HorizontalPodAutoscaler":
            target = (manifest.get("spec") or {}).get("scaleTargetRef") or {}
            namespace = (manifest.get("metadata") or {}).get("namespace", "")
            found.add(address_of({**target, "metadata": {"namespace": namespace, "name": target.get("name", "")}}))
    return found


def own_stacks(scope: Scope) -> frozenset[str]:
    """The stacks that the run describes: not a platform that it only looks at. All of them when it describes none."""
    owners = {resource.meta.owner for resource in scope.described.values()}
    return frozenset(owners & scope.stacks) or scope.stacks


def applied_by_us(raw: Raw) -> bool:
    """Did an apply of ours make it what it is?"""
    return any(hand.manager == MANAGER and hand.operation == "Apply" for hand in hands(raw))


def foreign(raw: Raw, stack: str) -> bool:
    """Does it belong to somebody else than `stack`?"""
    owner = label(raw, STACK_LABEL)
    return owner != stack and not (owner == "" and applied_by_us(raw))


def is_member(raw: Raw) -> bool:
    """Is it one of the described objects' kind: neither an apply set's parent nor a controller's copy of our labels?"""
    owners = (raw.get("metadata") or {}).get("ownerReferences") or ()
    return not label(raw, SET_ID) and not any(owner.get("controller") for owner in owners)


def outputs_of(raw: Raw) -> dict[str, Any]:
    """What other descriptions may refer to."""
    metadata, spec = raw.get("metadata") or {}, raw.get("spec") or {}
    found = {key: metadata[key] for key in ("name", "namespace", "uid") if key in metadata}
    if raw.get("kind") == "Service":
        ports = spec.get("ports") or ()
        found["cluster_ip"] = spec.get("clusterIP")
        found["node_port"] = next((port["nodePort"] for port in ports if port.get("nodePort")), None)
    balancers = ((raw.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    found["address"] = next((item.get("hostname") or item.get("ip") for item in balancers), None)
    return {key: value for key, value in found.items() if value not in (None, "")}


def refs_of(api: KubeApi, raw: Raw) -> frozenset[str]:
    """What cannot go before it: its cluster, namespace, apply set, settings; a custom resource's definition."""
    metadata = raw.get("metadata") or {}
    namespace, stack, kind = metadata.get("namespace", ""), label(raw, STACK_LABEL), group_kind(raw)
    refs = {api.cluster_id} if api.cluster_id else set()
    if namespace:
        refs.add(namespace_id(namespace))
        for kind_of, holder, key in sites(raw):
            refs.add(f"{namespace_id(namespace)}/{kind_of.lower()}s/{holder.get(key)}")
    home = home_of(address_of(raw))
    if stack and label(raw, PART_OF) == set_id(stack, home) and kind != GroupKind("Namespace"):
        refs.add(parent_id(stack, home))
    if BUILT_IN.get(kind.kind) != kind.group:
        served = api.served(raw.get("apiVersion", ""), kind.kind)
        if served is not None:
            root = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
            refs.add(f"{root}/{served.plural}.{kind.group}")
    return frozenset(refs)
