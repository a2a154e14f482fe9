"""EKS: updates of clusters, and the record of all updates."""

from __future__ import annotations

from typing import Any

from ..errors import AwsError
from ..hooks import operation
from ..paging import page
from ..world import Call, World
from . import eks_access
from .eks_clusters import VERSIONS, check_groups, check_subnets, check_version, logging_enabled, logging_from
from .eks_store import (
    Cluster,
    Described,
    bad,
    cluster_of,
    clusters_of,
    not_found,
    require_active,
    start_update,
)

_AUTHENTICATION_MODES = ("CONFIG_MAP", "API_AND_CONFIG_MAP", "API")


@operation("eks", "UpdateClusterConfig")
def update_cluster_config(world: World, call: Call) -> dict[str, Any]:
    """One kind of change a call: logging, network, access mode, support or protection."""
    cluster = cluster_of(world, call, "name")
    kinds = [key for key in _CHANGES if call.params.get(key) not in (None, {})]
    if len(kinds) != 1:
        raise bad("Only one type of update can be allowed." if kinds else "The update has nothing to change.")
    require_active(cluster, "update the cluster")
    kind, shown, after = _CHANGES[kinds[0]](call, cluster)
    if all(cluster.described.get(name) == value for name, value in after.items()):
        raise bad("The cluster is already at the desired configuration.")

    def apply() -> None:
        cluster.described.update(after)
        if kinds[0] == "accessConfig" and cluster.creator not in cluster.access:
            eks_access.admit_creator(call, cluster)

    return {"update": start_update(
        world, cluster, cluster.described, "cluster", kind, shown, "eks.cluster.updating", apply
    )}


Change = tuple[str, dict[str, Any], Described]  # the update's type, its parameters, members after it


def _change_logging(call: Call, cluster: Cluster) -> Change:
    wanted = call.params["logging"]
    after = logging_from(wanted, logging_enabled(cluster.described))
    return "LoggingUpdate", {"ClusterLogging": wanted}, {"logging": after}


def _change_network(call: Call, cluster: Cluster) -> Change:
    wanted = {k: v for k, v in call.params["resourcesVpcConfig"].items() if v not in (None, [])}
    after = {**cluster.described["resourcesVpcConfig"], **wanted}
    if not after["endpointPublicAccess"] and not after["endpointPrivateAccess"]:
        raise bad("Private and public endpoint access cannot be disabled at the same time.")
    if {"subnetIds", "securityGroupIds"} & set(wanted):
        for subnet in check_subnets(call, after["subnetIds"]):
            if subnet["VpcId"] != after["vpcId"]:
                raise bad("Provided subnets belong to another VPC than the cluster's.")
        check_groups(call, after["securityGroupIds"])
        return "VpcConfigUpdate", wanted, {"resourcesVpcConfig": after}
    names = {"endpointPublicAccess": "EndpointPublicAccess", "endpointPrivateAccess": "EndpointPrivateAccess",
             "publicAccessCidrs": "PublicAccessCidrs"}
    return "EndpointAccessUpdate", {names[k]: v for k, v in wanted.items()}, {"resourcesVpcConfig": after}


def _change_access(call: Call, cluster: Cluster) -> Change:
    mode = call.params["accessConfig"].get("authenticationMode")
    before = cluster.described["accessConfig"]
    if _AUTHENTICATION_MODES.index(mode) < _AUTHENTICATION_MODES.index(before["authenticationMode"]):
        raise bad(f"Unsupported authentication mode update from {before['authenticationMode']} to {mode}")
    return "AccessConfigUpdate", {"AuthenticationMode": mode}, {"accessConfig": {**before, "authenticationMode": mode}}


def _change_support(call: Call, cluster: Cluster) -> Change:
    policy = call.params["upgradePolicy"]
    return "UpgradePolicyUpdate", {"UpgradePolicy": policy}, {"upgradePolicy": policy}


def _change_protection(call: Call, cluster: Cluster) -> Change:
    on = call.params["deletionProtection"]
    return "DeletionProtectionUpdate", {"DeletionProtection": str(on).lower()}, {"deletionProtection": on}


_CHANGES = {
    "logging": _change_logging,
    "resourcesVpcConfig": _change_network,
    "accessConfig": _change_access,
    "upgradePolicy": _change_support,
    "deletionProtection": _change_protection,
}


@operation("eks", "UpdateClusterVersion")
def update_cluster_version(world: World, call: Call) -> dict[str, Any]:
    """One minor version up a time, never down."""
    cluster, version = cluster_of(world, call, "name"), call.params["version"]
    check_version(version)
    before = cluster.described["version"]
    if version == before:
        raise bad(f"Cluster is already at version: {version}")
    if VERSIONS.index(version) != VERSIONS.index(before) + 1:
        raise bad(f"Unsupported Kubernetes minor version update from {before} to {version}")
    require_active(cluster, "update the version")
    return {"update": start_update(
        world, cluster, cluster.described, "cluster", "VersionUpdate",
        {"Version": version, "PlatformVersion": "eks.1"}, "eks.cluster.updating",
        lambda: cluster.described.update(version=version),
    )}


def _target_of(call: Call) -> str:
    for key, kind in (("nodegroupName", "nodegroup"), ("addonName", "addon")):
        if call.params.get(key):
            return f"{kind}/{call.params[key]}"
    return "cluster"


@operation("eks", "DescribeUpdate")
def describe_update(world: World, call: Call) -> dict[str, Any]:
    what, update = cluster_of(world, call, "name").updates.get(call.params["updateId"], ("", {}))
    if not update or what != _target_of(call):
        raise not_found(f"No update found for ID: {call.params['updateId']}")
    return {"update": update}


@operation("eks", "ListUpdates")
def list_updates(world: World, call: Call) -> dict[str, Any]:
    target = _target_of(call)
    ids = [number for number, (what, _) in cluster_of(world, call, "name").updates.items() if what == target]
    chosen, token = page(
        ids, str, int(call.params.get("maxResults") or 100), call.params.get("nextToken"),
        "InvalidParameterException",
    )
    return {"updateIds": chosen, **({"nextToken": token} if token else {})}


def _tagged(world: World, call: Call) -> dict[str, str]:
    """The tags of the EKS resource that resourceArn names."""
    wanted = call.params["resourceArn"]
    parts = wanted.split(":", 5)[-1].split("/")
    cluster = clusters_of(world, call).get(parts[1]) if len(parts) > 1 else None
    if cluster is not None:
        owned = [cluster.described, *cluster.nodegroups.values(), *cluster.addons.values(), *cluster.access.values()]
        for thing in owned:
            if wanted in (thing.get(k) for k in ("arn", "nodegroupArn", "addonArn", "accessEntryArn")):
                tags: dict[str, str] = thing.setdefault("tags", {})
                return tags
    raise AwsError("NotFoundException", f"No resource found for ARN: {wanted}", 404)


@operation("eks", "TagResource")
def tag_resource(world: World, call: Call) -> dict[str, Any]:
    tags = _tagged(world, call)
    if len(tags | call.params["tags"]) > 50:
        raise AwsError("BadRequestException", "A resource has at most 50 tags.", 400)
    tags.update(call.params["tags"])
    return {}


@operation("eks", "UntagResource")
def untag_resource(world: World, call: Call) -> dict[str, Any]:
    tags = _tagged(world, call)
    for key in call.params["tagKeys"]:
        tags.pop(key, None)
    return {}


@operation("eks", "ListTagsForResource")
def list_tags_for_resource(world: World, call: Call) -> dict[str, Any]:
    return {"tags": dict(_tagged(world, call))}
