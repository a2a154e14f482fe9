"""What clusters and node groups promise beyond the contract."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.capstan.fullstack.plugins.module_utils.aws.eks_access import (
    CreatorEntry,
    creator_tag,
    noted,
    principal_of,
)

from .harness import World, differences, outputs
from .samples_cluster import cluster, nodegroup


def test_a_cluster_goes_up_one_version_at_a_time_and_its_nodes_follow(world: World) -> None:
    world.converge(nodegroup.description)
    newer = nodegroup.with_field("version", "1.35")
    newer["aws.eks_cluster/main"] = {**newer["aws.eks_cluster/main"], "version": "1.35"}

    assert differences(world.plan(newer)) == {
        "aws.eks_cluster/main": ("update", {"version"}),
        "aws.eks_nodegroup/workers": ("update", {"version"}),
    }
    writes = world.writes(lambda: world.converge(newer))

    # Refused tries (an update is under way) are in the log, too.
    assert {"UpdateClusterVersion", "UpdateNodegroupVersion"} == set(writes)
    assert differences(world.plan(newer)) == {}
    eks = world.account.client("eks")
    name = eks.list_clusters()["clusters"][0]
    done = [eks.describe_update(name=name, updateId=one)["update"] for one in eks.list_updates(name=name)["updateIds"]]
    steps = [p["value"] for update in done if update["type"] == "VersionUpdate" for p in update["params"]]
    assert sorted(value for value in steps if value.startswith("1.")) == ["1.34", "1.35"]


def test_several_changes_of_a_cluster_are_made_one_after_the_other_in_one_run(world: World) -> None:
    world.converge(cluster.description)
    described = {
        **cluster.description[cluster.address],
        "logging": ["scheduler"],
        "public_cidrs": ["198.51.100.0/24"],
        "security_groups": ["another"],
        "support": "EXTENDED",
    }
    changed = {**cluster.description, cluster.address: described}
    world.converge(changed)
    assert differences(world.plan(changed)) == {}


def test_a_cluster_moves_on_to_access_entries(world: World) -> None:
    fields = {"version": "1.33", "role": "cluster", "subnets": ["a", "b"], "authentication_mode": "CONFIG_MAP"}
    needs = {a: f for a, f in cluster.description.items() if a != cluster.address}
    world.converge({**needs, cluster.address: fields})
    entry = {"principal": "aws.iam_role/developers", "groups": ["readers"]}
    moved = {**needs, cluster.address: {**fields, "authentication_mode": "API_AND_CONFIG_MAP", "access": [entry]}}

    world.converge(moved)

    assert differences(world.plan(moved)) == {}
    eks = world.account.client("eks")
    name = eks.list_clusters()["clusters"][0]
    assert any("developers" in one for one in eks.list_access_entries(clusterName=name)["accessEntries"])


def test_a_cluster_says_how_it_is_reached(world: World) -> None:
    world.converge(cluster.description)
    found = outputs(world, cluster.description, cluster.address)
    assert found["endpoint"].startswith("https://")
    assert found["name"].startswith("shop-main-")
    assert found["region"] == "us-east-1"
    assert found["ca"]
    assert found["security_group"].startswith("sg-")


_ADMIN = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
_EVERYWHERE = {"type": "cluster"}


def foreign_principals(world: World) -> list[str]:
    """Whose access entries the plan lists as foreign."""
    change = world.plan(cluster.description).of(cluster.address)
    assert change is not None and change.action == "none"
    return [entry["principal"] for entry in change.difference.foreign.get("access", ())]


def test_the_entry_that_eks_makes_for_the_creator_is_not_listed_and_others_are(world: World) -> None:
    world.converge(cluster.description)
    eks = world.account.client("eks")
    name = eks.list_clusters()["clusters"][0]
    (creator,) = (one for one in eks.list_access_entries(clusterName=name)["accessEntries"] if ":user/" in one)
    assert foreign_principals(world) == []

    outsider = f"arn:aws:iam::{world.account.id}:role/outsider"
    eks.create_access_entry(clusterName=name, principalArn=outsider)
    eks.associate_access_policy(clusterName=name, principalArn=outsider, policyArn=_ADMIN, accessScope=_EVERYWHERE)
    assert foreign_principals(world) == [outsider]

    eks.update_access_entry(clusterName=name, principalArn=creator, kubernetesGroups=["more"])
    assert foreign_principals(world) == sorted([creator, outsider])


def test_the_creator_s_entry_may_be_described_and_changed_and_is_ours_then(world: World) -> None:
    world.converge(cluster.description)
    eks = world.account.client("eks")
    name = eks.list_clusters()["clusters"][0]
    (creator,) = (one for one in eks.list_access_entries(clusterName=name)["accessEntries"] if ":user/" in one)
    fields = cluster.description[cluster.address]

    def described_with(**more: Any) -> dict[str, Any]:
        mine = {"principal": creator, "policies": [{"policy": "AmazonEKSClusterAdminPolicy"}], **more}
        return {**cluster.description, cluster.address: {**fields, "access": [*fields["access"], mine]}}

    assert differences(world.plan(described_with())) == {}
    described = described_with(groups=["more"])
    world.converge(described)

    entry = eks.describe_access_entry(clusterName=name, principalArn=creator)["accessEntry"]
    assert (entry["tags"], entry["kubernetesGroups"]) == ({"capstan:stack": "shop"}, ["more"])
    assert differences(world.plan(described)) == {}


def entry(**differing: Any) -> dict[str, Any]:
    """What EKS makes for the role /teams/deployer, but for what differs."""
    return {
        "principal": "arn:aws:iam::111122223333:role/teams/deployer",
        "type": "STANDARD",
        "groups": [],
        "policies": [{"policy": _ADMIN, "namespaces": []}],
        **differing,
    }


@pytest.mark.parametrize(
    ("found", "creator", "is_creators"),
    [
        (entry(), "arn:aws:iam::111122223333:role/deployer", True),
        (entry(), "arn:aws:iam::111122223333:role/other", False),
        (entry(), "arn:aws:iam::444455556666:role/deployer", False),
        (entry(), "arn:aws:iam::111122223333:user/deployer", False),
        (entry(), "", False),
        (entry(groups=["more"]), "arn:aws:iam::111122223333:role/deployer", False),
        (entry(policies=[]), "arn:aws:iam::111122223333:role/deployer", False),
        (
            entry(policies=[{"policy": _ADMIN, "namespaces": ["shop"]}]),
            "arn:aws:iam::111122223333:role/deployer",
            False,
        ),
        (entry(principal="arn:aws:iam::111122223333:user/a/ann"), "arn:aws:iam::111122223333:user/a/ann", True),
        (entry(principal="arn:aws:iam::111122223333:user/b/ann"), "arn:aws:iam::111122223333:user/a/ann", False),
    ],
)
def test_only_exactly_what_eks_makes_for_the_creator_is_taken_for_it(
    found: dict[str, Any], creator: str, is_creators: bool
) -> None:
    assert noted(found, creator) == found
    assert isinstance(noted(found, creator), CreatorEntry) is is_creators


def test_the_creator_is_the_role_behind_a_session_and_left_out_where_a_tag_cannot_hold_it() -> None:
    session = "arn:aws-us-gov:sts::111122223333:assumed-role/deployer/ann@example.com"
    assert principal_of(session) == "arn:aws-us-gov:iam::111122223333:role/deployer"
    assert creator_tag("arn:aws:iam::111122223333:user/a/ann") == {
        "capstan:creator": "arn:aws:iam::111122223333:user/a/ann"
    }
    assert creator_tag("arn:aws:sts::111122223333:assumed-role/a,b/session") == {}
    assert creator_tag("") == {}
