"""RDS: states, pending changes, subnet groups, managed passwords. Real servers are in test_rds_postgres."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sandbox.aws.testing import Account, AwsSandbox

from .conftest import code_of, wait_for
from .network import make_network

ID: dict[str, Any] = {"DBInstanceIdentifier": "main"}


@pytest.fixture(autouse=True)
def _calm(calm: AwsSandbox) -> None:
    pass


@pytest.fixture
def rds(account: Account) -> Any:
    """A client of an account with the subnet group "data"."""
    client = account.client("rds")
    client.create_db_subnet_group(
        DBSubnetGroupName="data", DBSubnetGroupDescription="d", SubnetIds=make_network(account)["subnets"]
    )
    return client


def create(rds: Any, **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = rds.create_db_instance(**{
        **ID, "DBInstanceClass": "db.t3.micro", "Engine": "postgres", "EngineVersion": "15", "MasterUsername": "app",
        "MasterUserPassword": "sw0rdfish-", "AllocatedStorage": 20, "DBSubnetGroupName": "data", **more,
    })["DBInstance"]
    return made


def live(rds: Any) -> dict[str, Any]:
    found: dict[str, Any] = rds.describe_db_instances(**ID)["DBInstances"][0]
    return found


def available(rds: Any) -> dict[str, Any]:
    wait_for(lambda: live(rds)["DBInstanceStatus"] == "available")
    return live(rds)


def slowly(aws: AwsSandbox, *statuses: str) -> None:
    """Makes states last long enough to be seen on a busy machine."""
    aws.control("POST", "clock", {"durations": {f"rds.instance.{status}": 1.0 for status in statuses}})


def statuses_until(rds: Any, last: str) -> list[str]:
    """The statuses seen from now until `last`, each once."""
    seen: list[str] = []

    def look() -> bool:
        status = live(rds)["DBInstanceStatus"]
        if status not in seen:
            seen.append(status)
        return status == last

    wait_for(look)
    return seen


def test_an_instance_is_created_backed_up_and_available(aws: AwsSandbox, rds: Any) -> None:
    slowly(aws, "creating", "backing-up")
    made = create(rds, Tags=[{"Key": "a", "Value": "b"}])
    assert (made["DBInstanceStatus"], "Endpoint" in made) == ("creating", False)
    assert statuses_until(rds, "available") == ["creating", "backing-up", "available"]
    now = live(rds)
    assert now["Endpoint"]["Port"] == 5432
    assert now["Endpoint"]["Address"].endswith(".us-east-1.rds.amazonaws.com")
    assert (now["EngineVersion"], now["StorageType"], now["TagList"]) == ("15.14", "gp2", [{"Key": "a", "Value": "b"}])
    assert now["DBSubnetGroup"]["DBSubnetGroupName"] == "data"
    assert [g["Status"] for g in now["VpcSecurityGroups"]] == ["active"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"EngineVersion": "15.99"}, "InvalidParameterCombination"),
        ({"AllocatedStorage": 5}, "InvalidParameterValue"),
        ({"DBSubnetGroupName": "none"}, "DBSubnetGroupNotFoundFault"),
        ({"MasterUserPassword": "short"}, "InvalidParameterValue"),
        ({"MasterUsername": "admin"}, "InvalidParameterValue"),
        ({"ManageMasterUserPassword": True}, "InvalidParameterCombination"),
        ({"VpcSecurityGroupIds": ["sg-0123456789abcdef0"]}, "InvalidParameterValue"),
        ({"DBParameterGroupName": "none"}, "DBParameterGroupNotFound"),
        ({"DBInstanceIdentifier": "-x"}, "InvalidParameterValue"),
        ({"BackupRetentionPeriod": 36}, "InvalidParameterValue"),
    ],
)
def test_a_wrong_instance_is_refused_and_not_made(rds: Any, change: dict[str, Any], code: str) -> None:
    assert code_of(lambda: create(rds, **change)) == code
    assert rds.describe_db_instances()["DBInstances"] == []


def test_a_setting_that_the_sandbox_does_not_know_is_refused_and_not_ignored(rds: Any) -> None:
    assert code_of(lambda: create(rds, OptionGroupName="x")) == "NotImplemented"
    create(rds)
    available(rds)
    assert code_of(rds.modify_db_instance, **ID, NewDBInstanceIdentifier="other") == "NotImplemented"


def test_an_identifier_is_taken_once_in_any_case(rds: Any) -> None:
    create(rds)
    assert code_of(lambda: create(rds, DBInstanceIdentifier="MAIN")) == "DBInstanceAlreadyExists"


def test_nothing_is_modified_while_it_is_not_available(rds: Any) -> None:
    create(rds)
    assert code_of(rds.modify_db_instance, **ID, DeletionProtection=True) == "InvalidDBInstanceState"
    assert code_of(rds.reboot_db_instance, **ID) == "InvalidDBInstanceState"


def test_a_change_waits_for_the_maintenance_window(rds: Any, aws: AwsSandbox) -> None:
    create(rds)
    available(rds)
    aws.control("POST", "clock", {"durations": {"rds.instance.modifying": 0.01, "rds.instance.backing-up": 0.01}})
    rds.modify_db_instance(**ID, DBInstanceClass="db.t3.small")
    # By the time that another instance was made, a change that does not wait would have been over.
    create(rds, DBInstanceIdentifier="later")
    wait_for(lambda: rds.describe_db_instances(DBInstanceIdentifier="later")["DBInstances"][0]["DBInstanceStatus"]
             == "available")
    assert (live(rds)["DBInstanceClass"], live(rds)["PendingModifiedValues"]) == (
        "db.t3.micro", {"DBInstanceClass": "db.t3.small"}
    )
    assert "main" in aws.control("POST", "maintenance")["instances"]
    wait_for(lambda: live(rds)["DBInstanceClass"] == "db.t3.small")
    assert live(rds)["PendingModifiedValues"] == {}


def test_a_waiting_change_is_withdrawn_by_asking_for_what_is_live(rds: Any) -> None:
    create(rds)
    available(rds)
    rds.modify_db_instance(**ID, AllocatedStorage=40)
    rds.modify_db_instance(**ID, AllocatedStorage=20)
    assert live(rds)["PendingModifiedValues"] == {}


def test_a_change_at_once_shows_late_then_modifies_then_holds(rds: Any, aws: AwsSandbox) -> None:
    create(rds)
    available(rds)
    made = rds.modify_db_instance(**ID, AllocatedStorage=40, ApplyImmediately=True)["DBInstance"]
    assert (made["DBInstanceStatus"], made["PendingModifiedValues"]) == ("available", {"AllocatedStorage": 40})
    wait_for(lambda: live(rds)["DBInstanceStatus"] == "modifying")
    assert available(rds)["AllocatedStorage"] == 40
    aws.quirks(off=["rds-modifying-shows-late"])
    made = rds.modify_db_instance(**ID, AllocatedStorage=50, ApplyImmediately=True)["DBInstance"]
    assert made["DBInstanceStatus"] == "modifying"


def test_settings_that_never_wait_are_live_at_once(rds: Any) -> None:
    create(rds)
    available(rds)
    rds.modify_db_instance(**ID, DeletionProtection=True, PreferredBackupWindow="03:00-04:00")
    assert (live(rds)["DeletionProtection"], live(rds)["PreferredBackupWindow"]) == (True, "03:00-04:00")
    assert live(rds)["PendingModifiedValues"] == {}


def test_storage_and_versions_never_go_down(rds: Any) -> None:
    create(rds, AllocatedStorage=30, EngineVersion="15.12")
    available(rds)
    assert code_of(rds.modify_db_instance, **ID, AllocatedStorage=20) == "InvalidParameterCombination"
    assert code_of(rds.modify_db_instance, **ID, EngineVersion="15.10") == "InvalidParameterCombination"
    assert code_of(rds.modify_db_instance, **ID, EngineVersion="16.10") == "InvalidParameterCombination"
    rds.modify_db_instance(**ID, EngineVersion="16.10", AllowMajorVersionUpgrade=True, ApplyImmediately=True)
    wait_for(lambda: live(rds)["EngineVersion"] == "16.10")


@pytest.mark.parametrize(("gib", "provisioned"), [(399, (3000, 125)), (400, (12000, 500))])
def test_gp3_storage_shows_what_it_provisions_also_when_nobody_asked(
    rds: Any, gib: int, provisioned: tuple[int, int]
) -> None:
    made = create(rds, StorageType="gp3", AllocatedStorage=gib)
    assert (made["Iops"], made["StorageThroughput"]) == provisioned


def test_gp3_storage_keeps_what_was_asked_for_and_gp2_shows_none(rds: Any) -> None:
    asked = create(rds, StorageType="gp3", AllocatedStorage=400, Iops=13000, StorageThroughput=600)
    assert (asked["Iops"], asked["StorageThroughput"]) == (13000, 600)
    plain = create(rds, StorageType="gp2", DBInstanceIdentifier="plain")
    assert ("Iops" in plain, "StorageThroughput" in plain) == (False, False)


def test_a_parameter_group_waits_for_a_reboot(aws: AwsSandbox, rds: Any) -> None:
    slowly(aws, "rebooting")
    rds.create_db_parameter_group(DBParameterGroupName="tuned", DBParameterGroupFamily="postgres15", Description="d")
    create(rds)
    available(rds)
    rds.modify_db_instance(**ID, DBParameterGroupName="tuned")
    assert available(rds)["DBParameterGroups"] == [
        {"DBParameterGroupName": "tuned", "ParameterApplyStatus": "pending-reboot"}
    ]
    rds.reboot_db_instance(**ID)
    assert statuses_until(rds, "available")[0] == "rebooting"
    assert live(rds)["DBParameterGroups"][0]["ParameterApplyStatus"] == "in-sync"


def test_a_protected_instance_and_one_without_final_snapshot_are_not_deleted(rds: Any, aws: AwsSandbox) -> None:
    create(rds, DeletionProtection=True)
    available(rds)
    assert code_of(rds.delete_db_instance, **ID, SkipFinalSnapshot=True) == "InvalidParameterCombination"
    rds.modify_db_instance(**ID, DeletionProtection=False)
    available(rds)
    assert code_of(rds.delete_db_instance, **ID) == "InvalidParameterCombination"
    rds.delete_db_instance(**ID, FinalDBSnapshotIdentifier="last")
    assert live(rds)["DBInstanceStatus"] == "deleting"
    assert code_of(rds.delete_db_instance, **ID, SkipFinalSnapshot=True) == "InvalidDBInstanceState"
    wait_for(lambda: rds.describe_db_instances()["DBInstances"] == [])
    assert code_of(rds.describe_db_instances, **ID) == "DBInstanceNotFound"
    assert [s["DBSnapshotIdentifier"] for s in rds.describe_db_snapshots()["DBSnapshots"]] == ["last"]
    rds.delete_db_snapshot(DBSnapshotIdentifier="last")
    assert rds.describe_db_snapshots()["DBSnapshots"] == []


@pytest.mark.parametrize(
    ("quirk", "params"),
    [("rds-final-snapshot", {}), ("rds-deletion-protection", {"SkipFinalSnapshot": True})],
)
def test_without_the_quirk_the_deletion_goes_through(
    rds: Any, aws: AwsSandbox, quirk: str, params: dict[str, Any]
) -> None:
    create(rds, DeletionProtection=quirk == "rds-deletion-protection")
    available(rds)
    aws.quirks(off=[quirk])
    assert code_of(rds.delete_db_instance, **ID, **params) == ""


def test_a_managed_password_lies_in_secrets_manager_and_goes_with_the_instance(account: Account, rds: Any) -> None:
    made = rds.create_db_instance(
        **ID, DBInstanceClass="db.t3.micro", Engine="postgres", MasterUsername="app", AllocatedStorage=20,
        DBSubnetGroupName="data", ManageMasterUserPassword=True,
    )["DBInstance"]
    arn = made["MasterUserSecret"]["SecretArn"]
    secrets = account.client("secretsmanager")
    value = json.loads(secrets.get_secret_value(SecretId=arn)["SecretString"])
    assert (value["username"], len(value["password"]), sorted(value)) == ("app", 28, ["password", "username"])
    assert secrets.describe_secret(SecretId=arn)["Name"].startswith("rds!db-")
    assert available(rds)["MasterUserSecret"]["SecretStatus"] == "active"
    rds.modify_db_instance(**ID, RotateMasterUserPassword=True, ApplyImmediately=True)
    rotated = json.loads(secrets.get_secret_value(SecretId=arn)["SecretString"])
    assert rotated["password"] != value["password"]
    available(rds)
    rds.delete_db_instance(**ID, SkipFinalSnapshot=True)
    wait_for(lambda: rds.describe_db_instances()["DBInstances"] == [])
    assert secrets.list_secrets()["SecretList"] == []


def test_a_subnet_group_is_modified_without_losing_it(account: Account, rds: Any) -> None:
    group = rds.describe_db_subnet_groups(DBSubnetGroupName="DATA")["DBSubnetGroups"][0]
    third = account.client("ec2").create_subnet(
        VpcId=group["VpcId"], CidrBlock="10.0.9.0/24", AvailabilityZone="us-east-1c"
    )["Subnet"]["SubnetId"]
    before = [s["SubnetIdentifier"] for s in group["Subnets"]]
    rds.modify_db_subnet_group(
        DBSubnetGroupName="data", SubnetIds=[before[0], third], DBSubnetGroupDescription="new"
    )
    now = rds.describe_db_subnet_groups(DBSubnetGroupName="data")["DBSubnetGroups"][0]
    assert {s["SubnetIdentifier"] for s in now["Subnets"]} == {before[0], third}
    assert (now["DBSubnetGroupDescription"], now["DBSubnetGroupArn"]) == ("new", group["DBSubnetGroupArn"])


def test_a_subnet_group_needs_two_zones_and_no_users_to_be_deleted(account: Account, rds: Any) -> None:
    subnet = rds.describe_db_subnet_groups()["DBSubnetGroups"][0]["Subnets"][0]["SubnetIdentifier"]
    one = {"DBSubnetGroupName": "one", "DBSubnetGroupDescription": "d", "SubnetIds": [subnet]}
    assert code_of(rds.create_db_subnet_group, **one) == "DBSubnetGroupDoesNotCoverEnoughAZs"
    again = {**one, "DBSubnetGroupName": "Data"}
    assert code_of(rds.create_db_subnet_group, **again) == "DBSubnetGroupAlreadyExists"
    create(rds)
    assert code_of(rds.delete_db_subnet_group, DBSubnetGroupName="data") == "InvalidDBSubnetGroupStateFault"
    available(rds)
    rds.delete_db_instance(**ID, SkipFinalSnapshot=True)
    wait_for(lambda: code_of(rds.delete_db_subnet_group, DBSubnetGroupName="data") == "")
    assert code_of(rds.describe_db_subnet_groups, DBSubnetGroupName="data") == "DBSubnetGroupNotFoundFault"


def test_engine_versions_tell_majors_minors_and_upgrades(account: Account) -> None:
    rds = account.client("rds")
    found = rds.describe_db_engine_versions(Engine="postgres", EngineVersion="15")["DBEngineVersions"]
    assert [v["EngineVersion"] for v in found] == ["15.10", "15.12", "15.13", "15.14"]
    targets = [t["EngineVersion"] for t in found[2]["ValidUpgradeTarget"]]
    assert targets == ["15.14", "16.10", "17.6"]
    assert {v["DBParameterGroupFamily"] for v in found} == {"postgres15"}
    default = rds.describe_db_engine_versions(Engine="postgres", DefaultOnly=True)["DBEngineVersions"]
    assert [v["EngineVersion"] for v in default] == ["17.6"]


def test_tags_of_instances_and_of_parameter_groups_are_changed_by_arn(rds: Any) -> None:
    arn = create(rds)["DBInstanceArn"]
    group = rds.create_db_parameter_group(
        DBParameterGroupName="p", DBParameterGroupFamily="postgres15", Description="d"
    )["DBParameterGroup"]["DBParameterGroupArn"]
    for name in (arn, group):
        rds.add_tags_to_resource(ResourceName=name, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
        rds.remove_tags_from_resource(ResourceName=name, TagKeys=["a"])
        assert rds.list_tags_for_resource(ResourceName=name)["TagList"] == [{"Key": "b", "Value": "2"}]
    assert live(rds)["TagList"] == [{"Key": "b", "Value": "2"}]


def test_instances_come_in_pages_of_at_least_twenty(rds: Any) -> None:
    assert code_of(rds.describe_db_instances, MaxRecords=5) == "InvalidParameterValue"
    for number in range(21):
        create(rds, DBInstanceIdentifier=f"db-{number:02}")
    first = rds.describe_db_instances(MaxRecords=20)
    rest = rds.describe_db_instances(MaxRecords=20, Marker=first["Marker"])
    assert (len(first["DBInstances"]), len(rest["DBInstances"]), "Marker" in rest) == (20, 1, False)


def test_a_stopped_instance_starts_again(aws: AwsSandbox, rds: Any) -> None:
    create(rds)
    available(rds)
    slowly(aws, "stopping", "starting")
    rds.stop_db_instance(**ID)
    assert statuses_until(rds, "stopped") == ["stopping", "stopped"]
    assert code_of(rds.modify_db_instance, **ID, DeletionProtection=True) == "InvalidDBInstanceState"
    rds.start_db_instance(**ID)
    assert statuses_until(rds, "available") == ["starting", "available"]
