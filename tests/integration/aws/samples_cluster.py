"""Samples of clusters and node groups."""

from __future__ import annotations

from typing import Any

from sandbox.aws.testing import Account

from .contract import Sample, drift, scrubbed
from .samples_identity import trusting, until
from .samples_network import SUBNETS, VPC, is_refused

# -- cluster -------------------------------------------------------------------------------------------------------
_ROLES = {
    "aws.iam_role/cluster": {"assume_policy": trusting("eks.amazonaws.com")},
    "aws.iam_role/node": {"assume_policy": trusting("ec2.amazonaws.com")},
    "aws.iam_role/developers": {"assume_policy": trusting("ec2.amazonaws.com")},
}
_C = {"aws.subnet/c": {"vpc": "main", "cidr": "10.0.3.0/24", "zone": "us-east-1c"}}
_VIEW = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"
_OUTSIDER = "arn:aws:iam::123456789012:role/outsider"


def _of_cluster(live: str) -> str:
    return live.split("/")[1]


def _cluster(aws: Account, live: str) -> dict[str, Any]:
    eks, name = aws.client("eks"), _of_cluster(live)
    until(lambda: eks.describe_cluster(name=name)["cluster"]["status"] == "ACTIVE")
    cluster = eks.describe_cluster(name=name)["cluster"]
    cluster["resourcesVpcConfig"]["subnetIds"].sort()
    entries = {}
    for principal in eks.list_access_entries(clusterName=name)["accessEntries"]:
        entry = eks.describe_access_entry(clusterName=name, principalArn=principal)["accessEntry"]
        listed = eks.list_associated_access_policies(clusterName=name, principalArn=principal)
        entry["policies"] = listed["associatedAccessPolicies"]
        entries[principal] = entry
    cluster["entries"] = entries
    return dict(scrubbed(cluster, "createdAt", "modifiedAt", "associatedAt", "accessEntryArn", "ResponseMetadata"))


def _update_cluster(**config: Any) -> Any:
    def by(aws: Account, live: str) -> None:
        aws.client("eks").update_cluster_config(name=_of_cluster(live), **config)
        _cluster(aws, live)

    return by


def _developers(aws: Account, live: str) -> dict[str, str]:
    entries = aws.client("eks").list_access_entries(clusterName=_of_cluster(live))["accessEntries"]
    principal = next(one for one in entries if "developers" in one)
    return {"clusterName": _of_cluster(live), "principalArn": principal}


cluster = Sample(
    address="aws.eks_cluster/main",
    description={
        **VPC,
        **SUBNETS,
        **_C,
        **_ROLES,
        "aws.security_group/extra": {"vpc": "main"},
        "aws.security_group/another": {"vpc": "main"},
        "aws.iam_role/second": {"assume_policy": trusting("eks.amazonaws.com")},
        "aws.eks_cluster/main": {
            "version": "1.33",
            "role": "cluster",
            "subnets": ["a", "b"],
            "security_groups": ["extra"],
            "endpoint_public": True,
            "endpoint_private": True,
            "public_cidrs": ["203.0.113.0/24"],
            "logging": ["api", "audit"],
            "authentication_mode": "API",
            "creator_admin": True,
            "access": [
                {
                    "principal": "aws.iam_role/developers",
                    "groups": ["readers"],
                    "policies": [{"policy": "AmazonEKSViewPolicy", "namespaces": ["development"]}],
                }
            ],
            "service_cidr": "10.100.0.0/16",
            "kms_key": "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555",
            "support": "STANDARD",
            "deletion_protection": False,
            "tags": {"team": "core"},
        },
    },
    facts=_cluster,
    gone=lambda aws, live: is_refused(
        "ResourceNotFoundException", aws.client("eks").describe_cluster, name=_of_cluster(live)
    ),
    seen=lambda facts: {
        "version": facts["version"],
        "subnets": len(facts["resourcesVpcConfig"]["subnetIds"]),
        "groups": len(facts["resourcesVpcConfig"]["securityGroupIds"]),
        "public": facts["resourcesVpcConfig"]["endpointPublicAccess"],
        "private": facts["resourcesVpcConfig"]["endpointPrivateAccess"],
        "cidrs": facts["resourcesVpcConfig"]["publicAccessCidrs"],
        "logs": [one["types"] for one in facts["logging"]["clusterLogging"] if one["enabled"]],
        "mode": facts["accessConfig"]["authenticationMode"],
        "service_cidr": facts["kubernetesNetworkConfig"]["serviceIpv4Cidr"],
        "key": facts["encryptionConfig"][0]["provider"]["keyArn"][-4:],
        "support": facts["upgradePolicy"]["supportType"],
        "team": facts["tags"]["team"],
        "entries": len(facts["entries"]),
        "developers": [
            (one["kubernetesGroups"], one["policies"][0]["policyArn"], one["policies"][0]["accessScope"])
            for principal, one in facts["entries"].items()
            if "developers" in principal
        ],
    },
    expect={
        "version": "1.33",
        "subnets": 2,
        "groups": 1,
        "public": True,
        "private": True,
        "cidrs": ["203.0.113.0/24"],
        "logs": [["api", "audit"]],
        "mode": "API",
        "service_cidr": "10.100.0.0/16",
        "key": "5555",
        "support": "STANDARD",
        "team": "core",
        "entries": 2,
        "developers": [(["readers"], _VIEW, {"type": "namespace", "namespaces": ["development"]})],
    },
    changes={
        "subnets": ["b", "c"],
        "security_groups": ["extra", "another"],
        "endpoint_public": False,
        "endpoint_private": False,
        "public_cidrs": ["203.0.113.0/24", "198.51.100.0/24"],
        "logging": ["audit", "scheduler"],
        "access": [{"principal": "aws.iam_role/developers", "policies": [{"policy": "AmazonEKSEditPolicy"}]}],
        "support": "EXTENDED",
        "deletion_protection": True,
        "tags": {"team": "data"},
    },
    replaces={"role": "second", "service_cidr": "10.200.0.0/16", "creator_admin": False},
    fixed={
        "version": "never goes back; its upgrade has a test of its own",
        "authentication_mode": "never goes back; its change has a test of its own",
        "kms_key": "as the service range: it replaces",
    },
    drifts={
        "a log switched off": drift(
            _update_cluster(logging={"clusterLogging": [{"types": ["audit"], "enabled": False}]}), "logging"
        ),
        "opened to the world": drift(
            _update_cluster(resourcesVpcConfig={"publicAccessCidrs": ["0.0.0.0/0"]}), "public_cidrs"
        ),
        "private access off": drift(
            _update_cluster(resourcesVpcConfig={"endpointPrivateAccess": False}), "endpoint_private"
        ),
        "an access entry deleted": drift(
            lambda aws, live: aws.client("eks").delete_access_entry(**_developers(aws, live)), "access"
        ),
        "an access policy widened": drift(
            lambda aws, live: aws.client("eks").associate_access_policy(
                **_developers(aws, live), policyArn=_VIEW, accessScope={"type": "cluster"}
            ),
            "access",
        ),
        "a tag overwritten": drift(
            lambda aws, live: aws.client("eks").tag_resource(resourceArn=live, tags={"team": "other"}), "tags"
        ),
    },
    others_at_work={
        "somebody else's access entry": lambda aws, live: aws.client("eks").create_access_entry(
            clusterName=_of_cluster(live), principalArn=_OUTSIDER
        ),
        "a tag added": lambda aws, live: aws.client("eks").tag_resource(resourceArn=live, tags={"billing": "77"}),
    },
    read_calls={
        "ListClusters": 1,
        "DescribeCluster": 1,
        "ListAccessEntries": 1,
        "DescribeAccessEntry": 2,
        "ListAssociatedAccessPolicies": 2,
    },
)

# -- node group ----------------------------------------------------------------------------------------------------
_CLUSTER = {
    "aws.eks_cluster/main": {"version": "1.33", "role": "cluster", "subnets": ["a", "b"], "authentication_mode": "API"},
}


def _of_group(live: str) -> dict[str, str]:
    _, cluster_name, name, *_ = live.split("/")
    return {"clusterName": cluster_name, "nodegroupName": name}


def _nodegroup(aws: Account, live: str) -> dict[str, Any]:
    eks, which = aws.client("eks"), _of_group(live)
    until(lambda: eks.describe_nodegroup(**which)["nodegroup"]["status"] == "ACTIVE")
    return dict(scrubbed(eks.describe_nodegroup(**which)["nodegroup"], "createdAt", "modifiedAt"))


def _update_group(**config: Any) -> Any:
    def by(aws: Account, live: str) -> None:
        aws.client("eks").update_nodegroup_config(**_of_group(live), **config)
        _nodegroup(aws, live)

    return by


nodegroup = Sample(
    address="aws.eks_nodegroup/workers",
    description={
        **VPC,
        **SUBNETS,
        **_ROLES,
        **_CLUSTER,
        "aws.eks_nodegroup/workers": {
            "cluster": "main",
            "role": "node",
            "subnets": ["a", "b"],
            "instance_types": ["t3.medium", "t3a.medium"],
            "capacity_type": "SPOT",
            "ami_type": "AL2023_x86_64_STANDARD",
            "disk_gib": 40,
            "min_size": 1,
            "max_size": 5,
            "desired_size": 3,
            "max_unavailable": 1,
            "version": "1.33",
            "labels": {"pool": "workers"},
            "taints": [{"key": "spot", "value": "yes", "effect": "PreferNoSchedule"}],
            "tags": {"team": "core"},
        },
    },
    facts=_nodegroup,
    gone=lambda aws, live: is_refused(
        "ResourceNotFoundException", aws.client("eks").describe_nodegroup, **_of_group(live)
    ),
    seen=lambda facts: {
        "types": facts["instanceTypes"],
        "capacity": facts["capacityType"],
        "ami": facts["amiType"],
        "disk": facts["diskSize"],
        "sizes": facts["scalingConfig"],
        "unavailable": facts["updateConfig"]["maxUnavailable"],
        "version": facts["version"],
        "labels": facts["labels"],
        "taints": facts["taints"],
        "subnets": len(facts["subnets"]),
        "team": facts["tags"]["team"],
    },
    expect={
        "types": ["t3.medium", "t3a.medium"],
        "capacity": "SPOT",
        "ami": "AL2023_x86_64_STANDARD",
        "disk": 40,
        "sizes": {"minSize": 1, "maxSize": 5, "desiredSize": 3},
        "unavailable": 1,
        "version": "1.33",
        "labels": {"pool": "workers"},
        "taints": [{"key": "spot", "value": "yes", "effect": "PREFER_NO_SCHEDULE"}],
        "subnets": 2,
        "team": "core",
    },
    changes={
        "min_size": 2,
        "max_size": 8,
        "max_unavailable": 2,
        "labels": {"pool": "others"},
        "taints": [],
        "tags": {"team": "data"},
    },
    replaces={"disk_gib": 60, "capacity_type": "ON_DEMAND", "instance_types": ["t3.large"], "subnets": ["b"]},
    fixed={
        "cluster": "replaced with its cluster",
        "role": "as the disk: it replaces",
        "ami_type": "as the disk: it replaces",
        "desired_size": "the autoscaler's, see others at work",
        "version": "never goes back; its upgrade has a test of its own",
    },
    drifts={
        "the bounds changed": drift(_update_group(scalingConfig={"minSize": 3, "maxSize": 9}), "min_size", "max_size"),
        "a label overwritten": drift(_update_group(labels={"addOrUpdateLabels": {"pool": "x"}}), "labels"),
        "a taint added": drift(
            _update_group(taints={"addOrUpdateTaints": [{"key": "x", "value": "y", "effect": "NO_EXECUTE"}]}), "taints"
        ),
        "a tag overwritten": drift(
            lambda aws, live: aws.client("eks").tag_resource(resourceArn=live, tags={"team": "other"}), "tags"
        ),
    },
    others_at_work={
        "the autoscaler scales up": _update_group(scalingConfig={"desiredSize": 5}),
        "a label added": _update_group(labels={"addOrUpdateLabels": {"zone": "x"}}),
        "a tag added": lambda aws, live: aws.client("eks").tag_resource(resourceArn=live, tags={"billing": "77"}),
    },
    read_calls={"ListClusters": 1, "ListNodegroups": 1, "DescribeNodegroup": 1},
)

SAMPLES = [cluster, nodegroup]
