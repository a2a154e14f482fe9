"""The network as EC2 shows it."""

from __future__ import annotations

from typing import Any

import pytest

OURS = [{"Name": "tag:capstan:stack", "Values": ["molecule-network-platform"]}]


def tags(item: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in item["Tags"]}


@pytest.fixture(scope="module")
def ec2(aws: Any) -> Any:
    return aws("ec2")


@pytest.fixture(scope="module")
def subnets(ec2: Any) -> dict[str, dict[str, Any]]:
    found = ec2.describe_subnets(Filters=OURS)["Subnets"]
    return {tags(item)["capstan:address"].removeprefix("aws.subnet/"): item for item in found}


@pytest.fixture(scope="module")
def groups(ec2: Any) -> dict[str, dict[str, Any]]:
    found = ec2.describe_security_groups(Filters=OURS)["SecurityGroups"]
    return {tags(item)["capstan:address"].removeprefix("aws.security_group/"): item for item in found}


def test_there_is_one_vpc_with_names_for_its_instances(ec2: Any) -> None:
    (vpc,) = ec2.describe_vpcs(Filters=OURS)["Vpcs"]
    assert vpc["CidrBlock"] == "10.20.0.0/16"
    assert tags(vpc)["cost-center"] == "platform"
    assert tags(vpc)["capstan:component"] == "network"
    for attribute in ("enableDnsSupport", "enableDnsHostnames"):
        answer = ec2.describe_vpc_attribute(VpcId=vpc["VpcId"], Attribute=attribute)
        assert answer[attribute[0].upper() + attribute[1:]]["Value"] is True


def test_each_subnet_has_its_block_and_zone(subnets: dict[str, dict[str, Any]]) -> None:
    assert {name: (item["CidrBlock"], item["AvailabilityZone"]) for name, item in subnets.items()} == {
        "public-a": ("10.20.0.0/24", "us-east-1a"),
        "public-b": ("10.20.1.0/24", "us-east-1b"),
        "private-a": ("10.20.10.0/24", "us-east-1a"),
        "isolated-a": ("10.20.20.0/24", "us-east-1a"),
    }


def test_only_public_subnets_give_public_addresses(subnets: dict[str, dict[str, Any]]) -> None:
    public = {name for name, item in subnets.items() if item["MapPublicIpOnLaunch"]}
    assert public == {"public-a", "public-b"}


def test_load_balancers_find_their_subnets_by_tags(subnets: dict[str, dict[str, Any]]) -> None:
    assert tags(subnets["public-a"])["kubernetes.io/role/elb"] == "1"
    assert tags(subnets["private-a"])["kubernetes.io/role/internal-elb"] == "1"
    assert "kubernetes.io/role/elb" not in tags(subnets["isolated-a"])


def test_only_the_public_route_table_leads_to_the_internet(ec2: Any, subnets: dict[str, dict[str, Any]]) -> None:
    (gateway,) = ec2.describe_internet_gateways(Filters=OURS)["InternetGateways"]
    assert [one["VpcId"] for one in gateway["Attachments"]] == [subnets["public-a"]["VpcId"]]
    tables = ec2.describe_route_tables(Filters=OURS)["RouteTables"]
    names = {item["SubnetId"]: name for name, item in subnets.items()}
    found = {}
    for table in tables:
        tier = tags(table)["capstan:address"].removeprefix("aws.route_table/")
        users = sorted(names[one["SubnetId"]] for one in table["Associations"] if "SubnetId" in one)
        ways = [
            (one["DestinationCidrBlock"], one["GatewayId"]) for one in table["Routes"] if one["GatewayId"] != "local"
        ]
        found[tier] = (users, ways)
    assert found == {
        "public": (["public-a", "public-b"], [("0.0.0.0/0", gateway["InternetGatewayId"])]),
        "private": (["private-a"], []),
        "isolated": (["isolated-a"], []),
    }


def test_each_group_lets_in_only_who_comes_before_it(groups: dict[str, dict[str, Any]]) -> None:
    names = {item["GroupId"]: name for name, item in groups.items()}
    found = {}
    for name, item in groups.items():
        rules = set()
        for rule in item["IpPermissions"]:
            sources = [one["CidrIp"] for one in rule["IpRanges"]]
            sources += [names[one["GroupId"]] for one in rule["UserIdGroupPairs"]]
            rules |= {(rule["IpProtocol"], rule["FromPort"], rule["ToPort"], source) for source in sources}
        found[name] = rules
    assert found == {
        "alb": {("tcp", 80, 80, "198.51.100.0/24"), ("tcp", 443, 443, "198.51.100.0/24")},
        "backend": {("tcp", 8080, 8080, "alb")},
        "database": {("tcp", 5432, 5432, "backend")},
        "redis": {("tcp", 6379, 6379, "backend")},
    }
