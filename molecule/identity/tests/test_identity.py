"""The roles as IAM shows them."""

from __future__ import annotations

from typing import Any

import pytest

MARKS = {"capstan:stack": "molecule-identity-platform", "capstan:component": "identity"}


@pytest.fixture(scope="module")
def roles(aws: Any) -> dict[str, dict[str, Any]]:
    """The stack's roles by name, with their attached (`attached`) and own (`own`) policies."""
    iam = aws("iam")
    found = {}
    for page in iam.get_paginator("list_roles").paginate():
        for one in page["Roles"]:
            role = iam.get_role(RoleName=one["RoleName"])["Role"]
            tags = {tag["Key"]: tag["Value"] for tag in role.get("Tags", ())}
            if tags.items() >= MARKS.items():
                attached = iam.list_attached_role_policies(RoleName=role["RoleName"])["AttachedPolicies"]
                own = iam.list_role_policies(RoleName=role["RoleName"])["PolicyNames"]
                role["attached"] = {policy["PolicyName"] for policy in attached}
                role["own"] = {name: iam.get_role_policy(RoleName=role["RoleName"], PolicyName=name) for name in own}
                found[tags["capstan:address"].removeprefix("aws.iam_role/")] = role
    return found


def trusted(role: dict[str, Any]) -> list[tuple[str, str, Any]]:
    return [
        (one["Effect"], kind, name)
        for one in role["AssumeRolePolicyDocument"]["Statement"]
        for kind, name in one["Principal"].items()
    ]


def test_there_are_these_roles_and_no_others(roles: dict[str, dict[str, Any]]) -> None:
    assert set(roles) == {"cluster", "nodes", "developers"}


def test_only_eks_assumes_the_role_of_the_control_plane(roles: dict[str, dict[str, Any]]) -> None:
    assert trusted(roles["cluster"]) == [("Allow", "Service", ["eks.amazonaws.com"])]
    assert roles["cluster"]["attached"] == {"AmazonEKSClusterPolicy"}


def test_nodes_have_the_three_policies_that_eks_asks_for(roles: dict[str, dict[str, Any]]) -> None:
    assert trusted(roles["nodes"]) == [("Allow", "Service", ["ec2.amazonaws.com"])]
    assert roles["nodes"]["attached"] == {
        "AmazonEKSWorkerNodePolicy",
        "AmazonEC2ContainerRegistryPullOnly",
        "AmazonEKS_CNI_Policy",
    }


def test_a_further_role_is_what_its_description_says(roles: dict[str, dict[str, Any]]) -> None:
    role = roles["developers"]
    assert role["Description"] == "Look at everything, change nothing"
    assert role["MaxSessionDuration"] == 7200
    assert trusted(role) == [("Allow", "AWS", ["arn:aws:iam::123456789012:root"])]
    assert role["attached"] == {"ReadOnlyAccess"}
    assert set(role["own"]) == {"no-secrets"}
    (statement,) = role["own"]["no-secrets"]["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Action"]) == ("Deny", "secretsmanager:GetSecretValue")
