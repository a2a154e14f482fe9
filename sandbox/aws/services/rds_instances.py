"""RDS instances: create, describe, delete, reboot, stop, start."""

from __future__ import annotations

import hashlib
import re
import secrets
import threading
from datetime import UTC, datetime
from typing import Any

from ..bridge import ask
from ..errors import AwsError
from ..hooks import operation
from ..postgres import PostgresFailed
from ..quirks.catalogue import quirk
from ..world import Call, World
from . import rds_secrets
from .eks_store import drop_interfaces, make_interfaces
from .rds_engines import ENGINE, full_version
from .rds_snapshots import take_snapshot
from .rds_store import (
    Described,
    Instance,
    Place,
    arn,
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
_RESERVED_USERS = frozenset({"admin", "rdsadmin", "postgres_admin", "rds_superuser"})
_BAD_IN_PASSWORD = frozenset('/@" ')


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
    return {**described, "TagList": tag_list(tags), "DBSubnetGroup": dict(described["DBSubnetGroup"])}


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
    described = _described(call, name, group, groups)
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


def check_password(password: str | None) -> str:
    if not password:
        raise bad_value("The parameter MasterUserPassword must be provided and must not be blank.")
    if not 8 <= len(password) <= 128 or _BAD_IN_PASSWORD & set(password) or not password.isascii():
        raise bad_value(
            "The parameter MasterUserPassword is not a valid password. Only printable ASCII characters besides "
            "'/', '@', '\"', ' ' may be used, 8 to 128 of them."
        )
    return password


def security_groups(call: Call, wanted: list[str], vpc: str) -> list[str]:
    """The ids of the instance's security groups, by default the VPC's own one."""
    try:
        if wanted:
            found = ask(call, "ec2", "DescribeSecurityGroups", GroupIds=wanted)["SecurityGroups"]
            if any(group["VpcId"] != vpc for group in found):
                raise AwsError("InvalidVPCNetworkStateFault", "The DB instance and its security groups must be in "
                               "the same VPC.", 400)
            return wanted
    except AwsError as error:
        if error.code == "InvalidVPCNetworkStateFault":
            raise
        raise bad_value(f"Invalid security group , groupId= {', '.join(wanted)}, groupName=.") from error
    filters = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": "group-name", "Values": ["default"]}]
    return [g["GroupId"] for g in ask(call, "ec2", "DescribeSecurityGroups", Filters=filters)["SecurityGroups"]]


def _described(call: Call, name: str, group: Described, groups: list[str]) -> Described:
    params = call.params
    version = full_version(params.get("EngineVersion"))
    storage, retention = params.get("AllocatedStorage") or 0, params.get("BackupRetentionPeriod", 1)
    if not 20 <= storage <= 65536:
        kind = params.get("StorageType") or "gp2"
        raise bad_value(f"Invalid storage size for engine name {ENGINE} and storage type {kind}: {storage}")
    if not 0 <= retention <= 35:
        raise bad_value(f"Invalid backup retention period: {retention}. Must be between 0 and 35.")
    if (params.get("MasterUsername") or "admin").lower() in _RESERVED_USERS:
        raise bad_value(f"MasterUsername {params.get('MasterUsername')} cannot be used as it is a reserved word used "
                        "by the engine")
    if params.get("MaxAllocatedStorage") and params["MaxAllocatedStorage"] <= storage:
        raise bad_combination("Max storage size must be greater than storage size")
    zones = {s["SubnetAvailabilityZone"]["Name"]: s["SubnetIdentifier"] for s in group["Subnets"]}
    zone = params.get("AvailabilityZone") or sorted(zones)[0]
    if zone not in zones:
        raise AwsError("InvalidVPCNetworkStateFault", f"The subnet group does not cover {zone}.", 400)
    multi_az = bool(params.get("MultiAZ"))
    return {
        "DBInstanceIdentifier": name,
        "DBInstanceArn": arn(call, "db", name),
        "DbiResourceId": "db-" + secrets.token_hex(13).upper(),
        "DBInstanceClass": params["DBInstanceClass"],
        "Engine": ENGINE,
        "EngineVersion": version,
        "DBInstanceStatus": "creating",
        "MasterUsername": params["MasterUsername"],
        **({"DBName": params["DBName"]} if params.get("DBName") else {}),
        "AllocatedStorage": storage,
        **({"MaxAllocatedStorage": params["MaxAllocatedStorage"]} if params.get("MaxAllocatedStorage") else {}),
        "StorageType": params.get("StorageType") or "gp2",
        **({"Iops": params["Iops"]} if params.get("Iops") else {}),
        "StorageEncrypted": bool(params.get("StorageEncrypted")),
        **({"KmsKeyId": params.get("KmsKeyId") or f"arn:aws:kms:{call.region}:{call.account}:key/aws-rds"}
           if params.get("StorageEncrypted") else {}),
        "PreferredBackupWindow": params.get("PreferredBackupWindow") or "06:01-06:31",
        "BackupRetentionPeriod": retention,
        "PreferredMaintenanceWindow": (params.get("PreferredMaintenanceWindow") or "sun:09:01-sun:09:31").lower(),
        "DBSecurityGroups": [],
        "VpcSecurityGroups": [{"VpcSecurityGroupId": g, "Status": "active"} for g in groups],
        "DBParameterGroups": [{"DBParameterGroupName": parameter_group(call, params.get("DBParameterGroupName"),
                                                                       version), "ParameterApplyStatus": "in-sync"}],
        "OptionGroupMemberships": [
            {"OptionGroupName": f"default:postgres-{version.split('.')[0]}", "Status": "in-sync"}
        ],
        "AvailabilityZone": zone,
        **({"SecondaryAvailabilityZone": next(z for z in sorted(zones) if z != zone)} if multi_az else {}),
        "_subnet": zones[zone],
        "DBSubnetGroup": group,
        "MultiAZ": multi_az,
        "PubliclyAccessible": bool(params.get("PubliclyAccessible")),
        "AutoMinorVersionUpgrade": params.get("AutoMinorVersionUpgrade", True),
        "LicenseModel": "postgresql-license",
        "PendingModifiedValues": {},
        "ReadReplicaDBInstanceIdentifiers": [],
        "DbInstancePort": 0,
        "CACertificateIdentifier": params.get("CACertificateIdentifier") or "rds-ca-rsa2048-g1",
        "DomainMemberships": [],
        "CopyTagsToSnapshot": bool(params.get("CopyTagsToSnapshot")),
        "MonitoringInterval": params.get("MonitoringInterval", 0),
        **({"MonitoringRoleArn": params["MonitoringRoleArn"]} if params.get("MonitoringRoleArn") else {}),
        "IAMDatabaseAuthenticationEnabled": bool(params.get("EnableIAMDatabaseAuthentication")),
        "PerformanceInsightsEnabled": bool(params.get("EnablePerformanceInsights")),
        "DeletionProtection": bool(params.get("DeletionProtection")),
        **({"EnabledCloudwatchLogsExports": params["EnableCloudwatchLogsExports"]}
           if params.get("EnableCloudwatchLogsExports") else {}),
        "AssociatedRoles": [],
        "CustomerOwnedIpEnabled": False,
        "NetworkType": "IPV4",
        "BackupTarget": "region",
        "InstanceCreateTime": datetime.now(UTC),
        "_host": f"{name}.c{hashlib.sha256(call.account.encode()).hexdigest()[:11]}.{call.region}.rds.amazonaws.com",
    }


def parameter_group(call: Call, wanted: str | None, version: str) -> str:
    """The name of the instance's parameter group; one that is not there raises DBParameterGroupNotFound."""
    default = f"default.{ENGINE}{version.split('.', maxsplit=1)[0]}"
    if wanted not in (None, "", default):
        found = ask(call, "rds", "DescribeDBParameterGroups", DBParameterGroupName=wanted)
        if not found.get("DBParameterGroups"):
            raise AwsError("DBParameterGroupNotFound", f"DBParameterGroup not found: {wanted}", 404)
    return wanted or default


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
