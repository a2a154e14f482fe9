"""EC2 refuses to delete what something else still uses."""

from __future__ import annotations

from typing import Any

from ..bridge import ask, backend
from ..errors import AwsError
from ..hooks import after, before
from ..world import Call, World
from .catalogue import quirk

DEPENDENCIES = quirk(
    "ec2-dependency-violation",
    "Amazon EC2 API Reference, 'Error codes': DependencyViolation, Gateway.NotAttached, CannotDelete",
    "A subnet or security group with network interfaces (also those that EKS and RDS leave for a while), a group "
    "that another group's rules name, a main or associated route table, and a VPC with an internet gateway, groups, "
    "route tables or subnets are not deleted.",
)
MANAGED = quirk(
    "ec2-managed-interfaces",
    "Amazon EC2 User Guide, 'Requester-managed network interfaces'",
    "The interfaces that EKS and RDS made cannot be deleted by the account.",
)
ASSOCIATIONS = quirk(
    "ec2-one-route-table-per-subnet",
    "Amazon VPC User Guide, 'Subnet route tables': a subnet is associated with one route table at a time",
    "Associating a subnet that has another route table is refused: Resource.AlreadyAssociated. It takes "
    "ReplaceRouteTableAssociation.",
)
_MANAGED_BY = ("Amazon EKS ", "aws-K8S-", "RDSNetworkInterface")


def _violation(message: str) -> AwsError:
    return AwsError("DependencyViolation", message, 400)


def _found(call: Call, name: str, member: str, filter_name: str, value: str) -> list[dict[str, Any]]:
    answer = ask(call, "ec2", name, Filters=[{"Name": filter_name, "Values": [value]}])
    found: list[dict[str, Any]] = answer.get(member, [])
    return found


@before("ec2", "DeleteSubnet", quirk=DEPENDENCIES)
def subnet_has_no_interfaces(world: World, call: Call) -> None:
    subnet = call.params["SubnetId"]
    if _found(call, "DescribeNetworkInterfaces", "NetworkInterfaces", "subnet-id", subnet):
        raise _violation(f"The subnet '{subnet}' has dependencies and cannot be deleted.")


@before("ec2", "DeleteSecurityGroup", quirk=DEPENDENCIES)
def group_is_used_by_nobody(world: World, call: Call) -> None:
    name = call.params.get("GroupId")
    if not name:
        return
    (group,) = ask(call, "ec2", "DescribeSecurityGroups", GroupIds=[name])["SecurityGroups"]
    if group["GroupName"] == "default":
        raise AwsError("CannotDelete", f'the specified group: "{name}" name: "default" cannot be deleted by a user')
    interfaces = _found(call, "DescribeNetworkInterfaces", "NetworkInterfaces", "group-id", name)
    if interfaces or any(_names(other, name) for other in _groups_beside(call, group)):
        raise _violation(f"resource {name} has a dependent object")


def _groups_beside(call: Call, group: dict[str, Any]) -> list[dict[str, Any]]:
    others = _found(call, "DescribeSecurityGroups", "SecurityGroups", "vpc-id", group["VpcId"])
    return [other for other in others if other["GroupId"] != group["GroupId"]]


def _names(group: dict[str, Any], wanted: str) -> bool:
    rules = group.get("IpPermissions", []) + group.get("IpPermissionsEgress", [])
    return any(pair.get("GroupId") == wanted for rule in rules for pair in rule.get("UserIdGroupPairs", []))


@before("ec2", "DeleteRouteTable", quirk=DEPENDENCIES)
def route_table_serves_nobody(world: World, call: Call) -> None:
    name = call.params["RouteTableId"]
    (table,) = ask(call, "ec2", "DescribeRouteTables", RouteTableIds=[name])["RouteTables"]
    if table.get("Associations"):
        raise _violation(f"The routeTable '{name}' has dependencies and cannot be deleted.")


@before("ec2", "AssociateRouteTable", quirk=ASSOCIATIONS)
def subnet_has_no_other_table(world: World, call: Call) -> None:
    subnet, name = call.params.get("SubnetId"), call.params["RouteTableId"]
    if not subnet:
        return
    for table in _found(call, "DescribeRouteTables", "RouteTables", "association.subnet-id", subnet):
        if table["RouteTableId"] != name:
            raise AwsError(
                "Resource.AlreadyAssociated", f"the specified association for route table {name} conflicts with an "
                "existing association", 400,
            )


@after("ec2", "DeleteSubnet")
def associations_go_with_the_subnet(world: World, call: Call, result: dict[str, Any]) -> dict[str, Any]:
    for table in backend("ec2", call.place).route_tables.values():
        associated = table._associations
        for number in [n for n, subnet in associated.items() if subnet == call.params["SubnetId"]]:
            del associated[number]
    return result


@before("ec2", "DeleteVpc", quirk=DEPENDENCIES)
def vpc_is_empty(world: World, call: Call) -> None:
    vpc = call.params["VpcId"]
    ask(call, "ec2", "DescribeVpcs", VpcIds=[vpc])
    gateways = _found(call, "DescribeInternetGateways", "InternetGateways", "attachment.vpc-id", vpc)
    subnets = _found(call, "DescribeSubnets", "Subnets", "vpc-id", vpc)
    groups = _found(call, "DescribeSecurityGroups", "SecurityGroups", "vpc-id", vpc)
    tables = _found(call, "DescribeRouteTables", "RouteTables", "vpc-id", vpc)
    own_groups = [group for group in groups if group["GroupName"] != "default"]
    own_tables = [t for t in tables if not any(a.get("Main") for a in t.get("Associations", []))]
    if gateways or subnets or own_groups or own_tables:
        raise _violation(f"The vpc '{vpc}' has dependencies and cannot be deleted.")


@before("ec2", "DeleteNetworkInterface", quirk=MANAGED)
def interface_is_the_accounts_own(world: World, call: Call) -> None:
    name = call.params["NetworkInterfaceId"]
    (found,) = ask(call, "ec2", "DescribeNetworkInterfaces", NetworkInterfaceIds=[name])["NetworkInterfaces"]
    if found.get("Description", "").startswith(_MANAGED_BY):
        raise AwsError("OperationNotPermitted", f"You are not allowed to manage '{name}'.", 400)
