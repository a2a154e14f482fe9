"""EKS access entries, and who a principal is inside a cluster."""

from __future__ import annotations

import re
import uuid
from typing import Any

from ..errors import AwsError
from ..hooks import operation
from ..paging import page
from ..world import Call, World
from .eks_store import Cluster, Described, EksStore, arn, bad, cluster_of, in_use, not_found, now, repeated

_POLICY_ARN = "arn:aws:eks::aws:cluster-access-policy/"
POLICIES = (
    "AmazonEKSAdminPolicy", "AmazonEKSAdminViewPolicy", "AmazonEKSClusterAdminPolicy", "AmazonEKSEditPolicy",
    "AmazonEKSViewPolicy",
)
# The real service authorises access policies itself; a plain API server has only groups, so of the policies
# just the two full ones, for the whole cluster, can be shown there.
_ADMIN_POLICIES = frozenset({f"{_POLICY_ARN}AmazonEKSClusterAdminPolicy", f"{_POLICY_ARN}AmazonEKSAdminPolicy"})
_ASSUMED = re.compile(r"arn:aws:sts::(\d{12}):assumed-role/([^/]+)/(.+)")


def principal_of(caller_arn: str) -> str:
    """The IAM principal behind a caller: of an assumed role session, its role."""
    match = _ASSUMED.fullmatch(caller_arn)
    return f"arn:aws:iam::{match[1]}:role/{match[2]}" if match else caller_arn


def admit_creator(call: Call, cluster: Cluster) -> None:
    """The access entry that EKS makes for the creator of a cluster that uses access entries."""
    config = cluster.described["accessConfig"]
    if config["bootstrapClusterCreatorAdminPermissions"] and config["authenticationMode"] != "CONFIG_MAP":
        add_entry(call, cluster, cluster.creator, "STANDARD", [], None, {})
        policy = f"{_POLICY_ARN}AmazonEKSClusterAdminPolicy"
        cluster.policies[cluster.creator] = {policy: _association(policy, {"type": "cluster", "namespaces": []})}


def add_entry(
    call: Call, cluster: Cluster, principal: str, kind: str, groups: list[str], username: str | None,
    tags: dict[str, str],
) -> Described:
    """Puts an access entry into the cluster; it."""
    account, name = principal.split(":")[4], principal.rpartition("/")[2]
    what = "role" if ":role/" in principal else "user"
    entry: Described = {
        "clusterName": cluster.described["name"],
        "principalArn": principal,
        "kubernetesGroups": groups if kind == "STANDARD" else ["system:nodes"],
        "accessEntryArn": arn(
            call, f"access-entry/{cluster.described['name']}/{what}/{account}/{name}/{uuid.uuid4()}"
        ),
        "createdAt": now(),
        "modifiedAt": now(),
        "tags": tags,
        "username": username or _default_username(principal, kind),
        "type": kind,
    }
    cluster.access[principal] = entry
    cluster.policies.setdefault(principal, {})
    return entry


def _default_username(principal: str, kind: str) -> str:
    if kind != "STANDARD":
        return "system:node:{{EC2PrivateDNSName}}"
    if ":role/" not in principal:
        return principal
    account, name = principal.split(":")[4], principal.rpartition("/")[2]
    return f"arn:aws:sts::{account}:assumed-role/{name}/{{{{SessionName}}}}"


def _entries_of(world: World, call: Call) -> Cluster:
    cluster = cluster_of(world, call)
    if cluster.described["accessConfig"]["authenticationMode"] == "CONFIG_MAP":
        raise AwsError(
            "InvalidRequestException", "The cluster's authentication mode must be set to one of [API, "
            "API_AND_CONFIG_MAP] to perform this operation.", 400,
        )
    return cluster


def _entry_of(cluster: Cluster, call: Call) -> Described:
    entry = cluster.access.get(call.params["principalArn"])
    if entry is None:
        raise not_found(f"The specified principalArn could not be found: {call.params['principalArn']}")
    return entry


def _check_groups(groups: list[str]) -> None:
    for group in groups:
        if group.startswith("system:"):
            raise bad(f"The kubernetes group name {group} is invalid, it cannot start with system:")


@operation("eks", "CreateAccessEntry")
def create_access_entry(world: World, call: Call) -> dict[str, Any]:
    params, cluster = call.params, _entries_of(world, call)
    principal = params["principalArn"]
    if repeated(world, call, principal in cluster.access, principal):
        return {"accessEntry": cluster.access[principal]}
    if principal in cluster.access:
        raise in_use("The specified access entry resource is already in use on this cluster.")
    if not re.fullmatch(r"arn:aws:iam::\d{12}:(user|role)/.+", principal):
        raise bad(f"The principalArn is not valid: {principal}")
    _check_groups(params.get("kubernetesGroups", []))
    entry = add_entry(
        call, cluster, principal, params.get("type") or "STANDARD", list(params.get("kubernetesGroups", [])),
        params.get("username"), dict(params.get("tags", {})),
    )
    return {"accessEntry": entry}


@operation("eks", "DescribeAccessEntry")
def describe_access_entry(world: World, call: Call) -> dict[str, Any]:
    return {"accessEntry": _entry_of(_entries_of(world, call), call)}


@operation("eks", "ListAccessEntries")
def list_access_entries(world: World, call: Call) -> dict[str, Any]:
    cluster, policy = _entries_of(world, call), call.params.get("associatedPolicyArn")
    names = [p for p in cluster.access if not policy or policy in cluster.policies.get(p, {})]
    chosen, token = page(
        names, str, int(call.params.get("maxResults") or 100), call.params.get("nextToken"),
        "InvalidParameterException",
    )
    return {"accessEntries": chosen, **({"nextToken": token} if token else {})}


@operation("eks", "UpdateAccessEntry")
def update_access_entry(world: World, call: Call) -> dict[str, Any]:
    entry = _entry_of(_entries_of(world, call), call)
    if "kubernetesGroups" in call.params:
        _check_groups(call.params["kubernetesGroups"])
        entry["kubernetesGroups"] = list(call.params["kubernetesGroups"])
    if call.params.get("username"):
        entry["username"] = call.params["username"]
    entry["modifiedAt"] = now()
    return {"accessEntry": entry}


@operation("eks", "DeleteAccessEntry")
def delete_access_entry(world: World, call: Call) -> dict[str, Any]:
    cluster = _entries_of(world, call)
    _entry_of(cluster, call)
    cluster.access.pop(call.params["principalArn"])
    cluster.policies.pop(call.params["principalArn"], None)
    return {}


@operation("eks", "ListAccessPolicies")
def list_access_policies(world: World, call: Call) -> dict[str, Any]:
    return {"accessPolicies": [{"name": name, "arn": _POLICY_ARN + name} for name in POLICIES]}


def _association(policy: str, scope: dict[str, Any]) -> Described:
    return {"policyArn": policy, "accessScope": scope, "associatedAt": now(), "modifiedAt": now()}


@operation("eks", "AssociateAccessPolicy")
def associate_access_policy(world: World, call: Call) -> dict[str, Any]:
    cluster, policy = _entries_of(world, call), call.params["policyArn"]
    entry = _entry_of(cluster, call)
    if policy.removeprefix(_POLICY_ARN) not in POLICIES:
        raise bad(f"The policyArn parameter format is not valid: {policy}")
    if entry["type"] != "STANDARD":
        raise AwsError("InvalidRequestException", "Access policies are only for entries of type STANDARD.", 400)
    scope = {"type": call.params["accessScope"].get("type", "cluster"),
             "namespaces": list(call.params["accessScope"].get("namespaces", []))}
    made = cluster.policies[entry["principalArn"]][policy] = _association(policy, scope)
    return {"clusterName": call.params["clusterName"], "principalArn": entry["principalArn"],
            "associatedAccessPolicy": made}


@operation("eks", "DisassociateAccessPolicy")
def disassociate_access_policy(world: World, call: Call) -> dict[str, Any]:
    cluster = _entries_of(world, call)
    entry = _entry_of(cluster, call)
    if cluster.policies[entry["principalArn"]].pop(call.params["policyArn"], None) is None:
        raise not_found("The specified access policy association could not be found.")
    return {}


@operation("eks", "ListAssociatedAccessPolicies")
def list_associated_access_policies(world: World, call: Call) -> dict[str, Any]:
    cluster = _entries_of(world, call)
    entry = _entry_of(cluster, call)
    return {"clusterName": call.params["clusterName"], "principalArn": entry["principalArn"],
            "associatedAccessPolicies": list(cluster.policies[entry["principalArn"]].values())}


def identity_in(world: World, name: str, caller_arn: str) -> dict[str, Any] | None:
    """Who `caller_arn` is in the cluster `name` of its own account: {"username", "groups"}; None if nobody.

    The creator is in system:masters, with an entry or (authentication mode CONFIG_MAP) without.
    """
    account, principal = caller_arn.split(":")[4], principal_of(caller_arn)
    for (owner, _), clusters in world.store(EksStore).places.items():
        cluster = clusters.get(name)
        if owner == account and cluster is not None:
            return _identity(cluster, principal, caller_arn)
    return None


def _identity(cluster: Cluster, principal: str, caller_arn: str) -> dict[str, Any] | None:
    config, entry = cluster.described["accessConfig"], cluster.access.get(principal)
    if config["authenticationMode"] == "CONFIG_MAP":
        is_admin = principal == cluster.creator and config["bootstrapClusterCreatorAdminPermissions"]
        return {"username": "kubernetes-admin", "groups": ["system:masters"]} if is_admin else None
    if entry is None:
        return None
    admin = any(
        policy in _ADMIN_POLICIES and made["accessScope"]["type"] == "cluster"
        for policy, made in cluster.policies.get(principal, {}).items()
    )
    match = _ASSUMED.fullmatch(caller_arn)
    session = match[3] if match else ""
    username = entry["username"].replace("{{SessionNameRaw}}", session)
    username = username.replace("{{SessionName}}", session.replace("@", "-"))
    return {"username": username, "groups": [*entry["kubernetesGroups"], *(["system:masters"] if admin else [])]}
