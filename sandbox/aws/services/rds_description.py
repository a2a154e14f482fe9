"""RDS instances: what a create call says, checked and turned into the description of the instance."""

from __future__ import annotations

import hashlib
import secrets
from datetime import UTC, datetime

from ..bridge import ask
from ..errors import AwsError
from ..world import Call
from .rds_engines import ENGINE, full_version
from .rds_store import Described, arn, bad_combination, bad_value

_RESERVED_USERS = frozenset({"admin", "rdsadmin", "postgres_admin", "rds_superuser"})
_BAD_IN_PASSWORD = frozenset('/@" ')
# Kept and shown as given; nothing in the sandbox depends on them.
_PASSED_ON = (
    "BackupTarget", "CustomerOwnedIpEnabled", "DatabaseInsightsMode", "DedicatedLogVolume", "EngineLifecycleSupport",
    "LicenseModel", "NetworkType", "PerformanceInsightsKMSKeyId", "PerformanceInsightsRetentionPeriod",
    "PromotionTier", "StorageThroughput",
)
_HANDLED = frozenset({
    "AllocatedStorage", "AutoMinorVersionUpgrade", "AvailabilityZone", "BackupRetentionPeriod",
    "CACertificateIdentifier", "CopyTagsToSnapshot", "DBInstanceClass", "DBInstanceIdentifier", "DBName",
    "DBParameterGroupName", "DBSubnetGroupName", "DeletionProtection", "EnableCloudwatchLogsExports",
    "EnableIAMDatabaseAuthentication", "EnablePerformanceInsights", "Engine", "EngineVersion", "Iops", "KmsKeyId",
    "ManageMasterUserPassword", "MasterUserPassword", "MasterUserSecretKmsKeyId", "MasterUsername",
    "MaxAllocatedStorage", "MonitoringInterval", "MonitoringRoleArn", "MultiAZ", "Port", "PreferredBackupWindow",
    "PreferredMaintenanceWindow", "PubliclyAccessible", "StorageEncrypted", "StorageType", "Tags",
    "VpcSecurityGroupIds",
})


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


def described_from(call: Call, name: str, group: Described, groups: list[str]) -> Described:
    """The description of an instance about to be created. Raises AwsError for parameters that are not valid."""
    params = call.params
    unknown = sorted(set(params) - _HANDLED - set(_PASSED_ON))
    if unknown:
        raise AwsError("NotImplemented", f"the sandbox does not know {', '.join(unknown)} of CreateDBInstance", 501)
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
        **{member: params[member] for member in _PASSED_ON if params.get(member) is not None},
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
