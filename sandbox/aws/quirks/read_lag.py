"""EC2 and IAM are eventually consistent: what was just created is not seen at once, by id or in lists.

Source: EC2 API Reference, "Eventual consistency"; IAM User Guide, troubleshooting.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from ..errors import AwsError
from ..hooks import after, before
from ..world import Call, World
from .catalogue import quirk

EC2 = quirk(
    "ec2-read-after-write-lag",
    "Amazon EC2 API Reference, 'Eventual consistency'",
    "For up to 0.3 s a fresh resource is in no list, and its id is answered with the NotFound code of its kind, "
    "also by other operations that name it.",
)
IAM = quirk(
    "iam-read-after-write-lag",
    "IAM User Guide, 'Changes that I make are not always immediately visible'",
    "For up to 0.3 s a fresh role is missing in ListRoles and GetAccountAuthorizationDetails.",
)

# Create operation -> path to the id in its answer.
_CREATED = {
    "CreateVpc": ("Vpc", "VpcId"),
    "CreateSubnet": ("Subnet", "SubnetId"),
    "CreateInternetGateway": ("InternetGateway", "InternetGatewayId"),
    "CreateRouteTable": ("RouteTable", "RouteTableId"),
    "CreateSecurityGroup": ("GroupId",),
    "CreateNetworkInterface": ("NetworkInterface", "NetworkInterfaceId"),
}
# Describe operation -> list in its answer, id of an item.
_LISTED = {
    "DescribeVpcs": ("Vpcs", "VpcId"),
    "DescribeSubnets": ("Subnets", "SubnetId"),
    "DescribeInternetGateways": ("InternetGateways", "InternetGatewayId"),
    "DescribeRouteTables": ("RouteTables", "RouteTableId"),
    "DescribeSecurityGroups": ("SecurityGroups", "GroupId"),
    "DescribeNetworkInterfaces": ("NetworkInterfaces", "NetworkInterfaceId"),
    "DescribeSecurityGroupRules": ("SecurityGroupRules", "GroupId"),
    "DescribeTags": ("Tags", "ResourceId"),
}
# Prefix of an id -> (error code, what it is called in the message).
NOT_FOUND = {
    "vpc": ("InvalidVpcID.NotFound", "vpc ID"),
    "subnet": ("InvalidSubnetID.NotFound", "subnet ID"),
    "igw": ("InvalidInternetGatewayID.NotFound", "internetGateway ID"),
    "rtb": ("InvalidRouteTableID.NotFound", "routeTable ID"),
    "sg": ("InvalidGroup.NotFound", "security group"),
    "eni": ("InvalidNetworkInterfaceID.NotFound", "networkInterface ID"),
}


class Visibility:
    """From when on each fresh resource is seen, in seconds of the world's clock, and how many were made."""

    def __init__(self, world: World) -> None:
        self.seen_from: dict[tuple[str, str], float] = {}
        self.count: dict[str, int] = {}

    def hide(self, world: World, account: str, name: str) -> None:
        """Hides `name` for a time that depends on the account and on how many came before, so that it repeats."""
        self.count[account] = number = self.count.get(account, 0) + 1
        lag = random.Random(f"{account} {number}").random() * world.clock.duration("read.lag")
        self.seen_from[account, name] = world.clock.now() + lag

    def is_hidden(self, world: World, account: str, name: str) -> bool:
        until = self.seen_from.get((account, name))
        if until is not None and world.clock.now() >= until:
            del self.seen_from[account, name]
            return False
        return until is not None


@after("ec2", *_CREATED, quirk=EC2)
def hide_what_is_fresh(world: World, call: Call, result: dict[str, Any]) -> dict[str, Any]:
    found: Any = result
    for part in _CREATED[call.name]:
        found = found[part]
    world.store(Visibility).hide(world, call.account, str(found))
    return result


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)


@before("ec2", "*", quirk=EC2)
def fresh_is_not_found(world: World, call: Call) -> None:
    visibility = world.store(Visibility)
    if not visibility.seen_from:
        return
    for name in _texts({k: v for k, v in call.params.items() if k != "Filters"}):
        prefix = name.partition("-")[0]
        if prefix in NOT_FOUND and visibility.is_hidden(world, call.account, name):
            code, what = NOT_FOUND[prefix]
            raise AwsError(code, f"The {what} '{name}' does not exist", 400)


@after("ec2", *_LISTED, quirk=EC2)
def lists_lack_what_is_fresh(world: World, call: Call, result: dict[str, Any]) -> dict[str, Any]:
    visibility, (member, key) = world.store(Visibility), _LISTED[call.name]
    if not visibility.seen_from:
        return result
    kept = [item for item in result.get(member, []) if not visibility.is_hidden(world, call.account, item.get(key, ""))]
    return {**result, member: kept}


@after("iam", "CreateRole", quirk=IAM)
def hide_fresh_role(world: World, call: Call, result: dict[str, Any]) -> dict[str, Any]:
    world.store(Visibility).hide(world, call.account, f"role/{call.params['RoleName']}")
    return result


@after("iam", "ListRoles", "GetAccountAuthorizationDetails", quirk=IAM)
def role_lists_lack_what_is_fresh(world: World, call: Call, result: dict[str, Any]) -> dict[str, Any]:
    visibility = world.store(Visibility)
    member = "Roles" if call.name == "ListRoles" else "RoleDetailList"
    kept = [
        role for role in result.get(member, [])
        if not visibility.is_hidden(world, call.account, f"role/{role['RoleName']}")
    ]
    return {**result, member: kept}
