"""RDS instances: create, describe, delete, reboot, stop, start."""

from __future__ import annotations

import re
import threading
from datetime import UTC, datetime
from typing import Any

from ..errors import AwsError
from ..hooks import operation
from ..postgres import PostgresFailed
from ..quirks.catalogue import quirk
from ..world import Call, World
from . import rds_secrets
from .eks_store import drop_interfaces, make_interfaces
from .rds_description import check_password, described_from, security_groups
from .rds_engines import ENGINE
from .rds_snapshots import take_snapshot
from .rds_store import (
    Described,
    Instance,
    Place,
    bad_combination,
    bad_value,
    rds_of,
    records,
    servers_of,
    tag_list,
    tags_from,
)
from .rds_subnet_groups import group_of

FINAL_SNAPSHOT = quirk(
    "rds-final-snapshot",
    "Amazon RDS API Reference, DeleteDBInstance: SkipFinalSnapshot and FinalDBSnapshotIdentifier",
    "Deleting an instance without SkipFinalSnapshot and without a name for the final snapshot is refused.",
)
PROTECTION = quirk(
    "rds-deletion-protection",
    "Amazon RDS User Guide, 'Deleting a DB instance': deletion protection",
    "An instance with deletion protection cannot be deleted.",
)


def instance_of(place: Place, name: str) -> Instance:
    """The instance `name`, in any case. Raises DBInstanceNotFound."""
    found = place.instances.get(name.lower())
    if found is None:
        raise AwsError("DBInstanceNotFound", f"DBInstance {name} not found.", 404)
    return found


def require_available(instance: Instance) -> None:
    if instance.described["DBInstanceStatus"] != "available":
        raise AwsError("InvalidDBInstanceState", "Database instance is not in available state.", 400)


def shown(place: Place, instance: Instance) -> Described:
    """The instance as a client sees it, with the tags and the subnet group of this moment."""
    described = {k: v for k, v in instance.described.items() if not k.startswith("_")}
    tags = place.tags.get(described["DBInstanceArn"], {})
    return {
        **described,
        **provisioned(described),
        "TagList": tag_list(tags),
        "DBSubnetGroup": dict(described["DBSubnetGroup"]),
    }


def provisioned(described: Described) -> Described:
    """IOPS and MiB/s of gp3 storage, also where nobody asked for any. Source: RDS User Guide, "gp3 storage"."""
    if described["StorageType"] != "gp3":
        return {}
    iops, throughput = (3000, 125) if described["AllocatedStorage"] < 400 else (12000, 500)
    return {
        "Iops": described.get("Iops") or iops,
        "StorageThroughput": described.get("StorageThroughput") or throughput,
    }


def move(world: World, instance: Instance, status: str, transition: str, then: Any) -> None:
    """Puts the instance into `status` until `transition` is over, then calls `then`, unless it moved on meanwhile."""
    instance.described["DBInstanceStatus"] = status
    instance.generation += 1
    mine = instance.generation

    def finish() -> None:
        if instance.generation == mine:
            then()

    world.clock.after(transition, finish)


@operation("rds", "CreateDBInstance")
def create_instance(world: World, call: Call) -> dict[str, Any]:
    params, place = call.params, rds_of(world, call)
    name = params["DBInstanceIdentifier"].lower()
    if not re.fullmatch(r"[a-z](?:-?[a-z0-9]){0,62}", name):
        raise bad_value(f"The parameter DBInstanceIdentifier is not a valid identifier: {name}")
    if name in place.instances:
        raise AwsError("DBInstanceAlreadyExists", "DB instance already exists", 400)
    if params["Engine"] != ENGINE:
        raise bad_value(f"The sandbox has only engine {ENGINE}, not {params['Engine']}")
    if not params.get("DBSubnetGroupName"):
        raise bad_value("A DB subnet group is needed: this account has no default VPC.")
    group = group_of(place, params["DBSubnetGroupName"])
    groups = security_groups(call, params.get("VpcSecurityGroupIds", []), group["VpcId"])
    managed = bool(params.get("ManageMasterUserPassword"))
    password = _checked_password(params.get("MasterUserPassword"), managed)
    described = described_from(call, name, group, groups)
    servers = servers_of(world)
    described["_port"] = servers.reserve_port(params.get("Port")) if servers else params.get("Port") or 5432
    instance = Instance(described, password)
    place.instances[name] = instance
    place.tags[described["DBInstanceArn"]] = tags_from(call)
    instance.interfaces = make_interfaces(call, [described["_subnet"]], groups, "RDSNetworkInterface")
    if managed:
        described["MasterUserSecret"] = rds_secrets.make(world, call, instance, params.get("MasterUserSecretKmsKeyId"))
    _begin(world, instance)
    return {"DBInstance": shown(place, instance)}


def _checked_password(password: str | None, managed: bool) -> str:
    if managed:
        if password:
            raise bad_combination("You can't specify MasterUserPassword when ManageMasterUserPassword is on.")
        return rds_secrets.new_password()
    return check_password(password)


def _begin(world: World, instance: Instance) -> None:
    """creating, then backing-up if there are backups, then available; not before a real server accepts connections."""
    described, servers = instance.described, servers_of(world)
    made = threading.Event()
    failed: list[str] = []

    def finish() -> None:
        if not made.is_set():
            world.clock.after(0.05, finish_if_still_creating)
        elif failed:
            described["DBInstanceStatus"] = "failed"
        else:
            address = servers.address if servers else described["_host"]
            described["Endpoint"] = {"Address": address, "Port": described["_port"], "HostedZoneId": "Z2R2ITUGPM61AM"}
            described["LatestRestorableTime"] = datetime.now(UTC)
            if described["BackupRetentionPeriod"]:
                move(world, instance, "backing-up", "rds.instance.backing-up", become_available)
            else:
                become_available()

    def finish_if_still_creating() -> None:
        if described["DBInstanceStatus"] == "creating":
            finish()

    def become_available() -> None:
        described["DBInstanceStatus"] = "available"

    def make() -> None:
        assert servers is not None
        try:
            servers.create(
                described["DbiResourceId"], described["_port"], described["MasterUsername"], instance.password,
                described.get("DBName"),
            )
        except (PostgresFailed, OSError) as error:
            failed.append(str(error))
            world.report(f"PostgreSQL of {described['DBInstanceIdentifier']}: {error}")
        finally:
            made.set()

    instance.described["_made"] = made
    if servers:
        threading.Thread(target=make, name="initdb", daemon=True).start()
    else:
        made.set()
    move(world, instance, "creating", "rds.instance.creating", finish)


@operation("rds", "DescribeDBInstances")
def describe_instances(world: World, call: Call) -> dict[str, Any]:
    place, name = rds_of(world, call), call.params.get("DBInstanceIdentifier")
    if name and name.startswith("arn:"):
        name = name.rpartition(":")[2]
    found = [instance_of(place, name)] if name else list(place.instances.values())
    described = [shown(place, instance) for instance in found]
    for wanted in call.params.get("Filters", []):
        member = _FILTERS.get(wanted["Name"])
        if member is None:
            raise bad_value(f"Unrecognized filter name: {wanted['Name']}")
        values = {value.rpartition(":")[2] for value in wanted["Values"]}
        described = [d for d in described if d.get(member) in values]
    chosen, marker = records(call, described, "DBInstanceIdentifier")
    return {"DBInstances": chosen, **marker}


_FILTERS = {
    "db-instance-id": "DBInstanceIdentifier", "dbi-resource-id": "DbiResourceId", "engine": "Engine",
    "db-cluster-id": "DBClusterIdentifier",
}


@operation("rds", "DeleteDBInstance")
def delete_instance(world: World, call: Call) -> dict[str, Any]:
    place, params = rds_of(world, call), call.params
    instance = instance_of(place, params["DBInstanceIdentifier"])
    described, final = instance.described, params.get("FinalDBSnapshotIdentifier")
    if described["DBInstanceStatus"] == "deleting":
        raise AwsError("InvalidDBInstanceState", f"Instance {described['DBInstanceIdentifier']} is already being "
                       "deleted.", 400)
    if described["DeletionProtection"] and world.quirk(PROTECTION):
        raise bad_combination("Cannot delete protected DB Instance, please disable deletion protection and try again.")
    if params.get("SkipFinalSnapshot"):
        if final:
            raise bad_combination("FinalDBSnapshotIdentifier can not be specified when SkipFinalSnapshot is set.")
    elif not final and world.quirk(FINAL_SNAPSHOT):
        raise bad_combination("FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified.")
    if final:
        if described["DBInstanceStatus"] == "creating":
            raise AwsError("InvalidDBInstanceState", "Cannot create a final snapshot while the instance is being "
                           "created.", 400)
        take_snapshot(call, place, instance, final, {})
    place_key = call.place

    def vanish() -> None:
        made, servers = described["_made"], servers_of(world)
        if not made.is_set():
            world.clock.after(0.05, vanish)
            return
        place.instances.pop(described["DBInstanceIdentifier"], None)
        place.tags.pop(described["DBInstanceArn"], None)
        rds_secrets.drop(place_key, described)
        drop_interfaces(world, place_key, instance.interfaces)
        if servers:
            servers.destroy(described["DbiResourceId"], described["_port"])

    move(world, instance, "deleting", "rds.instance.deleting", vanish)
    return {"DBInstance": shown(place, instance)}


def _set_status(instance: Instance, status: str) -> None:
    instance.described["DBInstanceStatus"] = status


@operation("rds", "RebootDBInstance")
def reboot_instance(world: World, call: Call) -> dict[str, Any]:
    """Applies parameter groups that wait for a reboot; a real server restarts."""
    place = rds_of(world, call)
    instance = instance_of(place, call.params["DBInstanceIdentifier"])
    require_available(instance)
    _restart(world, instance)
    for group in instance.described["DBParameterGroups"]:
        group["ParameterApplyStatus"] = "in-sync"
    move(world, instance, "rebooting", "rds.instance.rebooting", lambda: _set_status(instance, "available"))
    return {"DBInstance": shown(place, instance)}


def _restart(world: World, instance: Instance) -> None:
    servers, described = servers_of(world), instance.described
    if servers:
        servers.stop(described["DbiResourceId"])
        servers.start(described["DbiResourceId"], described["_port"])


@operation("rds", "StopDBInstance")
def stop_instance(world: World, call: Call) -> dict[str, Any]:
    place = rds_of(world, call)
    instance = instance_of(place, call.params["DBInstanceIdentifier"])
    require_available(instance)
    servers = servers_of(world)
    if servers:
        servers.stop(instance.described["DbiResourceId"])
    move(world, instance, "stopping", "rds.instance.stopping", lambda: _set_status(instance, "stopped"))
    return {"DBInstance": shown(place, instance)}


@operation("rds", "StartDBInstance")
def start_instance(world: World, call: Call) -> dict[str, Any]:
    place = rds_of(world, call)
    instance = instance_of(place, call.params["DBInstanceIdentifier"])
    if instance.described["DBInstanceStatus"] != "stopped":
        raise AwsError("InvalidDBInstanceState", "Instance is not in stopped state.", 400)
    servers = servers_of(world)
    if servers:
        servers.start(instance.described["DbiResourceId"], instance.described["_port"])
    move(world, instance, "starting", "rds.instance.starting", lambda: _set_status(instance, "available"))
    return {"DBInstance": shown(place, instance)}
