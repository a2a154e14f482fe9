"""What clusters and node groups promise beyond the contract."""

from __future__ import annotations

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
