"""How fields of a database instance are written in the RDS API, and back. Pure.

Source: RDS CreateDBInstance, ModifyDBInstance, DBInstance, PendingModifiedValues.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..engine.errors import Category
from .rules import rules

SECRET_RULES = rules(Category.ABSENT, "ResourceNotFoundException")

# field -> parameter of CreateDBInstance
_CREATE = {
    "engine": "Engine",
    "engine_version": "EngineVersion",
    "instance_class": "DBInstanceClass",
    "storage_gib": "AllocatedStorage",
    "max_storage_gib": "MaxAllocatedStorage",
    "storage_type": "StorageType",
    "iops": "Iops",
    "throughput": "StorageThroughput",
    "encrypted": "StorageEncrypted",
    "kms_key": "KmsKeyId",
    "database": "DBName",
    "username": "MasterUsername",
    "master_password": "MasterUserPassword",
    "port": "Port",
    "subnet_group": "DBSubnetGroupName",
    "security_groups": "VpcSecurityGroupIds",
    "multi_az": "MultiAZ",
    "zone": "AvailabilityZone",
    "public": "PubliclyAccessible",
    "parameter_group": "DBParameterGroupName",
    "ca_certificate": "CACertificateIdentifier",
    "backup_days": "BackupRetentionPeriod",
    "backup_window": "PreferredBackupWindow",
    "maintenance_window": "PreferredMaintenanceWindow",
    "auto_minor_upgrade": "AutoMinorVersionUpgrade",
    "copy_tags_to_snapshots": "CopyTagsToSnapshot",
    "iam_authentication": "EnableIAMDatabaseAuthentication",
    "log_exports": "EnableCloudwatchLogsExports",
    "monitoring_interval_s": "MonitoringInterval",
    "monitoring_role": "MonitoringRoleArn",
    "performance_insights": "EnablePerformanceInsights",
    "performance_insights_days": "PerformanceInsightsRetentionPeriod",
    "deletion_protection": "DeletionProtection",
}
_FIXED = frozenset({"engine", "encrypted", "kms_key", "database", "username", "subnet_group", "zone", "log_exports"})
_MODIFY = {field: name for field, name in _CREATE.items() if field not in _FIXED} | {"port": "DBPortNumber"}
_OTHERWISE = frozenset({"port", "security_groups", "parameter_group", "master_password"})  # shown otherwise, or never
# field -> what DBInstance calls it, where that is a plain value
_SHOWN = {
    **{field: name for field, name in _CREATE.items() if field not in _OTHERWISE},
    "iam_authentication": "IAMDatabaseAuthenticationEnabled",
    "performance_insights": "PerformanceInsightsEnabled",
    "log_exports": "EnabledCloudwatchLogsExports",
}
# what PendingModifiedValues holds under the name that DBInstance uses, too
_PENDING = frozenset(
    {"engine_version", "instance_class", "storage_gib", "storage_type", "iops", "throughput", "multi_az", "backup_days",
     "ca_certificate", "iam_authentication"}
)  # fmt: skip


def creation(values: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of CreateDBInstance for the fields that a description gives."""
    params = {name: values[field] for field, name in _CREATE.items() if field in values}
    return params if params.get("MasterUserPassword") else {**params, "ManageMasterUserPassword": True}


def modification(fields: Mapping[str, tuple[Any, Any]]) -> dict[str, Any]:
    """The parameters of ModifyDBInstance for a change; empty when it takes none."""
    params = {name: fields[field][1] for field, name in _MODIFY.items() if field in fields}
    if "security_groups" in fields:
        params["VpcSecurityGroupIds"] = fields["security_groups"][1] or []
    if "log_exports" in fields:
        before, after = (set(side or ()) for side in fields["log_exports"])
        params["CloudwatchLogsExportConfiguration"] = {
            "EnableLogTypes": sorted(after - before),
            "DisableLogTypes": sorted(before - after),
        }
    if "master_password" in fields:
        params["ManageMasterUserPassword"] = fields["master_password"][1] is None
    if "engine_version" in fields and _major(fields["engine_version"][0]) != _major(fields["engine_version"][1]):
        params["AllowMajorVersionUpgrade"] = True
    return params


def _major(version: Any) -> str:
    return str(version).partition(".")[0]


def fields_from_api(item: Mapping[str, Any]) -> dict[str, Any]:
    """The fields as DescribeDBInstances shows them; what RDS has accepted but not carried out yet counts as done."""
    pending = item.get("PendingModifiedValues") or {}
    fields = {field: item.get(name) for field, name in _SHOWN.items()}
    fields |= {field: pending[_SHOWN[field]] for field in _PENDING if pending.get(_SHOWN[field]) is not None}
    exports = pending.get("PendingCloudwatchLogsExports") or {}
    logs = {*(fields["log_exports"] or ()), *exports.get("LogTypesToEnable", ())}
    groups = item.get("DBParameterGroups") or ()
    return {
        **fields,
        "port": pending.get("Port") or item.get("Endpoint", {}).get("Port") or item.get("DbInstancePort"),
        "subnet_group": item.get("DBSubnetGroup", {}).get("DBSubnetGroupName"),
        "security_groups": sorted(
            one["VpcSecurityGroupId"] for one in item.get("VpcSecurityGroups", ()) if one.get("Status") != "removing"
        ),
        "parameter_group": groups[0]["DBParameterGroupName"] if groups else None,
        "log_exports": sorted(logs - set(exports.get("LogTypesToDisable", ()))),
        "monitoring_interval_s": item.get("MonitoringInterval", 0),
    }
