"""EKS node groups. They have states and interfaces, but no nodes: the sandbox's cluster brings its own."""

from __future__ import annotations

import uuid
from typing import Any

from ..errors import AwsError
from ..hooks import operation
from ..paging import page
from ..world import Call, World
from . import eks_access
from .eks_clusters import VERSIONS, check_role, check_subnets
from .eks_store import (
    Cluster,
    Described,
    arn,
    bad,
    cluster_of,
    drop_interfaces,
    in_use,
    make_interfaces,
    not_found,
    now,
    repeated,
    require_active,
    start_update,
)

_DEFAULT_SCALING = {"minSize": 1, "maxSize": 2, "desiredSize": 2}


def _nodegroup_of(world: World, call: Call) -> tuple[Cluster, Described]:
    cluster = cluster_of(world, call)
    name = call.params["nodegroupName"]
    if name not in cluster.nodegroups:
        raise not_found(f"No node group found for name: {name}.")
    return cluster, cluster.nodegroups[name]


def check_scaling(scaling: dict[str, int]) -> None:
    """Raises unless 0 <= min <= desired <= max and max >= 1."""
    low, wanted, high = scaling["minSize"], scaling["desiredSize"], scaling["maxSize"]
    if low > wanted:
        raise bad(f"desired capacity {wanted} can't be less than min size {low}")
    if wanted > high:
        raise bad(f"desired capacity {wanted} can't be greater than max size {high}")
    if high < 1 or low < 0:
        raise bad("max size must be at least 1 and min size at least 0")


@operation("eks", "CreateNodegroup")
def create_nodegroup(world: World, call: Call) -> dict[str, Any]:
    params, cluster = call.params, cluster_of(world, call)
    name = params["nodegroupName"]
    if repeated(world, call, name in cluster.nodegroups, name):
        return {"nodegroup": _shown(cluster.nodegroups[name])}
    if name in cluster.nodegroups:
        raise in_use(f"NodeGroup already exists with name {name} and cluster name {params['clusterName']}")
    require_active(cluster, "create a node group")
    subnets = check_subnets(call, params["subnets"], zones=1)
    if subnets[0]["VpcId"] != cluster.described["resourcesVpcConfig"]["vpcId"]:
        raise bad("Subnets are not part of the cluster's VPC")
    check_role(world, params["nodeRole"], "ec2.amazonaws.com")
    nodegroup = _described(call, cluster)
    check_scaling(nodegroup["scalingConfig"])
    cluster.nodegroups[name] = nodegroup
    _admit_nodes(call, cluster, params["nodeRole"])
    own_group = cluster.described["resourcesVpcConfig"]["clusterSecurityGroupId"]
    interfaces = make_interfaces(call, params["subnets"], [own_group], f"aws-K8S-{name}")
    nodegroup["_interfaces"] = interfaces

    def become_active() -> None:
        nodegroup["status"] = "ACTIVE"
        nodegroup["resources"] = {"autoScalingGroups": [{"name": f"eks-{name}-{uuid.uuid4()}"}]}

    world.clock.after("eks.nodegroup.creating", become_active)
    return {"nodegroup": _shown(nodegroup)}


def _shown(nodegroup: Described) -> Described:
    return {name: value for name, value in nodegroup.items() if not name.startswith("_")}


def _described(call: Call, cluster: Cluster) -> Described:
    params = call.params
    cluster_name, name = params["clusterName"], params["nodegroupName"]
    version = params.get("version") or cluster.described["version"]
    optional = ("remoteAccess", "launchTemplate", "nodeRepairConfig")
    return {
        "nodegroupName": name,
        "nodegroupArn": arn(call, f"nodegroup/{cluster_name}/{name}/{uuid.uuid4()}"),
        "clusterName": cluster_name,
        "version": version,
        "releaseVersion": params.get("releaseVersion") or f"{version}.0-20261101",
        "createdAt": now(),
        "modifiedAt": now(),
        "status": "CREATING",
        "capacityType": params.get("capacityType") or "ON_DEMAND",
        "scalingConfig": {**_DEFAULT_SCALING, **params.get("scalingConfig", {})},
        "instanceTypes": list(params.get("instanceTypes") or ["t3.medium"]),
        "subnets": list(params["subnets"]),
        "amiType": params.get("amiType") or "AL2023_x86_64_STANDARD",
        "nodeRole": params["nodeRole"],
        "labels": dict(params.get("labels", {})),
        "taints": list(params.get("taints", [])),
        "diskSize": params.get("diskSize") or 20,
        "health": {"issues": []},
        "updateConfig": params.get("updateConfig") or {"maxUnavailable": 1},
        "tags": dict(params.get("tags", {})),
        **{key: params[key] for key in optional if params.get(key)},
    }


def _admit_nodes(call: Call, cluster: Cluster, role: str) -> None:
    uses_entries = cluster.described["accessConfig"]["authenticationMode"] != "CONFIG_MAP"
    if uses_entries and role not in cluster.access:
        eks_access.add_entry(call, cluster, role, "EC2_LINUX", [], None, {})


@operation("eks", "DescribeNodegroup")
def describe_nodegroup(world: World, call: Call) -> dict[str, Any]:
    return {"nodegroup": _shown(_nodegroup_of(world, call)[1])}


@operation("eks", "ListNodegroups")
def list_nodegroups(world: World, call: Call) -> dict[str, Any]:
    chosen, token = page(
        list(cluster_of(world, call).nodegroups), str, int(call.params.get("maxResults") or 100),
        call.params.get("nextToken"), "InvalidParameterException",
    )
    return {"nodegroups": chosen, **({"nextToken": token} if token else {})}


def _require_steady(nodegroup: Described) -> None:
    if nodegroup["status"] != "ACTIVE":
        raise in_use(f"Nodegroup cannot be updated as it is currently not in Active State, but {nodegroup['status']}")


@operation("eks", "UpdateNodegroupConfig")
def update_nodegroup_config(world: World, call: Call) -> dict[str, Any]:
    cluster, nodegroup = _nodegroup_of(world, call)
    _require_steady(nodegroup)
    params, after = call.params, dict[str, Any]()
    if params.get("scalingConfig"):
        after["scalingConfig"] = {**nodegroup["scalingConfig"], **params["scalingConfig"]}
        check_scaling(after["scalingConfig"])
    if params.get("labels"):
        after["labels"] = changed_labels(nodegroup["labels"], params["labels"])
    if params.get("taints"):
        after["taints"] = changed_taints(nodegroup["taints"], params["taints"])
    for key in ("updateConfig", "nodeRepairConfig"):
        if params.get(key):
            after[key] = params[key]
    shown = {key: params[key] for key in after}
    return {"update": start_update(
        world, cluster, nodegroup, f"nodegroup/{nodegroup['nodegroupName']}", "ConfigUpdate",
        {key[0].upper() + key[1:]: value for key, value in shown.items()}, "eks.nodegroup.updating",
        lambda: nodegroup.update(after, modifiedAt=now()),
    )}


def changed_labels(labels: dict[str, str], change: dict[str, Any]) -> dict[str, str]:
    """`labels` after {"addOrUpdateLabels": {...}, "removeLabels": [...]}."""
    kept = {key: value for key, value in labels.items() if key not in change.get("removeLabels", [])}
    return kept | change.get("addOrUpdateLabels", {})


def changed_taints(taints: list[dict[str, str]], change: dict[str, Any]) -> list[dict[str, str]]:
    """`taints` after {"addOrUpdateTaints": [...], "removeTaints": [...]}; key and effect make a taint's identity."""
    def identity(taint: dict[str, str]) -> tuple[str, str]:
        return taint["key"], taint["effect"]

    added = change.get("addOrUpdateTaints", [])
    gone = {identity(taint) for taint in [*added, *change.get("removeTaints", [])]}
    return [taint for taint in taints if identity(taint) not in gone] + list(added)


@operation("eks", "UpdateNodegroupVersion")
def update_nodegroup_version(world: World, call: Call) -> dict[str, Any]:
    """To the cluster's version, or one named that is not newer."""
    cluster, nodegroup = _nodegroup_of(world, call)
    _require_steady(nodegroup)
    limit = cluster.described["version"]
    version = call.params.get("version") or limit
    if version not in VERSIONS or VERSIONS.index(version) > VERSIONS.index(limit):
        raise bad(f"Nodegroup Kubernetes version {version} cannot be newer than the cluster's {limit}")
    if VERSIONS.index(version) < VERSIONS.index(nodegroup["version"]):
        raise bad(f"Nodegroup version downgrade from {nodegroup['version']} to {version} is not allowed")
    release = call.params.get("releaseVersion") or f"{version}.0-20261101"
    after: dict[str, Any] = {"version": version, "releaseVersion": release}
    if call.params.get("launchTemplate"):
        after["launchTemplate"] = call.params["launchTemplate"]
    return {"update": start_update(
        world, cluster, nodegroup, f"nodegroup/{nodegroup['nodegroupName']}", "VersionUpdate",
        {"Version": version, "ReleaseVersion": release}, "eks.nodegroup.updating",
        lambda: nodegroup.update(after, modifiedAt=now()),
    )}


@operation("eks", "DeleteNodegroup")
def delete_nodegroup(world: World, call: Call) -> dict[str, Any]:
    cluster, nodegroup = _nodegroup_of(world, call)
    if nodegroup["status"] in ("CREATING", "UPDATING"):
        raise in_use(f"Nodegroup cannot be deleted as it is currently {nodegroup['status']}")
    if nodegroup["status"] == "DELETING":
        raise AwsError("InvalidRequestException", "Nodegroup is already being deleted.", 400)
    nodegroup["status"] = "DELETING"
    place, name = call.place, nodegroup["nodegroupName"]

    def vanish() -> None:
        cluster.nodegroups.pop(name, None)
        drop_interfaces(world, place, nodegroup["_interfaces"])

    world.clock.after("eks.nodegroup.deleting", vanish)
    return {"nodegroup": _shown(nodegroup)}
