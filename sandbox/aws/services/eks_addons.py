"""EKS add-ons: states and versions; nothing is installed by them."""

from __future__ import annotations

import uuid
from typing import Any

from ..hooks import operation
from ..paging import page
from ..world import Call, World
from .eks_store import (
    Cluster,
    Described,
    arn,
    bad,
    cluster_of,
    in_use,
    not_found,
    now,
    repeated,
    require_active,
    start_update,
)

# Newest first. The real lists are longer and differ by cluster version.
ADDON_VERSIONS = {
    "vpc-cni": ("v1.20.4-eksbuild.2", "v1.20.3-eksbuild.1", "v1.19.6-eksbuild.7"),
    "coredns": ("v1.12.4-eksbuild.1", "v1.12.3-eksbuild.1", "v1.11.4-eksbuild.24"),
    "kube-proxy": ("v1.34.1-eksbuild.2", "v1.34.0-eksbuild.4", "v1.33.3-eksbuild.10"),
    "eks-pod-identity-agent": ("v1.3.9-eksbuild.3", "v1.3.8-eksbuild.2"),
    "aws-ebs-csi-driver": ("v1.50.1-eksbuild.1", "v1.49.0-eksbuild.1"),
    "metrics-server": ("v0.8.0-eksbuild.2", "v0.7.2-eksbuild.4"),
}


def _addon_of(world: World, call: Call) -> tuple[Cluster, Described]:
    cluster = cluster_of(world, call)
    name = call.params["addonName"]
    if name not in cluster.addons:
        raise not_found(f"No addon: {name} found in cluster: {call.params['clusterName']}")
    return cluster, cluster.addons[name]


def _checked_version(name: str, version: str | None) -> str:
    if name not in ADDON_VERSIONS:
        raise bad(f"Addon {name} specified is not supported")
    if version and version not in ADDON_VERSIONS[name]:
        raise bad("Addon version specified is not supported")
    return version or ADDON_VERSIONS[name][0]


@operation("eks", "CreateAddon")
def create_addon(world: World, call: Call) -> dict[str, Any]:
    params, cluster = call.params, cluster_of(world, call)
    name = params["addonName"]
    if repeated(world, call, name in cluster.addons, name):
        return {"addon": cluster.addons[name]}
    if name in cluster.addons:
        raise in_use("Addon already exists.")
    require_active(cluster, "create an add-on")
    addon: Described = {
        "addonName": name, "clusterName": params["clusterName"], "status": "CREATING",
        "addonVersion": _checked_version(name, params.get("addonVersion")),
        "health": {"issues": []}, "createdAt": now(), "modifiedAt": now(), "tags": dict(params.get("tags", {})),
        "addonArn": arn(call, f"addon/{params['clusterName']}/{name}/{uuid.uuid4()}"),
        **{k: params[k] for k in ("serviceAccountRoleArn", "configurationValues") if params.get(k)},
    }
    cluster.addons[name] = addon
    world.clock.after("eks.addon.creating", lambda: addon.update(status="ACTIVE"))
    return {"addon": dict(addon)}


@operation("eks", "DescribeAddon")
def describe_addon(world: World, call: Call) -> dict[str, Any]:
    return {"addon": _addon_of(world, call)[1]}


@operation("eks", "ListAddons")
def list_addons(world: World, call: Call) -> dict[str, Any]:
    chosen, token = page(
        list(cluster_of(world, call).addons), str, int(call.params.get("maxResults") or 100),
        call.params.get("nextToken"), "InvalidParameterException",
    )
    return {"addons": chosen, **({"nextToken": token} if token else {})}


@operation("eks", "UpdateAddon")
def update_addon(world: World, call: Call) -> dict[str, Any]:
    cluster, addon = _addon_of(world, call)
    if addon["status"] not in ("ACTIVE", "DEGRADED", "UPDATE_FAILED"):
        raise in_use(f"Addon {addon['addonName']} cannot be updated as it is currently {addon['status']}")
    name, version = addon["addonName"], call.params.get("addonVersion") or addon["addonVersion"]
    after: Described = {"addonVersion": _checked_version(name, version)}
    after |= {k: call.params[k] for k in ("serviceAccountRoleArn", "configurationValues") if k in call.params}
    return {"update": start_update(
        world, cluster, addon, f"addon/{addon['addonName']}", "AddonUpdate",
        {key[0].upper() + key[1:]: value for key, value in after.items()}, "eks.addon.updating",
        lambda: addon.update(after, modifiedAt=now()),
    )}


@operation("eks", "DeleteAddon")
def delete_addon(world: World, call: Call) -> dict[str, Any]:
    cluster, addon = _addon_of(world, call)
    if addon["status"] in ("CREATING", "UPDATING", "DELETING"):
        raise in_use(f"Addon {addon['addonName']} cannot be deleted as it is currently {addon['status']}")
    addon["status"] = "DELETING"

    def vanish() -> None:
        cluster.addons.pop(addon["addonName"], None)

    world.clock.after("eks.addon.deleting", vanish)
    return {"addon": dict(addon)}


@operation("eks", "DescribeAddonVersions")
def describe_addon_versions(world: World, call: Call) -> dict[str, Any]:
    wanted = call.params.get("addonName")
    compatibility = [{"clusterVersion": call.params.get("kubernetesVersion") or "1.34", "platformVersions": ["*"]}]
    return {"addons": [
        {"addonName": name, "type": "networking", "owner": "aws", "publisher": "eks", "addonVersions": [
            {"addonVersion": version, "architecture": ["amd64", "arm64"], "requiresConfiguration": False,
             "compatibilities": [{**compatibility[0], "defaultVersion": version == versions[0]}]}
            for version in versions
        ]}
        for name, versions in ADDON_VERSIONS.items() if wanted in (None, "", name)
    ]}
