"""Managed node groups of EKS clusters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal, TypedDict

from ..engine.errors import Category
from ..engine.fields import attr
from ..engine.resource import Live, Mark, Resource, Scope
from ..engine.values import UNSET, Unset
from .api import Api
from .eks import RULES, WAITS, Update, first_of, name_of, readiness, retag
from .marks import all_tags, is_ours, marks_of, name_prefixes, own_tags
from .shapes import given

_AUTOSCALER = "the cluster autoscaler, or an operator"
_EFFECTS = {"NoSchedule": "NO_SCHEDULE", "NoExecute": "NO_EXECUTE", "PreferNoSchedule": "PREFER_NO_SCHEDULE"}


class _Taint(TypedDict):
    key: str
    effect: str


class Taint(_Taint, total=False):
    """`effect`: NoSchedule, NoExecute or PreferNoSchedule."""

    value: str


@dataclass(frozen=True, kw_only=True)
class EksNodegroup(Resource):
    """A managed node group, found through the clusters whose name begins with the stack's, then by its tags.

    Its desired size is set at creation and the autoscaler's afterwards. Cost of reading: pages of ListClusters + pages
    of ListNodegroups for each such cluster + 1 for each group in it whose name begins with the stack's
    (DescribeNodegroup). Source: these. Actions: eks:ListClusters, ListNodegroups, DescribeNodegroup, CreateNodegroup,
    UpdateNodegroupConfig, UpdateNodegroupVersion, TagResource, UntagResource, DeleteNodegroup; iam:PassRole for the
    nodes' role.
    """

    kind = "aws.eks_nodegroup"
    name_limit = 63
    data_at_stake = "what its nodes keep on their own disks"
    disruption: ClassVar[Mapping[str, str]] = {
        "version": "every node is drained and replaced",
        "taints": "pods that do not tolerate a new taint may be evicted",
    }
    ready_timeout_s = 2400.0
    visible_s = 600.0
    poll_s = (0.2, 10.0)
    outputs: ClassVar[Mapping[str, str]] = {
        "arn": "its ARN",
        "name": "its name",
        "autoscaling_group": "name of the autoscaling group behind it",
    }

    cluster: str = attr("cluster it belongs to", refers_to="aws.eks_cluster", output="name", create_only=True)
    role: str = attr("role of its nodes", refers_to="aws.iam_role", output="arn", create_only=True)
    subnets: list[str] = attr("subnets of its nodes", refers_to="aws.subnet", unordered=True, create_only=True)
    instance_types: list[str] | Unset = attr("instance types, the preferred first", create_only=True, default=UNSET)
    capacity_type: Literal["ON_DEMAND", "SPOT"] | Unset = attr(
        "how its nodes are paid", create_only=True, cleared="ON_DEMAND", default=UNSET
    )
    ami_type: str | Unset = attr(
        "family of machine images, such as AL2023_x86_64_STANDARD", create_only=True, default=UNSET
    )
    disk_gib: int | Unset = attr("size of a node's disk in GiB", create_only=True, default=UNSET)
    min_size: int | Unset = attr("fewest nodes", default=UNSET)
    max_size: int | Unset = attr("most nodes", default=UNSET)
    desired_size: int | Unset = attr("nodes to start with; the autoscaler's afterwards", initial=True, default=UNSET)
    max_unavailable: int | Unset = attr("nodes replaced at the same time in an update", cleared=1, default=UNSET)
    version: str | Unset = attr("Kubernetes version of its nodes", version_prefix=True, default=UNSET)
    labels: dict[str, str | None] | Unset = attr("labels of its nodes; null removes one", open_set=True, default=UNSET)
    taints: list[Taint] | Unset = attr("taints of its nodes", unordered=True, cleared=(), default=UNSET)
    tags: dict[str, str | None] | Unset = attr("tags; null removes one", open_set=True, default=UNSET)

    @classmethod
    def read(cls, api: Api, scope: Scope) -> list[Live]:
        begins = name_prefixes(scope)
        clusters = [name for name in api.pages("eks", "ListClusters", "clusters") if name.startswith(begins)]
        found = api.each(lambda cluster: _groups(api, cluster, begins), clusters)
        owned = [item for group in found for item in group if is_ours(item.get("tags", {}), scope)]
        return [nodegroup_from_api(item) for item in owned]

    @classmethod
    def get(cls, api: Api, live_id: str, scope: Scope) -> Live | None:
        _prefix, cluster, name, *_rest = live_id.split("/")
        item = _described(api, cluster, name)
        # The name of one that was deleted can belong to its successor already.
        return nodegroup_from_api(item) if item and item["nodegroupArn"] == live_id else None

    def propose(self, api: Api | None, live: Live | None) -> Mapping[str, Any]:
        values = self.values()
        if values.get("taints"):
            values["taints"] = [_taint(taint) for taint in values["taints"]]
        return values

    def create(self, api: Api, mark: Mark) -> str:
        unavailable = given(self.max_unavailable)
        labels: Mapping[str, str | None] = given(self.labels, {})
        answer = api.call(
            "eks",
            "CreateNodegroup",
            clusterName=self.cluster,
            nodegroupName=mark.name,
            scalingConfig=_scaling(given(self.min_size), given(self.max_size), given(self.desired_size)),
            diskSize=given(self.disk_gib),
            subnets=self.subnets,
            instanceTypes=given(self.instance_types),
            amiType=given(self.ami_type),
            nodeRole=self.role,
            labels={key: value for key, value in labels.items() if value is not None},
            taints=[_taint_to_api(_taint(taint)) for taint in given(self.taints, [])],
            tags=all_tags(mark, self.tags),
            clientRequestToken=mark.token,
            updateConfig={"maxUnavailable": unavailable} if unavailable else None,
            capacityType=given(self.capacity_type),
            version=given(self.version),
            rules=RULES,
        )
        return str(answer["nodegroup"]["nodegroupArn"])

    def update(self, api: Api, live: Live, change: Any) -> Iterable[str]:
        retag(api, live, change)
        cluster, name = live.fields["cluster"], live.outputs["name"]
        which: dict[str, Any] = {"clusterName": cluster, "nodegroupName": name, "rules": RULES, "waits": WAITS}
        updates: list[Update] = []
        if config := _config(live, change.fields):
            settings = change.fields.keys() - {"version"}
            updates.append((settings, partial(api.call, "eks", "UpdateNodegroupConfig", **which, **config)))
        if "version" in change.fields:
            version = change.fields["version"][1]
            updates.append(({"version"}, partial(api.call, "eks", "UpdateNodegroupVersion", **which, version=version)))
        return first_of(updates)

    @classmethod
    def delete(cls, api: Api, live: Live) -> None:
        api.call(
            "eks",
            "DeleteNodegroup",
            clusterName=live.fields["cluster"],
            nodegroupName=live.outputs["name"],
            rules=RULES,
            waits=WAITS,
        )

    def predict(self, mark: Mark) -> Mapping[str, Any]:
        return {"name": mark.name}

    def problems(self) -> Iterable[str]:
        low, wanted, high = given(self.min_size), given(self.desired_size), given(self.max_size)
        if low is not None and high is not None and low > high:
            yield f"min_size ({low}) is more than max_size ({high})."
        if wanted is not None and not (low or 0) <= wanted <= (high if high is not None else wanted):
            yield f"desired_size ({wanted}) does not lie between min_size and max_size."
        for number, taint in enumerate(given(self.taints, [])):
            if taint["effect"] not in _EFFECTS:
                yield f'taints[{number}].effect is "{taint["effect"]}"; choose one of {", ".join(_EFFECTS)}.'


def _scaling(low: int | None, high: int | None, wanted: int | None) -> dict[str, int] | None:
    sizes = {"minSize": low, "maxSize": high, "desiredSize": wanted}
    return {name: size for name, size in sizes.items() if size is not None} or None


def _config(live: Live, fields: Mapping[str, tuple[Any, Any]]) -> dict[str, Any]:
    """What UpdateNodegroupConfig has to be told: everything that differs goes into one update."""
    config: dict[str, Any] = {}
    if fields.keys() & {"min_size", "max_size"}:
        low = fields.get("min_size", (0, live.fields["min_size"]))[1]
        high = fields.get("max_size", (0, live.fields["max_size"]))[1]
        now = live.fields["desired_size"]
        inside = min(max(now, low), high)  # the size follows only where the new bounds leave no other way
        config["scalingConfig"] = {"minSize": low, "maxSize": high, "desiredSize": inside}
    if "max_unavailable" in fields:
        config["updateConfig"] = {"maxUnavailable": fields["max_unavailable"][1]}
    if "labels" in fields:
        before, after = (dict(side or {}) for side in fields["labels"])
        written = {key: value for key, value in after.items() if before.get(key) != value}
        config["labels"] = {"addOrUpdateLabels": written, "removeLabels": sorted(before.keys() - after.keys())}
    if "taints" in fields:
        before_taints, after_taints = (list(side or ()) for side in fields["taints"])
        kept = {(taint["key"], taint["effect"]) for taint in after_taints}
        gone = [taint for taint in before_taints if (taint["key"], taint["effect"]) not in kept]
        config["taints"] = {
            "addOrUpdateTaints": [_taint_to_api(taint) for taint in after_taints if taint not in before_taints],
            "removeTaints": [_taint_to_api(taint) for taint in gone],
        }
    return config


def _taint(taint: Mapping[str, Any]) -> dict[str, str]:
    return {"key": taint["key"], "value": taint.get("value", ""), "effect": taint["effect"]}


def _taint_to_api(taint: Mapping[str, str]) -> dict[str, str]:
    return {**taint, "effect": _EFFECTS[taint["effect"]]}


def _taint_from_api(taint: Mapping[str, str]) -> dict[str, str]:
    effects = {theirs: ours for ours, theirs in _EFFECTS.items()}
    return {"key": taint["key"], "value": taint.get("value", ""), "effect": effects[taint["effect"]]}


def _groups(api: Api, cluster: str, begins: tuple[str, ...]) -> list[dict[str, Any]]:
    listed = api.pages("eks", "ListNodegroups", "nodegroups", clusterName=cluster, rules=RULES, done=Category.ABSENT)
    names = [name for name in listed if name.startswith(begins)]
    return [item for item in api.each(lambda name: _described(api, cluster, name), names) if item is not None]


def _described(api: Api, cluster: str, name: str) -> dict[str, Any] | None:
    answer = api.call(
        "eks", "DescribeNodegroup", clusterName=cluster, nodegroupName=name, rules=RULES, done=Category.ABSENT
    )
    return answer.get("nodegroup")


def nodegroup_from_api(item: dict[str, Any]) -> Live:
    """A node group as DescribeNodegroup shows it."""
    tags, arn, scaling = item.get("tags", {}), item["nodegroupArn"], item["scalingConfig"]
    groups = item.get("resources", {}).get("autoScalingGroups", ())
    cluster_arn = f"{arn.partition(':nodegroup/')[0]}:cluster/{name_of(arn)}"
    fields = {
        "cluster": item["clusterName"],
        "role": item["nodeRole"],
        "subnets": list(item["subnets"]),
        "instance_types": list(item.get("instanceTypes", ())),
        "capacity_type": item.get("capacityType"),
        "ami_type": item.get("amiType"),
        "disk_gib": item.get("diskSize"),
        "min_size": scaling["minSize"],
        "max_size": scaling["maxSize"],
        "desired_size": scaling["desiredSize"],
        "max_unavailable": item.get("updateConfig", {}).get("maxUnavailable"),
        "version": item["version"],
        "labels": dict(item.get("labels") or {}),
        "taints": [_taint_from_api(taint) for taint in item.get("taints") or ()],
        "tags": own_tags(tags),
    }
    return Live(
        id=arn,
        name=item["nodegroupName"],
        fields=fields,
        outputs={
            "arn": arn,
            "name": item["nodegroupName"],
            "autoscaling_group": groups[0]["name"] if groups else "",
        },
        refs=frozenset({cluster_arn, item["nodeRole"], *item["subnets"]}),
        readiness=readiness(item),
        moved_by={"desired_size": _AUTOSCALER},
        **marks_of(tags),
    )
