"""What an apply would change, field by field: pure. The server's dry run, where there is one, has the last word."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..engine.fields import Field
from ..engine.values import Secret, Unknown, contains
from .marks import note
from .names import SECRET_PATHS, GroupKind, group_kind
from .paths import Leaf
from .quantity import amount

FIXED = " (immutable)"  # names of fields that this very object does not let change
SCALED = " (autoscaled)"  # replicas that an autoscaler moves
REPLICAS = "spec.replicas"
STORAGE = "spec.resources.requests.storage"

# Fields that cannot change in place: the API refuses. Source: each kind's validation.
IMMUTABLE: Mapping[GroupKind, tuple[str, ...]] = {
    GroupKind("Deployment", "apps"): ("spec.selector",),
    GroupKind("ReplicaSet", "apps"): ("spec.selector",),
    GroupKind("DaemonSet", "apps"): ("spec.selector",),
    GroupKind("StatefulSet", "apps"): (
        "spec.selector",
        "spec.serviceName",
        "spec.volumeClaimTemplates",
        "spec.podManagementPolicy",
    ),
    GroupKind("Job", "batch"): ("spec.template", "spec.selector", "spec.completionMode", "spec.completions"),
    GroupKind("Pod"): ("spec.nodeName", "spec.volumes", "spec.serviceAccountName", "spec.restartPolicy"),
    GroupKind("Service"): ("spec.clusterIP", "spec.clusterIPs"),
    GroupKind("Secret"): ("type",),
    GroupKind("PersistentVolumeClaim"): (
        "spec.accessModes",
        "spec.storageClassName",
        "spec.volumeMode",
        "spec.volumeName",
        "spec.selector",
        "spec.dataSource",
    ),
    GroupKind("RoleBinding", "rbac.authorization.k8s.io"): ("roleRef",),
    GroupKind("ClusterRoleBinding", "rbac.authorization.k8s.io"): ("roleRef",),
    GroupKind("StorageClass", "storage.k8s.io"): (
        "provisioner",
        "parameters",
        "reclaimPolicy",
        "volumeBindingMode",
    ),
    GroupKind("PriorityClass", "scheduling.k8s.io"): ("value", "preemptionPolicy"),
    GroupKind("IngressClass", "networking.k8s.io"): ("spec.controller",),
    GroupKind("RuntimeClass", "node.k8s.io"): ("handler",),
}

_PLAIN = Field(doc="a field of the object")
_CREATE_ONLY = Field(doc="a field that cannot change in place", create_only=True)
_INITIAL = Field(doc="set at creation, moved by an autoscaler afterwards", initial=True)
_FLOOR = Field(
    doc="a volume's size, which may only grow", floor=True, normalise=lambda value: float(amount(value) or 0)
)


def meaning(kind: GroupKind, name: str) -> Field:
    """What a field means for the diff."""
    if name.endswith(SCALED):
        return _INITIAL
    if name.endswith(FIXED) or below(name, IMMUTABLE.get(kind, ())):
        return _CREATE_ONLY
    if name == STORAGE and kind == GroupKind("PersistentVolumeClaim"):
        return _FLOOR
    return _PLAIN


def below(path: str, roots: tuple[str, ...]) -> bool:
    """Is `path` one of `roots`, or inside one?"""
    return any(path == root or path.startswith((f"{root}.", f"{root}[")) for root in roots)


def field_name(path: str, raw: Mapping[str, Any], *, autoscaled: bool) -> str:
    """The name of a field of a live object in plans: it says when this object does not let it change."""
    if autoscaled and path == REPLICAS:
        return f"{path}{SCALED}"
    if raw.get("immutable") is True and below(path, ("data", "binaryData", "immutable")):
        return f"{path}{FIXED}"
    return path


def is_secret(path: str, kind: GroupKind, hidden: frozenset[str]) -> bool:
    """Must the value of this field never be seen?"""
    return (kind == GroupKind("Secret") and below(path, ("data", "stringData"))) or path in hidden


def hidden_paths(raw: Mapping[str, Any]) -> frozenset[str]:
    """Fields of a live object whose values came from secrets when they were applied."""
    text = note(raw, SECRET_PATHS)
    return frozenset(text.split(",")) if text else frozenset()


def shown(value: Any, *, secret: bool) -> Any:
    """A live value as plans may hold it."""
    return Secret(value if isinstance(value, str) else repr(value)) if secret else value


def with_others(tree: Mapping[str, Any], raw: Mapping[str, Any], *, autoscaled: bool) -> Mapping[str, Any]:
    """`tree` with what others have moved since its creation: replicas under an autoscaler, a grown volume."""
    kind, spec = group_kind(tree), tree.get("spec") or {}
    live = raw.get("spec") or {}
    if autoscaled and "replicas" in spec and "replicas" in live:
        return {**tree, "spec": {**spec, "replicas": live["replicas"]}}
    if kind == GroupKind("PersistentVolumeClaim"):
        wanted = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
        grown = ((live.get("resources") or {}).get("requests") or {}).get("storage")
        if (amount(grown) or 0) > (amount(wanted) or 0) and wanted is not None:
            requests = {**spec["resources"]["requests"], "storage": grown}
            return {**tree, "spec": {**spec, "resources": {**spec["resources"], "requests": requests}}}
    return tree


@dataclass(frozen=True)
class Comparison:
    """What looks different between desired and live before the server was asked.

    `differing`: applied fields; `removed`: fields that we own, that are live and no longer applied.
    """

    desired: Mapping[str, Leaf]
    live: Mapping[str, Leaf]
    differing: frozenset[str]
    removed: frozenset[str]

    def __bool__(self) -> bool:
        return bool(self.differing or self.removed)

    @property
    def has_unknown(self) -> bool:
        return any(contains(leaf.value, Unknown) for leaf in self.desired.values())


def compare(desired: Mapping[str, Leaf], live: Mapping[str, Leaf], owned: frozenset[str]) -> Comparison:
    """Only the fields that we apply, and those that our last apply owned, count."""
    differing = frozenset(path for path, leaf in desired.items() if not _holds(path, leaf, live))
    removed = frozenset(path for path in owned - desired.keys() if path in live)
    return Comparison(desired, live, differing, removed)


def _holds(path: str, leaf: Leaf, live: Mapping[str, Leaf]) -> bool:
    found = live.get(path)
    if found is not None:
        return leaf.same(found)
    # An empty map says "be there": whatever others put into it is theirs.
    return leaf.value == {} and any(below(other, (path,)) for other in live)


def covers(live: Any, desired: Any) -> bool:
    """Does `live` say everything that `desired` says? Additions by the server (defaults) are no difference."""
    if isinstance(desired, Mapping) and isinstance(live, Mapping):
        return all(key in live and covers(live[key], item) for key, item in desired.items())
    if isinstance(desired, list) and isinstance(live, list):
        return len(desired) == len(live) and all(covers(one, other) for one, other in zip(live, desired, strict=True))
    return bool(live == desired)


def without_server(compared: Comparison) -> dict[str, Any]:
    """field -> value after the apply (None: gone), for the fields that would change, judged by ourselves."""
    changed: dict[str, Any] = dict.fromkeys(compared.removed)
    for path in compared.differing:
        before, after = compared.live.get(path), compared.desired[path]
        if before is None or contains(after.value, Unknown) or not covers(before.canonical, after.canonical):
            changed[path] = after.value
    return changed


def with_server(compared: Comparison, result: Mapping[str, Leaf]) -> dict[str, Any]:
    """The same, judged by the object that the dry run returned. What was described is shown as it was described."""
    changed: dict[str, Any] = {}
    for path in compared.differing | compared.removed:
        before, after = compared.live.get(path), result.get(path)
        if before is None and after is None:
            continue  # the server drops it: an empty or null value
        if before is not None and after is not None and before.same(after):
            continue  # another spelling, or a default
        wanted = compared.desired.get(path)
        if wanted is not None and (after is None or covers(after.canonical, wanted.canonical)):
            changed[path] = wanted.value
        else:
            changed[path] = None if after is None else after.value
    return changed
