"""Samples of RDS."""

from __future__ import annotations

from typing import Any

from sandbox.aws.testing import Account

from .contract import Sample, drift, scrubbed, tags_of
from .samples_identity import trusting, until
from .samples_network import SUBNETS, VPC, is_refused


def _name(live: str) -> str:
    return live.rpartition(":")[2]


def _tag(key: str, value: str) -> Any:
    return lambda aws, live: aws.client("rds").add_tags_to_resource(
        ResourceName=live, Tags=[{"Key": key, "Value": value}]
    )


# -- subnet group --------------------------------------------------------------------------------------------------
def _group(aws: Account, live: str) -> dict[str, Any]:
    rds = aws.client("rds")
    group = rds.describe_db_subnet_groups(DBSubnetGroupName=_name(live))["DBSubnetGroups"][0]
    tags = tags_of(rds.list_tags_for_resource(ResourceName=live)["TagList"])
    return {**group, "Subnets": sorted(one["SubnetIdentifier"] for one in group["Subnets"]), "Tags": tags}


def _shrink(aws: Account, live: str) -> None:
    ec2 = aws.client("ec2")
    group = _group(aws, live)
    listed = ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [group["VpcId"]]}])["Subnets"]
    others = [one["SubnetId"] for one in listed if one["SubnetId"] not in group["Subnets"]]
    aws.client("rds").modify_db_subnet_group(DBSubnetGroupName=_name(live), SubnetIds=[group["Subnets"][0], *others])


subnet_group = Sample(
    address="aws.db_subnet_group/main",
    description={
        **VPC,
        **SUBNETS,
        "aws.subnet/c": {"vpc": "main", "cidr": "10.0.3.0/24", "zone": "us-east-1c"},
        "aws.db_subnet_group/main": {"subnets": ["a", "b"], "description": "isolated", "tags": {"team": "core"}},
    },
    facts=_group,
    gone=lambda aws, live: is_refused(
        "DBSubnetGroupNotFoundFault", aws.client("rds").describe_db_subnet_groups, DBSubnetGroupName=_name(live)
    ),
    seen=lambda facts: {
        "subnets": len(facts["Subnets"]),
        "description": facts["DBSubnetGroupDescription"],
        "team": facts["Tags"]["team"],
        "stack": facts["Tags"]["capstan:stack"],
    },
    expect={"subnets": 2, "description": "isolated", "team": "core", "stack": "shop"},
    changes={"subnets": ["b", "c"], "description": "for databases", "tags": {"team": "data"}},
    drifts={
        "other subnets": drift(_shrink, "subnets"),
        "a tag overwritten": drift(_tag("team", "other"), "tags"),
    },
    others_at_work={"a tag added": _tag("billing", "77")},
    read_calls={"DescribeDBSubnetGroups": 1, "ListTagsForResource": 1},
)


# -- instance ------------------------------------------------------------------------------------------------------
def _instance(aws: Account, live: str) -> dict[str, Any]:
    rds, name = aws.client("rds"), _name(live)

    def now() -> dict[str, Any]:
        found: dict[str, Any] = rds.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"][0]
        return found

    until(lambda: now()["DBInstanceStatus"] == "available" and not now()["PendingModifiedValues"])
    instance = now()
    instance["TagList"] = tags_of(instance["TagList"])
    instance["VpcSecurityGroups"] = sorted(one["VpcSecurityGroupId"] for one in instance["VpcSecurityGroups"])
    return dict(
        scrubbed(
            instance,
            "InstanceCreateTime",
            "LatestRestorableTime",
            "CertificateDetails",
            "StatusInfos",
            "ParameterApplyStatus",
        )
    )


def _modify(**changes: Any) -> Any:
    def by(aws: Account, live: str) -> None:
        aws.client("rds").modify_db_instance(DBInstanceIdentifier=_name(live), ApplyImmediately=True, **changes)
        _instance(aws, live)

    return by


def _own_parameters(aws: Account) -> None:
    aws.client("rds").create_db_parameter_group(
        DBParameterGroupName="tuned", DBParameterGroupFamily="postgres15", Description="tuned"
    )


instance = Sample(
    address="aws.db_instance/main",
    before=_own_parameters,
    protected=True,
    description={
        **VPC,
        **SUBNETS,
        "aws.db_subnet_group/main": {"subnets": ["a", "b"]},
        "aws.security_group/database": {"vpc": "main"},
        "aws.security_group/other": {"vpc": "main"},
        "aws.iam_role/monitoring": {"assume_policy": trusting("monitoring.rds.amazonaws.com")},
        "aws.db_instance/main": {
            "engine": "postgres",
            "engine_version": "15",
            "instance_class": "db.t3.medium",
            "storage_gib": 100,
            "max_storage_gib": 500,
            "storage_type": "gp3",
            "iops": 3000,
            "encrypted": True,
            "kms_key": "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555",
            "database": "app",
            "username": "capstan",
            "port": 5432,
            "subnet_group": "main",
            "security_groups": ["database"],
            "multi_az": False,
            "zone": "us-east-1a",
            "public": False,
            "parameter_group": "default.postgres15",
            "ca_certificate": "rds-ca-rsa2048-g1",
            "backup_days": 7,
            "backup_window": "03:00-04:00",
            "maintenance_window": "sun:04:30-sun:05:30",
            "auto_minor_upgrade": True,
            "copy_tags_to_snapshots": True,
            "iam_authentication": True,
            "log_exports": ["postgresql"],
            "monitoring_interval_s": 60,
            "monitoring_role": "monitoring",
            "performance_insights": True,
            "deletion_protection": False,
            "final_snapshot": True,
            "apply_immediately": True,
            "tags": {"team": "core"},
        },
    },
    facts=_instance,
    gone=lambda aws, live: is_refused(
        "DBInstanceNotFound", aws.client("rds").describe_db_instances, DBInstanceIdentifier=_name(live)
    ),
    seen=lambda facts: {
        "name": facts["DBInstanceIdentifier"],
        "version": facts["EngineVersion"].split(".")[0],
        "class": facts["DBInstanceClass"],
        "storage": (facts["AllocatedStorage"], facts["MaxAllocatedStorage"], facts["StorageType"]),
        "encrypted": facts["StorageEncrypted"],
        "database": (facts["DBName"], facts["MasterUsername"]),
        "multi_az": facts["MultiAZ"],
        "backups": (facts["BackupRetentionPeriod"], facts["PreferredBackupWindow"]),
        "maintenance": facts["PreferredMaintenanceWindow"],
        "logs": facts["EnabledCloudwatchLogsExports"],
        "monitoring": facts["MonitoringInterval"],
        "managed": facts["MasterUserSecret"]["SecretStatus"],
        "protect": facts["TagList"]["capstan:protect"],
    },
    expect={
        "name": "shop-main",
        "version": "15",
        "class": "db.t3.medium",
        "storage": (100, 500, "gp3"),
        "encrypted": True,
        "database": ("app", "capstan"),
        "multi_az": False,
        "backups": (7, "03:00-04:00"),
        "maintenance": "sun:04:30-sun:05:30",
        "logs": ["postgresql"],
        "monitoring": 60,
        "managed": "active",
        "protect": "true",
    },
    unset={
        "master_password": "RDS makes it here; a test of its own gives one",
        "throughput": "the sandbox does not show it; the pure test has it",
        "performance_insights_days": "the sandbox does not show it; the pure test has it",
    },
    changes={
        "instance_class": "db.r5.2xlarge",
        "max_storage_gib": 1000,
        "storage_type": "gp2",
        "security_groups": ["database", "other"],
        "public": True,
        "parameter_group": "tuned",
        "backup_days": 14,
        "backup_window": "02:00-03:00",
        "maintenance_window": "mon:04:30-mon:05:30",
        "auto_minor_upgrade": False,
        "copy_tags_to_snapshots": False,
        "iam_authentication": False,
        "log_exports": ["postgresql", "upgrade"],
        "monitoring_interval_s": 30,
        "performance_insights": False,
        "deletion_protection": True,
        "final_snapshot": False,
        "tags": {"team": "data"},
    },
    replaces={"username": "owner", "database": "other"},
    fixed={
        "engine": "the sandbox has one engine; as the user name: it replaces",
        "engine_version": "never goes back; its upgrade has a test of its own",
        "storage_gib": "only grows; its growth has a test of its own",
        "multi_az": "not together with a chosen zone; has a test of its own",
        "iops": "part of the storage type, the sandbox keeps no history of it",
        "kms_key": "as encryption: it replaces",
        "encrypted": "goes with its key",
        "port": "changed together with every rule that names it; the pure test has it",
        "subnet_group": "as the user name: it replaces",
        "zone": "a failover moves it; the pure test has it",
        "ca_certificate": "the sandbox has one; the pure test has it",
        "monitoring_role": "goes with the interval",
        "apply_immediately": "it steers when changes are made; the pure test has it",
    },
    drifts={
        "a smaller class": drift(_modify(DBInstanceClass="db.t3.micro"), "instance_class"),
        "fewer backups": drift(_modify(BackupRetentionPeriod=1), "backup_days"),
        "another backup window": drift(_modify(PreferredBackupWindow="10:00-11:00"), "backup_window"),
        "a log export off": drift(
            _modify(CloudwatchLogsExportConfiguration={"DisableLogTypes": ["postgresql"]}), "log_exports"
        ),
        "protected by hand": drift(_modify(DeletionProtection=True), "deletion_protection"),
        "made public": drift(_modify(PubliclyAccessible=True), "public"),
        "a tag overwritten": drift(_tag("team", "other"), "tags"),
        "its protection mark removed": drift(
            lambda aws, live: aws.client("rds").remove_tags_from_resource(
                ResourceName=live, TagKeys=["capstan:protect"]
            ),
            "marks",
        ),
    },
    others_at_work={
        "storage grows by itself": _modify(AllocatedStorage=150),
        "a tag added": _tag("billing", "77"),
    },
    read_calls={"DescribeDBInstances": 1, "GetSecretValue": 1},
)

SAMPLES = [subnet_group, instance]
