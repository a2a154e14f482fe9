"""The cluster as EKS shows it."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture(scope="module")
def eks(aws: Any) -> Any:
    return aws("eks")


@pytest.fixture(scope="module")
def cluster(eks: Any) -> dict[str, Any]:
    (name,) = [name for name in eks.list_clusters()["clusters"] if name.startswith("molecule-cluster-platform-")]
    found: dict[str, Any] = eks.describe_cluster(name=name)["cluster"]
    return found


@pytest.fixture(scope="module")
def group(eks: Any, cluster: dict[str, Any]) -> dict[str, Any]:
    (name,) = eks.list_nodegroups(clusterName=cluster["name"])["nodegroups"]
    found: dict[str, Any] = eks.describe_nodegroup(clusterName=cluster["name"], nodegroupName=name)["nodegroup"]
    return found


def test_the_control_plane_runs_the_wanted_version(cluster: dict[str, Any]) -> None:
    assert (cluster["status"], cluster["version"]) == ("ACTIVE", "1.36")
    assert cluster["tags"]["capstan:address"] == "aws.eks_cluster/main"
    assert ":role/molecule-cluster-platform-cluster-" in cluster["roleArn"]


def test_it_lies_in_the_three_private_subnets(aws: Any, cluster: dict[str, Any]) -> None:
    subnets = aws("ec2").describe_subnets(SubnetIds=cluster["resourcesVpcConfig"]["subnetIds"])["Subnets"]
    assert {item["CidrBlock"] for item in subnets} == {"10.0.64.0/19", "10.0.96.0/19", "10.0.128.0/19"}


def test_its_api_is_reached_from_the_listed_blocks(cluster: dict[str, Any]) -> None:
    network = cluster["resourcesVpcConfig"]
    assert network["endpointPublicAccess"] is True
    assert network["endpointPrivateAccess"] is True
    assert network["publicAccessCidrs"] == ["198.51.100.0/24"]


def test_two_of_its_logs_are_on(cluster: dict[str, Any]) -> None:
    setups = cluster["logging"]["clusterLogging"]
    assert sorted(kind for setup in setups if setup["enabled"] for kind in setup["types"]) == ["api", "audit"]


def test_developers_look_at_staging(eks: Any, cluster: dict[str, Any]) -> None:
    entries = eks.list_access_entries(clusterName=cluster["name"])["accessEntries"]
    (principal,) = [arn for arn in entries if ":role/molecule-cluster-platform-developers-" in arn]
    which = {"clusterName": cluster["name"], "principalArn": principal}
    assert eks.describe_access_entry(**which)["accessEntry"]["kubernetesGroups"] == ["developers"]
    (policy,) = eks.list_associated_access_policies(**which)["associatedAccessPolicies"]
    assert policy["policyArn"].endswith("/AmazonEKSViewPolicy")
    assert policy["accessScope"] == {"type": "namespace", "namespaces": ["staging"]}


def test_the_node_group_is_as_described(group: dict[str, Any]) -> None:
    assert group["status"] == "ACTIVE"
    assert group["scalingConfig"] == {"minSize": 1, "maxSize": 4, "desiredSize": 2}
    assert group["instanceTypes"] == ["t3.medium"]
    assert (group["capacityType"], group["diskSize"]) == ("ON_DEMAND", 30)
    assert group["labels"] == {"tier": "general"}
    assert group["taints"] == [{"key": "dedicated", "value": "general", "effect": "PREFER_NO_SCHEDULE"}]
    assert ":role/molecule-cluster-platform-nodes-" in group["nodeRole"]
