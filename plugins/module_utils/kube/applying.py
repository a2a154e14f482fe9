"""Sends an apply, tried out or real: force only for fields that our last apply named, everything else is a conflict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..engine.errors import ApiError, Category, Conflict
from ..engine.values import Secret, contains
from .api import KubeApi
from .errors import FieldConflict
from .live import foreign
from .marks import BOOKKEEPING, PART_OF, Ownership, body, labelled, leaves, secret_texts
from .names import MANAGED_BY, GroupKind, group_kind
from .paths import recorded_paths
from .proposal import REPLICAS, is_secret, with_others

Raw = Mapping[str, Any]
_MARKS = frozenset(
    f"metadata.{part}.{key}" for part in ("labels", "annotations") for key in BOOKKEEPING | {MANAGED_BY, PART_OF}
)
ADOPT = "Remove it, rename ours, or describe it with existing: true"
ATTEMPTS = 5


@dataclass(frozen=True)
class Request:
    """What is to be applied: `tree` is normal (see marks), its secrets still hidden."""

    address: str
    path: str
    tree: Mapping[str, Any]
    owner: Ownership


def send(api: KubeApi, request: Request, raw: Raw | None, *, autoscaled: bool, dry_run: bool) -> dict[str, Any]:
    """The object after the apply. `raw`: as it is live (None: not there). Raises Conflict with the other's name."""
    api.hide(secret_texts(request.tree))
    for _turn in range(ATTEMPTS):
        try:
            return api.apply(request.path, _body(api, request, raw, autoscaled=autoscaled), dry_run=dry_run)
        except FieldConflict as conflict:
            fields = {path for path, _unused in conflict.fields}
            if raw is not None and autoscaled and fields == {REPLICAS}:
                raw = api.get(request.path) or raw  # scaled between our read and our write
                continue
            if raw is None or not fields <= recorded_paths(raw) | _MARKS:
                raise _conflict(api, request, conflict) from conflict
            forced = _body(api, request, raw, autoscaled=autoscaled)
            return api.apply(request.path, forced, dry_run=dry_run, force=True)
    raise ApiError("apply", "Conflict", f"its replicas moved {ATTEMPTS} times while they were written")


def _body(api: KubeApi, request: Request, raw: Raw | None, *, autoscaled: bool) -> dict[str, Any]:
    kind = group_kind(request.tree)
    node = api.schemas.of(str(request.tree.get("apiVersion", "")), kind.kind)
    fields = leaves(labelled(request.tree, request.owner), node, api.schemas)
    named = fields.keys() - ({REPLICAS} if autoscaled else set())
    secret = [
        at for at, leaf in fields.items() if contains(leaf.value, Secret) and not is_secret(at, kind, frozenset())
    ]
    tree = request.tree if raw is None else with_others(request.tree, raw, autoscaled=autoscaled)
    sent = body(tree, request.owner, named, secret)
    if raw is not None:
        sent["metadata"]["uid"] = raw["metadata"]["uid"]  # this very object, not one that took its name
    return sent


def _conflict(api: KubeApi, request: Request, conflict: FieldConflict) -> Exception:
    raw = api.get(request.path)
    if raw is not None and foreign(raw, request.owner.stack):
        return Conflict(request.address, f"{request.path} exists and carries no marks of {request.owner.stack}", ADOPT)
    remedy = "Leave these fields to their manager (take them out of the description), or take them from it with kubectl"
    return Conflict(request.address, conflict.message, remedy)


def try_out(api: KubeApi, request: Request, raw: Raw | None, *, autoscaled: bool = False) -> dict[str, Any] | None:
    """What the object would be, from the server's dry run; None where it cannot be asked.

    It cannot where the namespace is missing or going, or where this identity may read but not write.
    Raises ApiError for what the server would refuse, Conflict for another manager's fields.
    """
    namespace = str((request.tree.get("metadata") or {}).get("namespace", ""))
    if raw is None and namespace in api.without:
        return None
    try:
        return send(api, request, raw, autoscaled=autoscaled, dry_run=True)
    except ApiError as error:
        if error.category is Category.ABSENT and f'namespaces "{namespace}" not found' in error.message:
            api.without.add(namespace)
        if error.category in (Category.DENIED, Category.ABSENT) or "is being terminated" in error.message:
            return None
        if error.code in ("Conflict", "Invalid") and "uid" in error.message:
            return None  # the object that was compared is gone, or another has its name
        if "exceeded quota" in error.message and raw is None:
            return None  # what this run deletes first may make room
        raise


def create(api: KubeApi, request: Request) -> None:
    """Apply an object that is not there. Raises ApiError (category EXISTS) for one that is there and not ours."""

    def there() -> Raw | None:
        raw = api.get(request.path)
        if raw is not None and raw["metadata"].get("deletionTimestamp"):
            raise ApiError("apply", "Terminating", "its predecessor is still being deleted", Category.WAIT)
        return raw

    raw = api.patiently(there)
    if raw is not None and foreign(raw, request.owner.stack):
        words = f"{request.path} exists and carries no marks of {request.owner.stack}"
        raise ApiError("apply", "AlreadyExists", words, Category.EXISTS, request.address, ADOPT)
    send(api, request, raw, autoscaled=False, dry_run=False)


def unusable(error: ApiError) -> bool:
    """Did the server refuse the object itself (a field that cannot change), rather than us?"""
    return error.code == "Invalid"


def delete(api: KubeApi, path: str, raw: Raw) -> None:
    """Delete exactly this live object; a workload's pods go first, so that gone means gone."""
    foreground = group_kind(raw) in _OWNING
    api.delete(path, str(raw["metadata"].get("uid", "")), "Foreground" if foreground else "Background")


_OWNING = frozenset(
    {
        GroupKind("Deployment", "apps"),
        GroupKind("StatefulSet", "apps"),
        GroupKind("DaemonSet", "apps"),
        GroupKind("ReplicaSet", "apps"),
        GroupKind("Job", "batch"),
        GroupKind("CronJob", "batch"),
    }
)
