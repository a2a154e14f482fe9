"""EKS clusters: create, describe, list, delete."""

from __future__ import annotations

import base64
import secrets
from typing import Any

from ..bridge import ask
from ..errors import AwsError
from ..hooks import operation
from ..paging import page
from ..quirks.iam_propagation import find_role, trusts_service
from ..world import Call, World
from . import eks_access
from .eks_store import (
    Cluster,
    Described,
    arn,
    bad,
    cluster_of,
    clusters_of,
    drop_interfaces,
    in_use,
    make_interfaces,
    now,
    repeated,
)

VERSIONS = ("1.30", "1.31", "1.32", "1.33", "1.34", "1.35", "1.36")
DEFAULT_VERSION = "1.34"
LOG_TYPES = ("api", "audit", "authenticator", "controllerManager", "scheduler")
# Kept and shown as given; nothing in the sandbox depends on them.
_PASSED_ON = ("computeConfig", "storageConfig", "zonalShiftConfig", "remoteNetworkConfig", "controlPlaneScalingConfig")
_KUBERNETES_SERVICE_CIDR = "10.100.0.0/16"


@operation("eks", "CreateCluster")
def create_cluster(world: World, call: Call) -> dict[str, Any]:
    params, clusters = call.params, clusters_of(world, call)
    name = params["name"]
    if repeated(world, call, name in clusters, name):
        return {"cluster": clusters[name].described}
    if name in clusters:
        raise in_use(f"Cluster already exists with name: {name}")
    network = params["resourcesVpcConfig"]
    subnets = check_subnets(call, network.get("subnetIds", []))
    groups = check_groups(call, network.get("securityGroupIds", []))
    check_version(params.get("version", DEFAULT_VERSION))
    check_role(world, params["roleArn"], "eks.amazonaws.com")
    cluster = Cluster(_described(call, subnets[0]["VpcId"]), eks_access.principal_of(call.principal.arn))
    clusters[name] = cluster
    eks_access.admit_creator(call, cluster)
    shown = {**cluster.described, "resourcesVpcConfig": dict(cluster.described["resourcesVpcConfig"])}
    own_group = _own_security_group(call, name, subnets[0]["VpcId"])
    cluster.interfaces = make_interfaces(call, network["subnetIds"], [own_group, *groups], f"Amazon EKS {name}")

    def become_active() -> None:
        cluster.described["resourcesVpcConfig"]["clusterSecurityGroupId"] = own_group
        cluster.described.update(_connection(world, call, name))
        cluster.described["status"] = "ACTIVE"

    world.clock.after("eks.cluster.creating", become_active)
    return {"cluster": shown}


def check_version(version: str) -> None:
    if version not in VERSIONS:
        raise bad(f"unsupported Kubernetes version {version}")


def check_role(world: World, role_arn: str, service: str) -> None:
    """Raises unless the role is known to EKS and trusts `service`."""
    role = find_role(world, role_arn)
    if role is None:
        raise bad(f"Role provided in the request does not exist. Role ARN: {role_arn}")
    if not trusts_service(role, service):
        raise bad(
            f"Role with arn: {role_arn}, could not be assumed because it does not exist or the trusted entity "
            "is not correct"
        )


def check_subnets(call: Call, wanted: list[str], zones: int = 2) -> list[dict[str, Any]]:
    """The subnets, all there and in at least `zones` zones of one VPC; else InvalidParameterException."""
    try:
        subnets: list[dict[str, Any]] = ask(call, "ec2", "DescribeSubnets", SubnetIds=wanted)["Subnets"]
    except AwsError as error:
        raise bad(f"{error.message}") from error
    if not wanted or len({s["AvailabilityZone"] for s in subnets}) < zones:
        raise bad("Subnets specified must be in at least two different AZs")
    if len({s["VpcId"] for s in subnets}) > 1:
        raise bad("Subnets specified must belong to the same VPC")
    return subnets


def check_groups(call: Call, wanted: list[str]) -> list[str]:
    try:
        if wanted:
            ask(call, "ec2", "DescribeSecurityGroups", GroupIds=wanted)
    except AwsError as error:
        raise bad(error.message) from error
    return wanted


def _described(call: Call, vpc: str) -> Described:
    params = call.params
    network = params["resourcesVpcConfig"]
    addresses = params.get("kubernetesNetworkConfig", {})
    access = params.get("accessConfig", {})
    return {
        "name": params["name"],
        "arn": arn(call, f"cluster/{params['name']}"),
        "createdAt": now(),
        "version": params.get("version", DEFAULT_VERSION),
        "platformVersion": "eks.1",
        "roleArn": params["roleArn"],
        "status": "CREATING",
        "resourcesVpcConfig": {
            "subnetIds": list(network.get("subnetIds", [])),
            "securityGroupIds": list(network.get("securityGroupIds", [])),
            "vpcId": vpc,
            "endpointPublicAccess": network.get("endpointPublicAccess", True),
            "endpointPrivateAccess": network.get("endpointPrivateAccess", False),
            "publicAccessCidrs": list(network.get("publicAccessCidrs") or ["0.0.0.0/0"]),
        },
        "kubernetesNetworkConfig": {
            "serviceIpv4Cidr": addresses.get("serviceIpv4Cidr", _KUBERNETES_SERVICE_CIDR),
            "ipFamily": addresses.get("ipFamily", "ipv4"),
            "elasticLoadBalancing": addresses.get("elasticLoadBalancing", {"enabled": False}),
        },
        "logging": logging_from(params.get("logging", {}), frozenset()),
        "certificateAuthority": {},
        "accessConfig": {
            "bootstrapClusterCreatorAdminPermissions": access.get("bootstrapClusterCreatorAdminPermissions", True),
            "authenticationMode": access.get("authenticationMode", "CONFIG_MAP"),
        },
        "upgradePolicy": params.get("upgradePolicy", {"supportType": "EXTENDED"}),
        "deletionProtection": params.get("deletionProtection", False),
        "encryptionConfig": params.get("encryptionConfig", []),
        "health": {"issues": []},
        "tags": dict(params.get("tags", {})),
        **{member: params[member] for member in _PASSED_ON if params.get(member) is not None},
        **({"clientRequestToken": params["clientRequestToken"]} if params.get("clientRequestToken") else {}),
    }


def logging_from(wanted: dict[str, Any], enabled: frozenset[str]) -> Described:
    """The logging member after `wanted` was applied to the types now `enabled`: types on first, then those off."""
    for setup in wanted.get("clusterLogging", []):
        types = frozenset(setup.get("types", []))
        enabled = enabled | types if setup.get("enabled") else enabled - types
    parts = [([t for t in LOG_TYPES if t in enabled], True), ([t for t in LOG_TYPES if t not in enabled], False)]
    return {"clusterLogging": [{"types": types, "enabled": on} for types, on in parts if types]}


def logging_enabled(described: Described) -> frozenset[str]:
    return frozenset(t for part in described["logging"]["clusterLogging"] if part["enabled"] for t in part["types"])


def _own_security_group(call: Call, name: str, vpc: str) -> str:
    group = ask(
        call, "ec2", "CreateSecurityGroup", VpcId=vpc, GroupName=f"eks-cluster-sg-{name}-{secrets.randbelow(10**9)}",
        Description="EKS created security group applied to ENI that is attached to EKS Control Plane master nodes, "
        "as well as any managed workloads.",
        TagSpecifications=[{
            "ResourceType": "security-group",
            "Tags": [
                {"Key": f"kubernetes.io/cluster/{name}", "Value": "owned"},
                {"Key": "aws:eks:cluster-name", "Value": name},
            ],
        }],
    )
    return str(group["GroupId"])


def _connection(world: World, call: Call, name: str) -> Described:
    """How an ACTIVE cluster is reached: the real API server, where the sandbox has one."""
    settings, issuer = world.settings, secrets.token_hex(16).upper()
    endpoint = settings.kubernetes_endpoint or f"https://{issuer}.gr7.{call.region}.eks.amazonaws.com"
    authority = settings.kubernetes_ca.read_bytes() if settings.kubernetes_ca else f"no cluster behind {name}".encode()
    return {
        "endpoint": endpoint,
        "certificateAuthority": {"data": base64.b64encode(authority).decode()},
        "identity": {"oidc": {"issuer": f"https://oidc.eks.{call.region}.amazonaws.com/id/{issuer}"}},
    }


@operation("eks", "DescribeCluster")
def describe_cluster(world: World, call: Call) -> dict[str, Any]:
    return {"cluster": cluster_of(world, call, "name").described}


@operation("eks", "ListClusters")
def list_clusters(world: World, call: Call) -> dict[str, Any]:
    limit = int(call.params.get("maxResults") or 100)
    names, token = page(
        list(clusters_of(world, call)), str, limit, call.params.get("nextToken"), "InvalidParameterException"
    )
    return {"clusters": names, **({"nextToken": token} if token else {})}


@operation("eks", "DescribeClusterVersions")
def describe_cluster_versions(world: World, call: Call) -> dict[str, Any]:
    wanted = call.params.get("clusterVersions") or VERSIONS
    return {
        "clusterVersions": [
            {"clusterVersion": v, "clusterType": "eks", "defaultVersion": v == DEFAULT_VERSION,
             "status": "standard-support", "versionStatus": "STANDARD_SUPPORT"}
            for v in reversed(VERSIONS) if v in wanted
        ]
    }


@operation("eks", "DeleteCluster")
def delete_cluster(world: World, call: Call) -> dict[str, Any]:
    cluster = cluster_of(world, call, "name")
    name = call.params["name"]
    if cluster.nodegroups:
        raise in_use("Cluster has nodegroups attached")
    if cluster.described["deletionProtection"]:
        raise AwsError("InvalidRequestException", f"Cluster {name} has deletion protection enabled.", 400)
    if cluster.described["status"] != "ACTIVE":
        raise in_use(f"Cannot delete because cluster {name} currently is {cluster.described['status']}")
    cluster.described["status"] = "DELETING"
    clusters, place = clusters_of(world, call), call.place
    group = cluster.described["resourcesVpcConfig"].get("clusterSecurityGroupId")

    def vanish() -> None:
        clusters.pop(name, None)
        drop_interfaces(world, place, cluster.interfaces)
        if group:
            later = world.clock.duration("eks.interfaces.lingering") + 0.01
            world.clock.after(later, lambda: _drop_group(place, group))

    world.clock.after("eks.cluster.deleting", vanish)
    return {"cluster": dict(cluster.described)}


def _drop_group(place: tuple[str, str], group: str) -> None:
    try:
        ask(place, "ec2", "DeleteSecurityGroup", GroupId=group)
    except AwsError as error:
        # Somebody uses or deleted it meanwhile; EKS leaves the group behind too.
        if error.code not in ("DependencyViolation", "InvalidGroup.NotFound"):
            raise
