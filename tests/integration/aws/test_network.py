"""What the network kinds promise beyond the contract."""

from __future__ import annotations

import pytest
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.errors import InvalidDescription

from .contract import Description
from .harness import World, differences, outputs
from .samples_network import GATEWAY, SUBNETS, VPC


def test_rules_of_others_are_listed_and_kept_in_an_open_group(world: World) -> None:
    description = {
        **VPC,
        "aws.security_group/alb": {"vpc": "main", "ingress": [{"port": 443, "cidr": "0.0.0.0/0"}]},
    }
    world.converge(description)
    ec2 = world.account.client("ec2")
    group = outputs(world, description, "aws.security_group/alb")["id"]
    theirs = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "203.0.113.7/32"}]}
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[theirs])

    change = world.plan(description).of("aws.security_group/alb")

    assert change is not None
    assert change.action == "none"
    assert [(rule["from_port"], rule["other"]) for rule in change.difference.foreign["ingress"]] == [
        (22, "203.0.113.7/32")
    ]
    described = {**VPC, "aws.security_group/alb": {"vpc": "main", "ingress": [{"port": 80, "cidr": "0.0.0.0/0"}]}}
    world.converge(described)
    permissions = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["IpPermissions"]
    assert sorted(one["FromPort"] for one in permissions) == [22, 80]


def test_a_new_block_for_the_network_replaces_everything_in_it(world: World) -> None:
    chain = {
        **SUBNETS,
        **GATEWAY,
        "aws.route_table/public": {
            "vpc": "main",
            "routes": [{"destination": "0.0.0.0/0", "target": "aws.internet_gateway/main"}],
            "subnets": ["a", "b"],
        },
    }
    world.converge({"aws.vpc/main": {"cidr": "10.0.0.0/16"}, **chain})
    bigger = {"aws.vpc/main": {"cidr": "10.0.0.0/17"}, **chain}

    actions = {address: action for address, (action, _) in differences(world.plan(bigger)).items()}
    world.converge(bigger)

    assert actions == {
        "aws.vpc/main": "replace",
        "aws.subnet/a": "replace",
        "aws.subnet/b": "replace",
        "aws.internet_gateway/main": "update",
        "aws.route_table/public": "replace",
    }
    assert differences(world.plan(bigger)) == {}
    assert [one["CidrBlock"] for one in world.account.client("ec2").describe_vpcs()["Vpcs"]] == ["10.0.0.0/17"]


def test_an_existing_network_is_used_and_never_changed(world: World) -> None:
    ec2 = world.account.client("ec2")
    made = ec2.create_vpc(CidrBlock="10.5.0.0/16")["Vpc"]["VpcId"]
    description: Description = {
        "aws.vpc/main": {"cidr": "10.5.0.0/16", "existing": True},
        "aws.subnet/a": {"vpc": "main", "cidr": "10.5.1.0/24", "zone": "us-east-1a"},
    }
    assert world.converge(description).applied.done == {"aws.subnet/a": "create"}
    assert [one["VpcId"] for one in ec2.describe_subnets()["Subnets"]] == [made]
    assert ec2.describe_vpcs()["Vpcs"][0].get("Tags", []) == []


def test_two_existing_networks_that_fit_are_not_guessed_between(world: World) -> None:
    for _ in range(2):
        world.account.client("ec2").create_vpc(CidrBlock="10.5.0.0/16")
    with pytest.raises(InvalidDescription, match="describe tags that only one of them has"):
        world.plan({"aws.vpc/main": {"cidr": "10.5.0.0/16", "existing": True}})
