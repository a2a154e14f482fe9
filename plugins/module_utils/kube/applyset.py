"""The stack's apply set in a namespace: a ConfigMap that says which kinds the set holds, so that nothing is forgotten.

It is widened before the first write and narrowed after the last, so a kill at any point leaves no object that the next
run would not find. Source: KEP-3659 (labels and annotations, shared with kubectl, which refuses sets of other tools).
Cost of reading: one list of parents, one list of labelled namespaces, and one list for each kind and namespace that a
parent names but nothing describes any more. RBAC: get, list, patch, delete on configmaps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ..engine.errors import ApiError, Category, Conflict, Unreadable
from ..engine.fields import attr
from ..engine.resource import Live, Mark, Resource, Scope
from . import applying
from .api import KubeApi
from .discovery import Served
from .live import live_from_api, own_stacks
from .marks import PART_OF, SET_ID, label, note, set_id
from .names import (
    COMPONENT,
    MANAGED_BY,
    MANAGER,
    PROTECT,
    STACK_LABEL,
    USER_AGENT,
    GroupKind,
    namespace_id,
    parent_id,
    parent_name,
)
from .object import KubeObject, look, members
from .readiness import readiness

TOOLING = "applyset.kubernetes.io/tooling"
KINDS = "applyset.kubernetes.io/contains-group-kinds"
_NAMESPACE = GroupKind("Namespace")
_CONFIG_MAPS = Served("v1", "ConfigMap", "configmaps", True)


@dataclass(frozen=True, kw_only=True)
class ApplySet(Resource):
    """The parent of one apply set: `kube.ApplySet/<namespace>/<stack>`, as two stacks may share a namespace."""

    kind: ClassVar[str] = "kube.ApplySet"
    outputs: ClassVar[Mapping[str, str]] = {"set": "the set's id, the value of its members' part-of label"}
    name_seen: ClassVar[bool] = True
    creates_whole: ClassVar[bool] = True
    recreate_when_failed: ClassVar[bool] = False

    kinds: list[str] = attr('the kinds that it holds, "Deployment.apps"', unordered=True)

    @property
    def namespace(self) -> str:
        return self.address.split("/")[1]

    @classmethod
    def read(cls, api: KubeApi, scope: Scope) -> list[Live]:
        """The stacks' parents, and every member of a set that nothing describes any more."""
        parents = _parents(api, scope)
        lives = [_live(api, raw) for raw in parents]
        places = sorted(_strays(api, parents, scope), key=repr)
        selector = api.of_stacks(own_stacks(scope))
        found: dict[str, Mapping[str, Any]] = {}
        for part in api.side_by_side(lambda place: _listed(api, place[0], place[1], selector), places):
            found |= part
        known = scope.described
        strays = [live_from_api(api, path, raw, scope, readiness(raw)) for path, raw in sorted(found.items())]
        return lives + [live for live in strays if live.address not in known]

    @classmethod
    def get(cls, api: KubeApi, live_id: str, scope: Scope) -> Live | None:
        raw = api.get(live_id) if live_id.rpartition("/")[2].startswith(parent_name("")) else None
        if raw is not None and label(raw, SET_ID):
            return _live(api, raw)
        return look(api, live_id, scope)

    def propose(self, api: KubeApi | None, live: Live | None) -> Mapping[str, Any]:
        """Only ever wider: `finish` narrows."""
        if live is None:
            return {"kinds": sorted(set(self.kinds))}
        tooling = note(live.raw, TOOLING)
        if tooling.partition("/")[0] not in ("", MANAGER):
            raise Conflict(self.address, f"{live.id} is managed by {tooling}", "Choose another stack name")
        return {"kinds": sorted({*self.kinds, *live.fields["kinds"]})}

    def create(self, api: KubeApi, mark: Mark) -> str:
        path = parent_id(mark.stack, self.namespace)
        raw = api.get(path)
        if raw is not None and label(raw, STACK_LABEL) != mark.stack:
            words = f"{path} exists and carries no marks of {mark.stack}"
            raise ApiError("apply", "AlreadyExists", words, Category.EXISTS, mark.address, applying.ADOPT)
        before = [] if raw is None else _kinds(raw)
        api.apply(path, self._body(mark, {*self.kinds, *before}), force=True)
        return path

    def update(self, api: KubeApi, live: Live, change: Any) -> None:
        # Nobody else has business in it: what was changed there is taken back.
        api.apply(live.id, self._body(change.mark, {*self.kinds, *live.fields["kinds"]}), force=True)

    @classmethod
    def delete(cls, api: KubeApi, live: Live) -> None:
        applying.delete(api, live.id, live.raw)

    def finish(self, api: KubeApi, live: Live) -> None:
        """Kinds that no member has any more leave the record."""
        doubtful = sorted(set(live.fields["kinds"]) - set(self.kinds))
        held = api.side_by_side(lambda kind: _holds(api, GroupKind.parse(kind), self.namespace, live), doubtful)
        kept = {*self.kinds, *(kind for kind, here in zip(doubtful, held, strict=True) if here)}
        if kept != set(live.fields["kinds"]):
            mark = Mark(live.owner, self.address, live.component, "", "", live.protect)
            api.apply(live.id, self._body(mark, kept), force=True)

    def _body(self, mark: Mark, kinds: Iterable[str]) -> dict[str, Any]:
        labels = {SET_ID: set_id(mark.stack, self.namespace), STACK_LABEL: mark.stack, MANAGED_BY: MANAGER}
        notes = {TOOLING: USER_AGENT, KINDS: ",".join(sorted(kinds)), COMPONENT: mark.component}
        if mark.protect:
            notes[PROTECT] = "true"
        metadata = {
            "name": parent_name(mark.stack),
            "namespace": self.namespace,
            "labels": labels,
            "annotations": notes,
        }
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}


def _parents(api: KubeApi, scope: Scope) -> list[dict[str, Any]]:
    selector = f"{SET_ID},{api.of_stacks(scope.stacks)}"
    try:
        return api.listed(_CONFIG_MAPS, "", selector)
    except Unreadable as error:
        if error.category is not Category.DENIED:
            raise
        # An identity of one namespace sees the parents that it describes.
        sets = [resource for resource in scope.wanted.values() if isinstance(resource, ApplySet)]
        found = api.side_by_side(lambda one: api.get(parent_id(one.meta.owner, one.namespace)), sets)
        return [raw for raw in found if raw is not None]


def _strays(api: KubeApi, parents: Iterable[Mapping[str, Any]], scope: Scope) -> set[tuple[Served, str]]:
    """Kinds and namespaces that parents name and no description reads."""
    covered = {(r.group_kind, r.namespace) for r in scope.described.values() if isinstance(r, KubeObject)}
    owners = own_stacks(scope)
    places = {(_NAMESPACE, "")}  # one could have been made just before its set was
    for raw in parents:
        if label(raw, STACK_LABEL) in owners:
            places |= {(GroupKind.parse(kind), raw["metadata"]["namespace"]) for kind in _kinds(raw)}
    found = set()
    for kind, namespace in places:
        served = api.discovery.preferred(kind.group, kind.kind)
        if served is not None:
            place = namespace if served.namespaced else ""
            if (kind, place) not in covered:
                found.add((served, place))
    return found


def _listed(api: KubeApi, served: Served, namespace: str, selector: str) -> dict[str, Mapping[str, Any]]:
    try:
        return members(api, served.api_version, served.kind, namespace, selector)
    except Unreadable as error:
        if error.category is Category.DENIED and served.kind == "Namespace":
            return {}  # who may not list namespaces made none
        raise


def _holds(api: KubeApi, kind: GroupKind, namespace: str, live: Live) -> bool:
    served = api.discovery.preferred(kind.group, kind.kind)
    if served is None:
        return False
    selector = f"{PART_OF}={label(live.raw, SET_ID)}"
    return bool(api.listed(served, namespace if served.namespaced else "", selector))


def _kinds(raw: Mapping[str, Any]) -> list[str]:
    return sorted(kind for kind in note(raw, KINDS).split(",") if kind)


def _live(api: KubeApi, raw: Mapping[str, Any]) -> Live:
    namespace, stack = raw["metadata"]["namespace"], label(raw, STACK_LABEL)
    refs = {namespace_id(namespace), *([api.cluster_id] if api.cluster_id else [])}
    return Live(
        address=f"{ApplySet.kind}/{namespace}/{stack}",
        id=parent_id(stack, namespace),
        fields={"kinds": _kinds(raw)},
        outputs={"set": label(raw, SET_ID)},
        refs=frozenset(refs),
        readiness=readiness(raw),
        owner=stack,
        component=note(raw, COMPONENT),
        protect=note(raw, PROTECT) == "true",
        raw=raw,
    )
