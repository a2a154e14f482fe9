"""RDS subnet groups."""

from __future__ import annotations

import re
from typing import Any

from ..bridge import ask
from ..errors import AwsError
from ..hooks import operation
from ..world import Call, World
from .rds_store import Described, Place, arn, bad_value, rds_of, records, tags_from


def group_of(place: Place, name: str) -> Described:
    """The subnet group `name`, in any case. Raises DBSubnetGroupNotFoundFault."""
    found = place.subnet_groups.get(name.lower())
    if found is None:
        raise AwsError("DBSubnetGroupNotFoundFault", f"DB subnet group '{name}' does not exist.", 404)
    return found


@operation("rds", "CreateDBSubnetGroup")
def create_subnet_group(world: World, call: Call) -> dict[str, Any]:
    place, name = rds_of(world, call), call.params["DBSubnetGroupName"].lower()
    if not re.fullmatch(r"[a-z0-9 ._-]{1,255}", name) or name == "default":
        raise bad_value(f"The parameter DBSubnetGroupName is not a valid identifier: {name}")
    if name in place.subnet_groups:
        raise AwsError("DBSubnetGroupAlreadyExists", f"The DB subnet group '{name}' already exists.", 400)
    group = {
        "DBSubnetGroupName": name,
        "DBSubnetGroupDescription": call.params["DBSubnetGroupDescription"],
        "SubnetGroupStatus": "Complete",
        "DBSubnetGroupArn": arn(call, "subgrp", name),
        "SupportedNetworkTypes": ["IPV4"],
        **_subnets(call, call.params["SubnetIds"]),
    }
    place.subnet_groups[name] = group
    place.tags[group["DBSubnetGroupArn"]] = tags_from(call)
    return {"DBSubnetGroup": group}


def _subnets(call: Call, ids: list[str]) -> Described:
    """The members VpcId and Subnets of a group over these subnets; at least two zones of one VPC."""
    try:
        subnets = ask(call, "ec2", "DescribeSubnets", SubnetIds=ids)["Subnets"]
    except AwsError as error:
        raise AwsError("InvalidSubnet", error.message, 400) from error
    if len({s["VpcId"] for s in subnets}) != 1:
        raise AwsError("InvalidSubnet", "The subnets must belong to the same VPC.", 400)
    if len({s["AvailabilityZone"] for s in subnets}) < 2:
        raise AwsError(
            "DBSubnetGroupDoesNotCoverEnoughAZs", "The DB subnet group doesn't meet Availability Zone (AZ) coverage "
            "requirement. Current AZ coverage: " + subnets[0]["AvailabilityZone"] + ". Add subnets to cover at least "
            "2 AZs.", 400,
        )
    return {
        "VpcId": subnets[0]["VpcId"],
        "Subnets": [
            {"SubnetIdentifier": s["SubnetId"], "SubnetAvailabilityZone": {"Name": s["AvailabilityZone"]},
             "SubnetOutpost": {}, "SubnetStatus": "Active"}
            for s in subnets
        ],
    }


@operation("rds", "ModifyDBSubnetGroup")
def modify_subnet_group(world: World, call: Call) -> dict[str, Any]:
    place = rds_of(world, call)
    group = group_of(place, call.params["DBSubnetGroupName"])
    changed = _subnets(call, call.params["SubnetIds"])
    if changed["VpcId"] != group["VpcId"]:
        raise AwsError("InvalidSubnet", "The new subnets belong to another VPC than the group's.", 400)
    kept = {s["SubnetIdentifier"] for s in changed["Subnets"]}
    for instance in place.instances.values():
        in_use = instance.described["_subnet"]
        if instance.described["DBSubnetGroup"] is group and in_use not in kept:
            raise AwsError("SubnetAlreadyInUse", f"The specified subnet {in_use} is in use by a DB instance.", 400)
    group.update(changed)
    if call.params.get("DBSubnetGroupDescription"):
        group["DBSubnetGroupDescription"] = call.params["DBSubnetGroupDescription"]
    return {"DBSubnetGroup": group}


@operation("rds", "DescribeDBSubnetGroups")
def describe_subnet_groups(world: World, call: Call) -> dict[str, Any]:
    place, name = rds_of(world, call), call.params.get("DBSubnetGroupName")
    groups = [group_of(place, name)] if name else list(place.subnet_groups.values())
    chosen, marker = records(call, groups, "DBSubnetGroupName")
    return {"DBSubnetGroups": chosen, **marker}


@operation("rds", "DeleteDBSubnetGroup")
def delete_subnet_group(world: World, call: Call) -> dict[str, Any]:
    place = rds_of(world, call)
    group = group_of(place, call.params["DBSubnetGroupName"])
    for instance in place.instances.values():
        if instance.described["DBSubnetGroup"] is group:
            name = instance.described["DBInstanceIdentifier"]
            raise AwsError(
                "InvalidDBSubnetGroupStateFault", f"Cannot delete the subnet group '{group['DBSubnetGroupName']}' "
                f"because at least one database instance: {name} is still using it.", 400,
            )
    del place.subnet_groups[group["DBSubnetGroupName"]]
    place.tags.pop(group["DBSubnetGroupArn"], None)
    return {}
