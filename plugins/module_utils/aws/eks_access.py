"""Access entries of a cluster: who may do what in it. Ours carry the stack's tag; others' are kept and listed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypedDict

from ..engine.errors import Category
from ..engine.values import Reference
from .api import Api
from .eks import RULES
from .marks import STACK

_POLICY = "arn:aws:eks::aws:cluster-access-policy/"
CREATOR = "capstan:creator"  # tag of a cluster: the principal that made it, which its API does not tell
_SESSION = re.compile(r"(arn:[\w-]+:)sts(::[0-9]{12}:)assumed-role/([^/]+)/.+")
_PATH = re.compile(r"(?<=:role/).*/")  # of a role: an ARN of its session is without it, its name is unique anyway
_TAG_VALUE = re.compile(r"[\w+=.@:/-]{1,256}")


class _Policy(TypedDict):
    policy: str


class AccessPolicy(_Policy, total=False):
    """`policy`: AmazonEKSViewPolicy, AmazonEKSClusterAdminPolicy …, or an ARN. `namespaces`: unset for all."""

    namespaces: list[str]


class _Principal(TypedDict):
    principal: str


class Access(_Principal, total=False):
    """One principal's access. `principal`: the address of a role (aws.iam_role/developers), or an ARN."""

    type: str  # STANDARD (unset), EC2_LINUX …
    groups: list[str]  # Kubernetes groups
    policies: list[AccessPolicy]


Entry = dict[str, Any]  # principal, type, groups, policies: in the one form that is compared


def link_access(entry: Mapping[str, Any]) -> dict[str, Any]:
    """`entry` with a role's address turned into a reference to its ARN."""
    principal: Any = entry.get("principal")
    is_address = isinstance(principal, str) and principal.startswith("aws.iam_role/")
    return {**entry, "principal": Reference(principal, "arn") if is_address else principal}


def canonical(entry: Mapping[str, Any]) -> Entry:
    """`entry` of a description as `read` would show it."""
    return _entry(
        entry["principal"],
        entry.get("type", "STANDARD"),
        entry.get("groups", ()),
        {_policy_arn(one["policy"]): one.get("namespaces", ()) for one in entry.get("policies", ())},
    )


def _entry(principal: Any, kind: str, groups: Iterable[str], policies: Mapping[str, Iterable[str]]) -> Entry:
    return {
        "principal": principal,
        "type": kind,
        "groups": sorted(groups),
        "policies": [{"policy": arn, "namespaces": sorted(spaces)} for arn, spaces in sorted(policies.items())],
    }


class CreatorEntry(dict[str, Any]):
    """The Entry that EKS made for the principal that created the cluster (bootstrapClusterCreatorAdminPermissions)."""


def is_made_by_eks(entry: Mapping[str, Any]) -> bool:
    """EKS makes entries by itself: for the role of each managed node group, and for the cluster's creator."""
    return entry["type"] != "STANDARD" or isinstance(entry, CreatorEntry)


def creator_tag(caller: str) -> dict[str, str]:
    """The tag of a cluster that `caller` (the ARN of a user, or of a role's session) creates; none when its ARN cannot
    be a tag's value: its entry is listed as foreign then."""
    principal = principal_of(caller)
    return {CREATOR: principal} if _TAG_VALUE.fullmatch(principal) else {}


def principal_of(arn: str) -> str:
    """The IAM principal behind a caller: of a role's session its role. A role's path is left out."""
    return _PATH.sub("", _SESSION.sub(r"\1iam\2role/\3", arn))


def noted(entry: Entry, creator: str) -> Entry:
    """`entry`, as a CreatorEntry when it is exactly what EKS makes for `creator` ("": nobody knows who that is)."""
    admin = {"policy": f"{_POLICY}AmazonEKSClusterAdminPolicy", "namespaces": []}
    as_made = {"principal": entry["principal"], "type": "STANDARD", "groups": [], "policies": [admin]}
    is_creators = bool(creator) and principal_of(entry["principal"]) == creator and entry == as_made
    return CreatorEntry(entry) if is_creators else entry


def _policy_arn(name: str) -> str:
    return name if name.startswith("arn:") or "capstan-ref(" in name else f"{_POLICY}{name}"


class Entries:
    """The access entries of one cluster: `ours`, `foreign`, and the ARN of each by principal."""

    def __init__(self, found: Sequence[tuple[Entry, Mapping[str, Any]]], stack: str) -> None:
        self.ours = [entry for entry, item in found if stack and item.get("tags", {}).get(STACK) == stack]
        self.foreign = tuple(entry for entry, _unused in found if entry not in self.ours)
        self.arns = {item["principalArn"]: item["accessEntryArn"] for _unused, item in found}


def read_entries(api: Api, cluster: str, stack: str, creator: str) -> Entries:
    """All entries of `cluster`: pages of ListAccessEntries + 2 an entry. `stack`: whose tag makes them ours. `creator`:
    who made the cluster, if it was made with an entry for that principal."""
    options: dict[str, Any] = {"clusterName": cluster, "rules": RULES, "done": Category.ABSENT}
    principals = list(api.pages("eks", "ListAccessEntries", "accessEntries", **options))

    def one(principal: str) -> tuple[Entry, Mapping[str, Any]] | None:
        item = api.call("eks", "DescribeAccessEntry", principalArn=principal, **options).get("accessEntry")
        if item is None:
            return None
        listed = api.pages(
            "eks", "ListAssociatedAccessPolicies", "associatedAccessPolicies", principalArn=principal, **options
        )
        policies = {policy["policyArn"]: policy["accessScope"].get("namespaces", ()) for policy in listed}
        groups = item.get("kubernetesGroups", ()) if item["type"] == "STANDARD" else ()
        return noted(_entry(principal, item["type"], groups, policies), creator), item

    return Entries([found for found in api.each(one, principals) if found is not None], stack)


def change_entries(api: Api, cluster: str, arns: Mapping[str, str], stack: str, before: Any, after: Any) -> None:
    """Turns the entries `before` into those `after`. An entry that was there and is wanted now becomes ours."""
    old = {entry["principal"]: entry for entry in before or ()}
    new = {entry["principal"]: entry for entry in reversed(after or ())}  # ours come first, so ours win
    for principal in sorted(old.keys() - new.keys()):
        _remove(api, cluster, principal)
    for principal, entry in sorted(new.items()):
        there = old.get(principal)
        if there == entry:
            continue
        if there is not None and there["type"] != entry["type"]:  # the type is fixed when an entry is made
            _remove(api, cluster, principal)
            there = None
        if there is None:
            _add(api, cluster, entry, stack)
        else:
            _change(api, cluster, arns[principal], there, entry, stack)


def _remove(api: Api, cluster: str, principal: str) -> None:
    api.call("eks", "DeleteAccessEntry", clusterName=cluster, principalArn=principal, rules=RULES, done=Category.ABSENT)


def _add(api: Api, cluster: str, entry: Entry, stack: str) -> None:
    api.call(
        "eks",
        "CreateAccessEntry",
        clusterName=cluster,
        principalArn=entry["principal"],
        type=entry["type"],
        kubernetesGroups=entry["groups"] or None,
        tags={STACK: stack},
        rules=RULES,
        done=Category.EXISTS,  # our own, if its answer was lost
    )
    _associate(api, cluster, entry["principal"], [], entry["policies"])


def _change(api: Api, cluster: str, arn: str, there: Entry, entry: Entry, stack: str) -> None:
    principal = entry["principal"]
    if there["groups"] != entry["groups"]:
        api.call(
            "eks",
            "UpdateAccessEntry",
            clusterName=cluster,
            principalArn=principal,
            kubernetesGroups=entry["groups"],
            rules=RULES,
        )
    _associate(api, cluster, principal, there["policies"], entry["policies"])
    api.call("eks", "TagResource", resourceArn=arn, tags={STACK: stack}, rules=RULES)


def _associate(api: Api, cluster: str, principal: str, before: Any, after: Any) -> None:
    whose: dict[str, Any] = {"clusterName": cluster, "principalArn": principal, "rules": RULES}
    for one in after:
        if one not in before:
            spaces = one["namespaces"]
            scope = {"type": "namespace", "namespaces": spaces} if spaces else {"type": "cluster"}
            api.call("eks", "AssociateAccessPolicy", policyArn=one["policy"], accessScope=scope, **whose)
    for gone in sorted({one["policy"] for one in before} - {one["policy"] for one in after}):
        api.call("eks", "DisassociateAccessPolicy", policyArn=gone, done=Category.ABSENT, **whose)
