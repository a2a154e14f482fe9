"""RDS: changes of an instance, at once or waiting for the maintenance window.

Source: RDS User Guide, "Settings for DB instances": which settings wait, and which apply whatever is asked for.
"""

from __future__ import annotations

from typing import Any

from ..errors import AwsError
from ..hooks import operation
from ..quirks.catalogue import quirk
from ..world import Call, World
from . import rds_secrets
from .rds_description import check_password, parameter_group, security_groups
from .rds_engines import full_version, order, upgrade_targets
from .rds_instances import instance_of, move, require_available, shown
from .rds_store import Described, Instance, Place, RdsStore, bad_combination, rds_of, servers_of
from .rds_subnet_groups import group_of

LATE = quirk(
    "rds-modifying-shows-late",
    "Amazon RDS User Guide, 'Modifying a DB instance': the modification runs asynchronously",
    "After ModifyDBInstance with ApplyImmediately the instance still reads 'available' for a moment, its change "
    "only in PendingModifiedValues.",
)
# Request member -> description member; they wait for the window unless ApplyImmediately is set.
_DEFERRED = (
    "DBInstanceClass", "AllocatedStorage", "StorageType", "Iops", "MultiAZ", "EngineVersion",
    "CACertificateIdentifier", "BackupRetentionPeriod",
)
_HANDLED = frozenset({
    "AllowMajorVersionUpgrade", "ApplyImmediately", "CloudwatchLogsExportConfiguration", "DBInstanceIdentifier",
    "DBParameterGroupName", "DBSubnetGroupName", "ManageMasterUserPassword", "MasterUserPassword",
    "MasterUserSecretKmsKeyId", "RotateMasterUserPassword", "VpcSecurityGroupIds",
})
_AT_ONCE = {
    "PreferredBackupWindow": "PreferredBackupWindow",
    "PreferredMaintenanceWindow": "PreferredMaintenanceWindow",
    "DeletionProtection": "DeletionProtection",
    "CopyTagsToSnapshot": "CopyTagsToSnapshot",
    "AutoMinorVersionUpgrade": "AutoMinorVersionUpgrade",
    "MaxAllocatedStorage": "MaxAllocatedStorage",
    "MonitoringInterval": "MonitoringInterval",
    "MonitoringRoleArn": "MonitoringRoleArn",
    "EnableIAMDatabaseAuthentication": "IAMDatabaseAuthenticationEnabled",
    "EnablePerformanceInsights": "PerformanceInsightsEnabled",
    "PubliclyAccessible": "PubliclyAccessible",
    "DatabaseInsightsMode": "DatabaseInsightsMode",
    "PerformanceInsightsRetentionPeriod": "PerformanceInsightsRetentionPeriod",
    "PerformanceInsightsKMSKeyId": "PerformanceInsightsKMSKeyId",
    "StorageThroughput": "StorageThroughput",
}


@operation("rds", "ModifyDBInstance")
def modify_instance(world: World, call: Call) -> dict[str, Any]:
    place, params = rds_of(world, call), call.params
    instance = instance_of(place, params["DBInstanceIdentifier"])
    unknown = sorted(set(params) - _HANDLED - set(_DEFERRED) - set(_AT_ONCE))
    if unknown:
        raise AwsError("NotImplemented", f"the sandbox does not know {', '.join(unknown)} of ModifyDBInstance", 501)
    require_available(instance)
    deferred = _checked_deferred(instance.described, params)
    at_once = _checked_at_once(call, place, instance, params)
    _change_password(world, call, instance)
    instance.described.update(at_once)
    pending = instance.described["PendingModifiedValues"]
    pending.update(deferred)
    if params.get("ApplyImmediately") and pending:
        _apply_soon(world, instance)
    elif at_once or _password_asked(params):
        _settle_soon(world, instance)
    return {"DBInstance": shown(place, instance)}


def _checked_deferred(described: Described, params: dict[str, Any]) -> Described:
    """The changes among those that can wait, keyed as in PendingModifiedValues."""
    wanted = {name: params[name] for name in _DEFERRED if params.get(name) is not None}
    if "EngineVersion" in wanted:
        wanted["EngineVersion"] = _checked_upgrade(described["EngineVersion"], wanted["EngineVersion"], params)
    if wanted.get("AllocatedStorage", described["AllocatedStorage"]) < described["AllocatedStorage"]:
        raise bad_combination("Invalid storage size: allocated storage cannot be reduced.")
    kept = described["PendingModifiedValues"]
    for name in [n for n, value in wanted.items() if value == described.get(n)]:
        # Asking for what is live withdraws a change that waits.
        kept.pop(name, None)
        del wanted[name]
    return wanted


def _checked_upgrade(live: str, wanted: str, params: dict[str, Any]) -> str:
    version = live if wanted == live.split(".", maxsplit=1)[0] else full_version(wanted)
    if order(version) < order(live) or (version != live and version not in upgrade_targets(live)):
        raise bad_combination(f"Cannot upgrade postgres from {live} to {version}")
    if version.split(".")[0] != live.split(".", maxsplit=1)[0] and not params.get("AllowMajorVersionUpgrade"):
        raise bad_combination(
            "The AllowMajorVersionUpgrade flag must be present when upgrading to a new major version."
        )
    return version


def _checked_at_once(call: Call, place: Place, instance: Instance, params: dict[str, Any]) -> Described:
    """The changes that apply whatever ApplyImmediately says, keyed as in the description."""
    described = instance.described
    changes = {member: params[name] for name, member in _AT_ONCE.items() if params.get(name) is not None}
    if "PreferredMaintenanceWindow" in changes:
        changes["PreferredMaintenanceWindow"] = changes["PreferredMaintenanceWindow"].lower()
    if params.get("VpcSecurityGroupIds"):
        groups = security_groups(call, params["VpcSecurityGroupIds"], described["DBSubnetGroup"]["VpcId"])
        changes["VpcSecurityGroups"] = [{"VpcSecurityGroupId": g, "Status": "active"} for g in groups]
    if params.get("DBSubnetGroupName"):
        group = group_of(place, params["DBSubnetGroupName"])
        if group["VpcId"] != described["DBSubnetGroup"]["VpcId"]:
            raise bad_combination("Moving an instance to another VPC is not supported by the sandbox.")
        changes["DBSubnetGroup"] = group
    if params.get("DBParameterGroupName"):
        name = parameter_group(call, params["DBParameterGroupName"], described["EngineVersion"])
        if name != described["DBParameterGroups"][0]["DBParameterGroupName"]:
            changes["DBParameterGroups"] = [{"DBParameterGroupName": name, "ParameterApplyStatus": "pending-reboot"}]
    logs = params.get("CloudwatchLogsExportConfiguration") or {}
    if logs:
        enabled = set(described.get("EnabledCloudwatchLogsExports", [])) | set(logs.get("EnableLogTypes", []))
        changes["EnabledCloudwatchLogsExports"] = sorted(enabled - set(logs.get("DisableLogTypes", [])))
    return {member: value for member, value in changes.items() if described.get(member) != value}


def _password_asked(params: dict[str, Any]) -> bool:
    names = ("MasterUserPassword", "ManageMasterUserPassword", "RotateMasterUserPassword")
    return any(params.get(name) is not None for name in names)


def _change_password(world: World, call: Call, instance: Instance) -> None:
    """A given password, or the switch to or from one kept in Secrets Manager, or its rotation."""
    params, described = call.params, instance.described
    if not _password_asked(params):
        return
    managed, given = "MasterUserSecret" in described, params.get("MasterUserPassword")
    will_manage = params.get("ManageMasterUserPassword", managed)
    if will_manage and given:
        raise bad_combination("You can't specify MasterUserPassword for an instance with ManageMasterUserPassword.")
    if params.get("RotateMasterUserPassword") and not managed:
        raise bad_combination("RotateMasterUserPassword needs an instance that manages its password.")
    if will_manage and managed and not params.get("RotateMasterUserPassword"):
        return
    instance.password = rds_secrets.new_password() if will_manage else check_password(given)
    servers = servers_of(world)
    if servers:
        servers.set_password(described["DbiResourceId"], described["MasterUsername"], instance.password)
    if will_manage and managed:
        rds_secrets.renew(call.place, instance)
    elif will_manage:
        described["MasterUserSecret"] = rds_secrets.make(world, call, instance, params.get("MasterUserSecretKmsKeyId"))
    else:
        rds_secrets.drop(call.place, described)


def _apply_soon(world: World, instance: Instance) -> None:
    """modifying, then the pending values are live and the instance is available."""
    described = instance.described

    def done() -> None:
        described.update(described["PendingModifiedValues"])
        described["PendingModifiedValues"] = {}
        described["DBInstanceStatus"] = "available"
        _follow(described)

    def begin() -> None:
        move(world, instance, "modifying", "rds.instance.modifying", done)

    if world.quirk(LATE):
        move(world, instance, "available", "rds.instance.backing-up", begin)
    else:
        begin()


def _follow(described: Described) -> None:
    """Members that follow from others."""
    zones = sorted(s["SubnetAvailabilityZone"]["Name"] for s in described["DBSubnetGroup"]["Subnets"])
    described.pop("SecondaryAvailabilityZone", None)
    if described["MultiAZ"]:
        described["SecondaryAvailabilityZone"] = next(z for z in zones if z != described["AvailabilityZone"])


def _settle_soon(world: World, instance: Instance) -> None:
    def done() -> None:
        instance.described["DBInstanceStatus"] = "available"

    move(world, instance, "modifying", "rds.instance.modifying", done)


def run_maintenance(world: World) -> list[str]:
    """The maintenance window of every instance: pending values begin to apply; their names."""
    begun = []
    for place in world.store(RdsStore).places.values():
        for instance in place.instances.values():
            if instance.described["PendingModifiedValues"] and instance.described["DBInstanceStatus"] == "available":
                _apply_soon(world, instance)
                begun.append(instance.described["DBInstanceIdentifier"])
    return begun
