"""Samples of the network kinds."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from sandbox.aws.testing import Account

from .contract import Sample, drift, scrubbed, sort_tags, tags_of

VPC: dict[str, dict[str, Any]] = {"aws.vpc/main": {"cidr": "10.0.0.0/16"}}
SUBNETS: dict[str, dict[str, Any]] = {
    "aws.subnet/a": {"vpc": "main", "cidr": "10.0.1.0/24", "zone": "us-east-1a"},
    "aws.subnet/b": {"vpc": "main", "cidr": "10.0.2.0/24", "zone": "us-east-1b"},
}
GATEWAY: dict[str, dict[str, Any]] = {"aws.internet_gateway/main": {"vpc": "main"}}


def is_refused(code: str, call: Any, **params: Any) -> bool:
    """Does boto3 end with this error code?"""
    try:
        call(**params)
    except ClientError as error:
        return bool(error.response["Error"]["Code"] == code)
    return False


def tag(key: str, value: str) -> Any:
    return lambda aws, live: aws.client("ec2").create_tags(Resources=[live], Tags=[{"Key": key, "Value": value}])


def untag(key: str) -> Any:
    return lambda aws, live: aws.client("ec2").delete_tags(Resources=[live], Tags=[{"Key": key}])


# -- vpc -----------------------------------------------------------------------------------------------------------
def _vpc(aws: Account, live: str) -> dict[str, Any]:
    ec2 = aws.client("ec2")
    vpc = sort_tags(ec2.describe_vpcs(VpcIds=[live])["Vpcs"][0])
    for name in ("enableDnsSupport", "enableDnsHostnames"):
        key = name[0].upper() + name[1:]
        vpc[key] = ec2.describe_vpc_attribute(VpcId=live, Attribute=name)[key]["Value"]
    return vpc


def _set_vpc(**attribute: bool) -> Any:
    values = {name: {"Value": value} for name, value in attribute.items()}
    return lambda aws, live: aws.client("ec2").modify_vpc_attribute(VpcId=live, **values)


vpc = Sample(
    address="aws.vpc/main",
    description={
        "aws.vpc/main": {
            "cidr": "10.0.0.0/16",
            "tenancy": "default",
            "dns_support": True,
            "dns_hostnames": True,
            "tags": {"team": "core"},
        }
    },
    facts=_vpc,
    gone=lambda aws, live: is_refused("InvalidVpcID.NotFound", aws.client("ec2").describe_vpcs, VpcIds=[live]),
    seen=lambda facts: {
        "cidr": facts["CidrBlock"],
        "tenancy": facts["InstanceTenancy"],
        "support": facts["EnableDnsSupport"],
        "hostnames": facts["EnableDnsHostnames"],
        "team": tags_of(facts["Tags"])["team"],
        "stack": tags_of(facts["Tags"])["capstan:stack"],
        "address": tags_of(facts["Tags"])["capstan:address"],
        "component": tags_of(facts["Tags"])["capstan:component"],
    },
    expect={
        "cidr": "10.0.0.0/16",
        "tenancy": "default",
        "support": True,
        "hostnames": True,
        "team": "core",
        "stack": "shop",
        "address": "aws.vpc/main",
        "component": "network",
    },
    changes={"dns_hostnames": False, "tags": {"team": "data", "cost": "42"}},
    replaces={"cidr": "10.8.0.0/16", "tenancy": "dedicated"},
    fixed={"dns_support": "only with dns_hostnames off; its drift is tried"},
    drifts={
        "hostnames switched off": drift(_set_vpc(EnableDnsHostnames=False), "dns_hostnames"),
        "a tag overwritten": drift(tag("team", "other"), "tags"),
        "the component's mark removed": drift(untag("capstan:component"), "marks"),
        "protected by hand": drift(tag("capstan:protect", "true"), "marks"),
    },
    others_at_work={"a cost allocation tag": tag("billing", "77")},
    read_calls={"DescribeVpcs": 1, "DescribeVpcAttribute": 2},
)


# -- subnet --------------------------------------------------------------------------------------------------------
subnet = Sample(
    address="aws.subnet/a",
    description={
        **VPC,
        "aws.vpc/second": {"cidr": "10.0.0.0/16"},
        "aws.subnet/a": {
            "vpc": "main",
            "cidr": "10.0.1.0/24",
            "zone": "us-east-1a",
            "public_ip": True,
            "tags": {"kubernetes.io/role/elb": "1"},
        },
    },
    facts=lambda aws, live: sort_tags(
        scrubbed(aws.client("ec2").describe_subnets(SubnetIds=[live])["Subnets"][0], "AvailableIpAddressCount")
    ),
    gone=lambda aws, live: is_refused("InvalidSubnetID.NotFound", aws.client("ec2").describe_subnets, SubnetIds=[live]),
    seen=lambda facts: {
        "cidr": facts["CidrBlock"],
        "zone": facts["AvailabilityZone"],
        "public": facts["MapPublicIpOnLaunch"],
        "elb": tags_of(facts["Tags"])["kubernetes.io/role/elb"],
    },
    expect={"cidr": "10.0.1.0/24", "zone": "us-east-1a", "public": True, "elb": "1"},
    changes={"public_ip": False, "tags": {"kubernetes.io/role/elb": None, "tier": "public"}},
    replaces={"cidr": "10.0.9.0/24", "zone": "us-east-1b", "vpc": "second"},
    drifts={
        "public addresses switched off": drift(
            lambda aws, live: aws.client("ec2").modify_subnet_attribute(
                SubnetId=live, MapPublicIpOnLaunch={"Value": False}
            ),
            "public_ip",
        ),
        "a tag removed": drift(untag("kubernetes.io/role/elb"), "tags"),
    },
    others_at_work={"a tag of the load balancer controller": tag("kubernetes.io/cluster/shop", "shared")},
    read_calls={"DescribeSubnets": 1},
)


# -- internet gateway ----------------------------------------------------------------------------------------------
def _detach(aws: Account, live: str) -> None:
    ec2 = aws.client("ec2")
    attached = ec2.describe_internet_gateways(InternetGatewayIds=[live])["InternetGateways"][0]["Attachments"][0]
    ec2.detach_internet_gateway(InternetGatewayId=live, VpcId=attached["VpcId"])


internet_gateway = Sample(
    address="aws.internet_gateway/main",
    description={
        **VPC,
        "aws.vpc/second": {"cidr": "10.1.0.0/16"},
        "aws.internet_gateway/main": {"vpc": "main", "tags": {"team": "core"}},
    },
    facts=lambda aws, live: sort_tags(
        aws.client("ec2").describe_internet_gateways(InternetGatewayIds=[live])["InternetGateways"][0]
    ),
    gone=lambda aws, live: is_refused(
        "InvalidInternetGatewayID.NotFound",
        aws.client("ec2").describe_internet_gateways,
        InternetGatewayIds=[live],
    ),
    seen=lambda facts: {"attached": len(facts["Attachments"]), "team": tags_of(facts["Tags"])["team"]},
    expect={"attached": 1, "team": "core"},
    changes={"vpc": "second", "tags": {"team": "edge"}},
    drifts={"detached": drift(_detach, "vpc"), "a tag overwritten": drift(tag("team", "other"), "tags")},
    others_at_work={"a tag added": tag("billing", "77")},
    read_calls={"DescribeInternetGateways": 1},
)


# -- route table ---------------------------------------------------------------------------------------------------
def _route_table(aws: Account, live: str) -> dict[str, Any]:
    table = sort_tags(aws.client("ec2").describe_route_tables(RouteTableIds=[live])["RouteTables"][0])
    table["Routes"] = sorted(table["Routes"], key=lambda one: str(one.get("DestinationCidrBlock")))
    associations = [one for one in table["Associations"] if one.get("SubnetId")]
    table["Associations"] = sorted(one["SubnetId"] for one in associations)
    return table


def _gateway_of(aws: Account) -> str:
    return str(aws.client("ec2").describe_internet_gateways()["InternetGateways"][0]["InternetGatewayId"])


def _add_route(aws: Account, live: str) -> None:
    aws.client("ec2").create_route(RouteTableId=live, DestinationCidrBlock="192.0.2.0/24", GatewayId=_gateway_of(aws))


def _redirect(aws: Account, live: str) -> None:
    ec2 = aws.client("ec2")
    other = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.replace_route(RouteTableId=live, DestinationCidrBlock="0.0.0.0/0", GatewayId=other)


def _association(aws: Account, live: str) -> str:
    table = aws.client("ec2").describe_route_tables(RouteTableIds=[live])["RouteTables"][0]
    return str(next(one["RouteTableAssociationId"] for one in table["Associations"] if one.get("SubnetId")))


def _steal(aws: Account, live: str) -> None:
    """Moves a subnet to somebody else's table."""
    ec2 = aws.client("ec2")
    network = ec2.describe_route_tables(RouteTableIds=[live])["RouteTables"][0]["VpcId"]
    other = ec2.create_route_table(VpcId=network)["RouteTable"]["RouteTableId"]
    ec2.replace_route_table_association(AssociationId=_association(aws, live), RouteTableId=other)


route_table = Sample(
    address="aws.route_table/public",
    description={
        **VPC,
        **SUBNETS,
        **GATEWAY,
        "aws.vpc/second": {"cidr": "10.1.0.0/16"},
        "aws.route_table/public": {
            "vpc": "main",
            "routes": [
                {"destination": "0.0.0.0/0", "target": "aws.internet_gateway/main"},
                {"destination": "198.51.100.0/24", "target": "aws.internet_gateway/main"},
            ],
            "subnets": ["a", "b"],
            "tags": {"tier": "public"},
        },
    },
    facts=_route_table,
    gone=lambda aws, live: is_refused(
        "InvalidRouteTableID.NotFound", aws.client("ec2").describe_route_tables, RouteTableIds=[live]
    ),
    seen=lambda facts: {
        "routes": [one["DestinationCidrBlock"] for one in facts["Routes"]],
        "targets": [one["GatewayId"][:4] for one in facts["Routes"]],
        "subnets": len(facts["Associations"]),
        "tier": tags_of(facts["Tags"])["tier"],
    },
    expect={
        "routes": ["0.0.0.0/0", "10.0.0.0/16", "198.51.100.0/24"],
        "targets": ["igw-", "loca", "igw-"],
        "subnets": 2,
        "tier": "public",
    },
    changes={
        "routes": [{"destination": "0.0.0.0/0", "target": "aws.internet_gateway/main"}],
        "subnets": ["b"],
        "tags": {"tier": None, "team": "core"},
    },
    fixed={"vpc": "its subnets and gateway would have to move with it; the replacement test does that"},
    drifts={
        "a route deleted": drift(
            lambda aws, live: aws.client("ec2").delete_route(RouteTableId=live, DestinationCidrBlock="0.0.0.0/0"),
            "routes",
        ),
        "a route added": drift(_add_route, "routes"),
        "a route sent elsewhere": drift(_redirect, "routes"),
        "a subnet taken off": drift(
            lambda aws, live: aws.client("ec2").disassociate_route_table(AssociationId=_association(aws, live)),
            "subnets",
        ),
        "a subnet moved to another table": drift(_steal, "subnets"),
    },
    others_at_work={"a tag added": tag("billing", "77")},
    read_calls={"DescribeRouteTables": 1},
)


# -- security group ------------------------------------------------------------------------------------------------
def _security_group(aws: Account, live: str) -> dict[str, Any]:
    ec2 = aws.client("ec2")
    group = sort_tags(ec2.describe_security_groups(GroupIds=[live])["SecurityGroups"][0])
    rules = ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [live]}])["SecurityGroupRules"]
    plain = scrubbed(rules, "SecurityGroupRuleId", "SecurityGroupRuleArn", "Tags")
    group["Rules"] = sorted(plain, key=lambda rule: sorted(map(str, rule.items())))
    return dict(scrubbed(group, "IpPermissions", "IpPermissionsEgress"))


def _rule(aws: Account, live: str, port: int) -> str:
    rules = aws.client("ec2").describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [live]}])
    found = [one for one in rules["SecurityGroupRules"] if one["FromPort"] == port and not one["IsEgress"]]
    return str(found[0]["SecurityGroupRuleId"])


def _open_ssh(aws: Account, live: str) -> None:
    permission = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "203.0.113.7/32"}]}
    aws.client("ec2").authorize_security_group_ingress(GroupId=live, IpPermissions=[permission])


def _revoke_443(aws: Account, live: str) -> None:
    rules = [_rule(aws, live, 443)]
    aws.client("ec2").revoke_security_group_ingress(GroupId=live, SecurityGroupRuleIds=rules)


def _describe_443(aws: Account, live: str) -> None:
    rule = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "CidrIpv4": "0.0.0.0/0", "Description": "hm"}
    changed = [{"SecurityGroupRuleId": _rule(aws, live, 443), "SecurityGroupRule": rule}]
    aws.client("ec2").modify_security_group_rules(GroupId=live, SecurityGroupRules=changed)


_GROUP = {
    "vpc": "main",
    "description": "the load balancer",
    "ingress": [
        {"port": 443, "cidr": "0.0.0.0/0", "description": "from anywhere"},
        {"protocol": "udp", "from_port": 5000, "to_port": 5010, "cidr": "10.0.0.0/8"},
        {"protocol": "icmp", "from_port": 8, "to_port": -1, "cidr": "10.0.0.0/8"},
        {"port": 8080, "security_group": "other"},
        {"protocol": "all", "self": True},
    ],
    "egress": [{"port": 5432, "cidr": "10.0.0.0/16"}, {"port": 443, "cidr": "::/0"}],
    "exclusive": True,
    "tags": {"team": "core"},
}

security_group = Sample(
    address="aws.security_group/alb",
    description={
        **VPC,
        "aws.vpc/second": {"cidr": "10.1.0.0/16"},
        "aws.security_group/other": {"vpc": "main"},
        "aws.security_group/alb": _GROUP,
    },
    facts=_security_group,
    gone=lambda aws, live: is_refused(
        "InvalidGroup.NotFound", aws.client("ec2").describe_security_groups, GroupIds=[live]
    ),
    seen=lambda facts: {
        "description": facts["Description"],
        "ingress": sorted((one["IpProtocol"], one["FromPort"]) for one in facts["Rules"] if not one["IsEgress"]),
        "egress": sorted((one["IpProtocol"], one["FromPort"]) for one in facts["Rules"] if one["IsEgress"]),
        "team": tags_of(facts["Tags"])["team"],
    },
    expect={
        "description": "the load balancer",
        "ingress": [("-1", -1), ("icmp", 8), ("tcp", 443), ("tcp", 8080), ("udp", 5000)],
        "egress": [("tcp", 443), ("tcp", 5432)],
        "team": "core",
    },
    changes={
        "ingress": [{"port": 443, "cidr": "0.0.0.0/0", "description": "renamed"}, {"port": 80, "cidr": "0.0.0.0/0"}],
        "egress": [],
        "tags": {"team": "edge"},
    },
    replaces={"description": "another purpose"},
    fixed={
        "vpc": "its rules name a group of the same network",
        "exclusive": "it steers what happens to others' rules, see the drifts",
    },
    drifts={
        "a rule revoked": drift(_revoke_443, "ingress"),
        "a rule added to the closed set": drift(_open_ssh, "ingress"),
        "a rule's description changed": drift(_describe_443, "ingress"),
        "a tag overwritten": drift(tag("team", "other"), "tags"),
    },
    others_at_work={"a tag added": tag("billing", "77")},
    read_calls={"DescribeSecurityGroups": 1, "DescribeSecurityGroupRules": 1},
)

SAMPLES = [vpc, subnet, internet_gateway, route_table, security_group]
