"""The database as RDS shows it, and as a client does."""

from __future__ import annotations

import json
from typing import Any

import psycopg2
import pytest


@pytest.fixture(scope="module")
def instance(aws: Any) -> dict[str, Any]:
    (found,) = aws("rds").describe_db_instances(DBInstanceIdentifier="molecule-database-main")["DBInstances"]
    result: dict[str, Any] = found
    return result


def test_it_is_a_small_postgresql_15(instance: dict[str, Any]) -> None:
    assert instance["DBInstanceStatus"] == "available"
    assert (instance["Engine"], instance["EngineVersion"].partition(".")[0]) == ("postgres", "15")
    assert instance["DBInstanceClass"] == "db.t3.micro"
    assert (instance["DBName"], instance["MasterUsername"]) == ("orders", "owner")


def test_its_storage_is_encrypted_and_grows(instance: dict[str, Any]) -> None:
    assert instance["StorageEncrypted"] is True
    assert (instance["AllocatedStorage"], instance["MaxAllocatedStorage"]) == (20, 40)
    assert instance["StorageType"] == "gp3"


def test_backups_are_kept_for_two_days(instance: dict[str, Any]) -> None:
    assert instance["BackupRetentionPeriod"] == 2
    assert instance["PreferredBackupWindow"] == "03:00-04:00"
    assert instance["PreferredMaintenanceWindow"] == "sun:04:30-sun:05:30"
    assert instance["AutoMinorVersionUpgrade"] is True


def test_it_lies_in_the_isolated_subnets_behind_its_group(aws: Any, instance: dict[str, Any]) -> None:
    ids = [one["SubnetIdentifier"] for one in instance["DBSubnetGroup"]["Subnets"]]
    subnets = aws("ec2").describe_subnets(SubnetIds=ids)["Subnets"]
    assert {item["CidrBlock"] for item in subnets} == {"10.0.192.0/24", "10.0.193.0/24", "10.0.194.0/24"}
    (group,) = [one["VpcSecurityGroupId"] for one in instance["VpcSecurityGroups"]]
    (found,) = aws("ec2").describe_security_groups(GroupIds=[group])["SecurityGroups"]
    assert {"Key": "capstan:address", "Value": "aws.security_group/database"} in found["Tags"]
    assert instance["PubliclyAccessible"] is False
    assert instance["MultiAZ"] is False


def test_the_managed_password_opens_it_over_tls(aws: Any, instance: dict[str, Any]) -> None:
    secret = aws("secretsmanager").get_secret_value(SecretId=instance["MasterUserSecret"]["SecretArn"])
    login = json.loads(secret["SecretString"])
    connection = psycopg2.connect(
        host=instance["Endpoint"]["Address"],
        port=instance["Endpoint"]["Port"],
        dbname="orders",
        user=login["username"],
        password=login["password"],
        sslmode="require",
    )
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT current_user, current_database(), current_setting('server_version_num')::int / 10000")
        assert cursor.fetchone() == ("owner", "orders", 15)
    connection.close()
