"""A Kubernetes object as a resource: described by its manifest, applied server-side, compared field by field.

One class a kind, made when the kind is first named (`kind_class`); they share everything here.
"""

from __future__ import annotations

import functools
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ..engine.errors import ApiError, Category, Conflict
from ..engine.fields import Field, attr
from ..engine.resource import Live, Mark, Readiness, ReplaceOrder, Resource, Scope, waiting
from ..engine.values import UNSET, Unknown, Unset, contains
from . import applying
from .api import KubeApi
from .diagnosis import diagnosed
from .discovery import Served
from .hashed import described_address, hashed_name, is_hashed
from .live import foreign, is_member, live_from_api, own_stacks
from .marks import Ownership, labelled, leaves, normal, sealed
from .names import BUILT_IN, CLUSTER_SCOPED, GroupKind, address_of, home_of
from .paths import Leaf, owned_paths
from .proposal import (
    IMMUTABLE,
    REPLICAS,
    SCALED,
    STORAGE,
    Comparison,
    below,
    compare,
    field_name,
    hidden_paths,
    is_secret,
    meaning,
    shown,
    with_others,
    with_server,
    without_server,
)
from .readiness import readiness
from .schema import Node, bundled_schemas, kind_problem, problems, worded

MANY = 4  # missing objects of one kind and namespace that are looked up in one list of names
_NO_SCOPE = Scope(frozenset(), {}, {})


@dataclass(frozen=True, kw_only=True)
class KubeObject(Resource):
    """Any object. Found by its stack label; an object of its name without our marks is a conflict.

    Cost of reading a kind: one list for each namespace in which it is described, one get for each described object
    that is not in them. RBAC: get, list, watch, patch, delete on the kind; get, list, watch on pods, replicasets and
    events, get on pods/log for diagnoses.
    """

    group_kind: ClassVar[GroupKind] = GroupKind("")
    outputs: ClassVar[Mapping[str, str]] = {
        "name": "its name",
        "namespace": "its namespace",
        "uid": "its uid",
        "cluster_ip": "a Service's address inside the cluster",
        "node_port": "a Service's first node port",
        "address": "host name or IP of a Service's or Ingress's load balancer",
    }
    name_seen: ClassVar[bool] = True
    creates_whole: ClassVar[bool] = True
    recreate_when_failed: ClassVar[bool] = False
    poll_s: ClassVar[tuple[float, float]] = (0.05, 0.5)  # looks at a watch, not at the API

    manifest: dict[str, Any] = attr("the whole object; text inside may hold references")
    hashed_name: str | Unset = attr(
        "follows from the content, where that is asked for", create_only=True, default=UNSET
    )

    # -- identity ----------------------------------------------------------------------------------------------
    @property
    def api_version(self) -> str:
        """The apiVersion; for an existing object without a manifest, the one that Kubernetes itself has."""
        if not isinstance(self.manifest, Unset):
            return str(self.manifest.get("apiVersion", ""))
        return (bundled_schemas().versions(self.group_kind.kind) or [""])[-1]

    @property
    def namespace(self) -> str:
        """Its namespace, "" for a cluster-scoped object."""
        return self.address.split("/")[1] if self.address.count("/") == 2 else ""

    @property
    def name(self) -> str:
        return self.address.rpartition("/")[2]

    @property
    def called(self) -> str:
        """Its name in the cluster; the described one while a hashed one is unknown."""
        return self.hashed_name if isinstance(self.hashed_name, str) else self.name

    @property
    def ownership(self) -> Ownership:
        """The marks that its description gives it."""
        return Ownership(self.meta.owner, self.meta.component, self.protect, home_of(self.address))

    @classmethod
    def link(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        linked = super().link(values)
        manifest = linked.get("manifest", UNSET)
        return linked if isinstance(manifest, Unset) else _sealed(linked, manifest)

    def with_values(self, values: Mapping[str, Any]) -> typing.Self:
        if isinstance(values.get("manifest", UNSET), Unset):
            return super().with_values(values)
        manifest = worded(values["manifest"], self.manifest, self._node(), bundled_schemas())
        return super().with_values(_sealed({**values, "manifest": manifest}, self.manifest))

    @property
    def touches_platform(self) -> bool:
        """Cluster-scoped objects are shared ground; a namespace is its environment's own."""
        return not self.namespace and self.group_kind != GroupKind("Namespace")

    @classmethod
    def meaning(cls, name: str) -> Field:
        return cls.schema().get(name) or meaning(cls.group_kind, name)

    def predict(self, mark: Mark) -> Mapping[str, Any]:
        named = {} if isinstance(self.hashed_name, Unknown) else {"name": self.called}
        return {**named, **({"namespace": self.namespace} if self.namespace else {})}

    def order_of_replace(self, live: Live) -> ReplaceOrder:
        return "delete_first" if live.outputs.get("name") == self.called else "create_first"

    def problems(self) -> Iterable[str]:
        """Unknown fields (with the nearest name), wrong types, missing fields; a name that is not the address's."""
        if isinstance(self.manifest, Unset):
            return
        if address_of(self.manifest) != self.address:
            yield f"its manifest is that of {address_of(self.manifest)}."
        schemas = bundled_schemas()
        version, kind = self.api_version, self.group_kind.kind
        wrong = kind_problem(schemas, version, kind)
        if wrong:
            yield wrong
        yield from problems(self.manifest, schemas.of(version, kind), schemas)

    # -- reading -----------------------------------------------------------------------------------------------
    @classmethod
    def read(cls, api: KubeApi, scope: Scope) -> list[Live]:
        """The stacks' objects of this kind where it is described, and whatever has a described name."""
        wanted = {a: r for a, r in scope.wanted.items() if isinstance(r, KubeObject) and not r.meta.existing}
        if not wanted:
            return _of_others(api, cls.group_kind, scope)
        places = sorted({(r.api_version, r.namespace) for r in wanted.values()})
        selector = api.of_stacks(scope.stacks)
        found: dict[str, Mapping[str, Any]] = {}
        for part in api.side_by_side(
            lambda place: members(api, place[0], cls.group_kind.kind, place[1], selector), places
        ):
            found |= part
        seen = {described_address(raw, scope.wanted) for raw in found.values()}
        missing = _perhaps_there(api, [resource for address, resource in wanted.items() if address not in seen])
        for resource, raw in zip(missing, api.side_by_side(lambda r: r._get(api), missing), strict=True):
            if raw is not None:
                found[resource._path(api)] = raw
        return [live_from_api(api, path, raw, scope, _at_rest(readiness(raw))) for path, raw in sorted(found.items())]

    @classmethod
    def get(cls, api: KubeApi, live_id: str, scope: Scope) -> Live | None:
        """One object by its path, for somebody who may be waiting: with a diagnosis when it does not get ready."""
        return look(api, live_id, scope)

    def find(self, api: KubeApi) -> Live | None:
        """The existing object of this address."""
        raw = self._get(api)
        return None if raw is None else live_from_api(api, self._path(api), raw, _NO_SCOPE, readiness(raw))

    def _served(self, api: KubeApi) -> Served | None:
        return api.served(self.api_version, self.group_kind.kind)

    def _path(self, api: KubeApi) -> str:
        return api.require(self.api_version, self.group_kind.kind).path(self.namespace, self.called)

    def _get(self, api: KubeApi) -> dict[str, Any] | None:
        return None if self._served(api) is None else api.get(self._path(api))

    # -- planning ----------------------------------------------------------------------------------------------
    def propose(self, api: KubeApi | None, live: Live | None) -> Mapping[str, Any]:
        """field -> value, named as `live.fields` names them; the server's dry run judges where it can be asked."""
        if isinstance(self.manifest, Unset):
            return {}
        if api is not None and self._served(api) is None:
            api = None
        if live is not None and self._named_as(live):
            return self._against(api, live)
        if api is not None and not contains(self.manifest, Unknown):
            self._try_creating(api)
        named = {} if isinstance(self.hashed_name, Unset) else {"hashed_name": self.hashed_name}
        if live is not None:  # another object takes its place
            return {**self._against(None, live), "hashed_name": None, **named}
        return {**{path: leaf.value for path, leaf in self._leaves(normal(self.manifest)).items()}, **named}

    def _named_as(self, live: Live) -> bool:
        return not isinstance(self.hashed_name, Unknown) and live.outputs.get("name") == self.called

    def _leaves(self, tree: Mapping[str, Any]) -> dict[str, Leaf]:
        return leaves(tree, self._node(), bundled_schemas())

    def _node(self) -> Node | None:
        return bundled_schemas().of(self.api_version, self.group_kind.kind)

    def _request(self, api: KubeApi, owner: Ownership) -> applying.Request:
        tree = normal(self.manifest)
        tree["metadata"]["name"] = self.called
        return applying.Request(self.address, self._path(api), tree, owner)

    def _try_creating(self, api: KubeApi) -> None:
        request = self._request(api, self.ownership)
        result = applying.try_out(api, request, None)
        if result is None or not result["metadata"].get("resourceVersion"):
            return
        # Something is there: ours, if an earlier apply of ours got through, else somebody's.
        raw = api.get(request.path)
        if raw is not None and foreign(raw, self.meta.owner):
            found = f"{request.path} exists and carries no marks of {self.meta.owner}"
            raise Conflict(self.address, found, applying.ADOPT)

    def _against(self, api: KubeApi | None, live: Live) -> dict[str, Any]:
        """The proposal for a live object: its own value where nothing would change."""
        scaled = f"{REPLICAS}{SCALED}" in live.fields
        tree = labelled(normal(self.manifest), self.ownership)
        desired = self._leaves(with_others(tree, live.raw, autoscaled=scaled))
        compared = compare(desired, self._leaves(live.raw), owned_paths(live.raw))
        changed = self._changed(api, live, compared, autoscaled=scaled) if compared else {}
        hidden = hidden_paths(live.raw)
        proposed: dict[str, Any] = {name: live.fields[name] for name in ("hashed_name",) if name in live.fields}
        for path in compared.desired.keys() | changed.keys():
            name = field_name(path, live.raw, autoscaled=scaled)
            if path in changed:
                secret = isinstance(changed[path], str) and is_secret(path, self.group_kind, hidden)
                proposed[name] = shown(changed[path], secret=secret)
            elif name in live.fields:
                proposed[name] = live.fields[name]
        for path in (REPLICAS, STORAGE):  # what others may have moved: shown as described
            name, described = field_name(path, live.raw, autoscaled=scaled), self._leaves(tree).get(path)
            if name in live.fields and described is not None and path not in changed:
                proposed[name] = described.value
        return proposed

    def _changed(self, api: KubeApi | None, live: Live, compared: Comparison, *, autoscaled: bool) -> dict[str, Any]:
        offline = without_server(compared)
        fixed = [path for path in offline if self._is_fixed(path, live)]
        if api is None or compared.has_unknown:
            return offline
        try:
            result = applying.try_out(api, self._request(api, self.ownership), live.raw, autoscaled=autoscaled)
        except ApiError as error:
            if applying.unusable(error) and fixed:
                return offline  # a replacement: the new object is tried out when its turn comes
            raise
        return offline if result is None else with_server(compared, self._leaves(result))

    def _is_fixed(self, path: str, live: Live) -> bool:
        named = field_name(path, live.raw, autoscaled=False)
        return below(path, IMMUTABLE.get(self.group_kind, ())) or self.meaning(named).create_only

    # -- writing -----------------------------------------------------------------------------------------------
    def create(self, api: KubeApi, mark: Mark) -> str:
        request = self._request(api, self._marked(mark))
        applying.create(api, request)
        return request.path

    def update(self, api: KubeApi, live: Live, change: Any) -> None:
        owner = self.ownership if change.mark is None else self._marked(change.mark)
        scaled = f"{REPLICAS}{SCALED}" in live.fields
        applying.send(api, self._request(api, owner), live.raw, autoscaled=scaled, dry_run=False)

    def _marked(self, mark: Mark) -> Ownership:
        return Ownership(mark.stack, mark.component, mark.protect, self.ownership.home)

    @classmethod
    def delete(cls, api: KubeApi, live: Live) -> None:
        if is_hashed(live.raw) and api.wrote(live.id):
            words = f"{live.id} was left over when this run was planned, and turned out to be what is wanted"
            raise ApiError("delete", "InUse", words, Category.FATAL, remedy="Run again for a new plan")
        applying.delete(api, live.id, live.raw)


def _of_others(api: KubeApi, kind: GroupKind, scope: Scope) -> list[Live]:
    """Objects of an undescribed kind of a platform that is only looked at: for references to it."""
    others = scope.stacks - own_stacks(scope)
    served = api.discovery.preferred(kind.group, kind.kind) if others else None
    if served is None:
        return []
    found = members(api, served.api_version, served.kind, "", api.of_stacks(others))
    return [live_from_api(api, path, raw, scope, readiness(raw)) for path, raw in sorted(found.items())]


def _perhaps_there(api: KubeApi, resources: list[KubeObject]) -> list[KubeObject]:
    """Those of `resources` that are worth a get each: of many in one place, whose names are there at all."""
    places: dict[tuple[str, str], list[KubeObject]] = {}
    for resource in resources:
        if is_hashed(resource.manifest) and isinstance(resource.hashed_name, Unset):
            continue  # its name is not known before its references are resolved
        places.setdefault((resource.api_version, resource.namespace), []).append(resource)
    found: list[KubeObject] = []
    for (_unused, namespace), group in places.items():
        served = group[0]._served(api)
        if served is None:
            continue
        names = api.names(served, namespace) if len(group) >= MANY else {one.called for one in group}
        found += [one for one in group if one.called in names]
    return found


def _sealed(values: Mapping[str, Any], template: Mapping[str, Any]) -> dict[str, Any]:
    manifest = sealed(values["manifest"])
    return {**values, "manifest": manifest, "hashed_name": hashed_name(manifest, template)}


def members(api: KubeApi, api_version: str, kind: str, namespace: str, selector: str) -> dict[str, Mapping[str, Any]]:
    """path -> object, for the labelled objects of one kind in one place; none when the kind is not served (yet)."""
    served = api.served(api_version, kind)
    if served is None:
        return {}
    return {
        served.path(raw["metadata"].get("namespace", ""), raw["metadata"]["name"]): raw
        for raw in api.listed(served, namespace, selector)
        if is_member(raw)
    }


def look(api: KubeApi, live_id: str, scope: Scope) -> Live | None:
    """Any live object by its path; looked for again and again at the cost of one watch."""
    place = api.discovery.of_path(live_id)
    raw = api.get(live_id) if place is None else api.look(live_id, *place)
    return None if raw is None else live_from_api(api, live_id, raw, scope, diagnosed(api, raw, readiness(raw)))


def _at_rest(state: Readiness) -> Readiness:
    """While planning, what failed is looked at again by the run, which then says why."""
    return waiting(state.reason) if state.state == "failed" else state


_STAKE: Mapping[GroupKind, str] = {
    GroupKind("Namespace"): "everything inside the namespace, volumes' claims included",
    GroupKind("PersistentVolumeClaim"): "the data on its volume, if that is reclaimed by Delete",
    GroupKind("PersistentVolume"): "the data on the volume, if it is reclaimed by Delete",
    GroupKind("CustomResourceDefinition", "apiextensions.k8s.io"): "every object of the kind that it defines",
}
_PROTECTED = frozenset({GroupKind("PersistentVolumeClaim"), GroupKind("PersistentVolume")})
_TIMEOUT_S: Mapping[GroupKind, float] = {GroupKind("Job", "batch"): 900.0}


@functools.cache
def kind_class(name: str) -> type[KubeObject]:
    """The class of a kind, `kube.Deployment`. Raises ValueError for what is no such name."""
    kind = GroupKind.named(name)
    attributes = {
        "kind": name,
        "group_kind": kind,
        "data_at_stake": _STAKE.get(kind, ""),
        "protected": kind in _PROTECTED,
        "ready_timeout_s": _TIMEOUT_S.get(kind, 300.0),
        "__doc__": f"Objects of the kind {kind}.",
    }
    return type(kind.kind, (KubeObject,), attributes)


def is_cluster_scoped(kind: GroupKind) -> bool:
    """Is it one of Kubernetes' own kinds that lie in no namespace?"""
    return BUILT_IN.get(kind.kind) == kind.group and kind.kind in CLUSTER_SCOPED
