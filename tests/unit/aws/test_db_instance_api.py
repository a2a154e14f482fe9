"""Fields of a database instance in the RDS API, and back."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.capstan.fullstack.plugins.module_utils.aws import db_instance_api as wording
from ansible_collections.capstan.fullstack.plugins.module_utils.aws.db_instance import instance_from_api
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.values import Secret

SHOWN: dict[str, Any] = {
    "DBInstanceIdentifier": "shop-main",
    "DBInstanceArn": "arn:aws:rds:us-east-1:123456789012:db:shop-main",
    "DbiResourceId": "db-ABC",
    "DBInstanceStatus": "available",
    "Engine": "postgres",
    "EngineVersion": "15.10",
    "DBInstanceClass": "db.t3.medium",
    "AllocatedStorage": 100,
    "StorageThroughput": 125,
    "AvailabilityZone": "us-east-1b",
    "MasterUsername": "capstan",
    "Endpoint": {"Address": "shop-main.example", "Port": 5432},
    "DBSubnetGroup": {"DBSubnetGroupName": "shop-main-1"},
    "VpcSecurityGroups": [{"VpcSecurityGroupId": "sg-1", "Status": "active"},
                          {"VpcSecurityGroupId": "sg-0", "Status": "removing"}],
    "DBParameterGroups": [{"DBParameterGroupName": "tuned"}],
    "EnabledCloudwatchLogsExports": ["postgresql"],
    "PerformanceInsightsRetentionPeriod": 7,
    "MonitoringRoleArn": "arn:aws:iam::123456789012:role/monitoring",
    "MasterUserSecret": {"SecretArn": "arn:secret", "SecretStatus": "active"},
    "TagList": [{"Key": "capstan:stack", "Value": "shop"}, {"Key": "capstan:address", "Value": "aws.db_instance/main"}],
}  # fmt: skip


def test_what_rds_has_accepted_but_not_done_yet_counts_as_done() -> None:
    pending = {
        "DBInstanceClass": "db.r5.large",
        "AllocatedStorage": 200,
        "Port": 5433,
        "PendingCloudwatchLogsExports": {"LogTypesToEnable": ["upgrade"], "LogTypesToDisable": ["postgresql"]},
    }
    fields = wording.fields_from_api({**SHOWN, "PendingModifiedValues": pending})
    assert fields["instance_class"] == "db.r5.large"
    assert fields["storage_gib"] == 200
    assert fields["port"] == 5433
    assert fields["log_exports"] == ["upgrade"]


def test_a_security_group_on_its_way_out_is_gone() -> None:
    assert wording.fields_from_api(SHOWN)["security_groups"] == ["sg-1"]


def test_fields_the_sandbox_does_not_show_are_read_too() -> None:
    fields = wording.fields_from_api(SHOWN)
    assert (fields["throughput"], fields["performance_insights_days"], fields["zone"]) == (125, 7, "us-east-1b")


@pytest.mark.parametrize(
    ("field", "before", "after", "params"),
    [
        ("port", 5432, 5433, {"DBPortNumber": 5433}),
        ("throughput", 125, 250, {"StorageThroughput": 250}),
        ("performance_insights_days", 7, 31, {"PerformanceInsightsRetentionPeriod": 31}),
        ("ca_certificate", "rds-ca-2019", "rds-ca-rsa2048-g1", {"CACertificateIdentifier": "rds-ca-rsa2048-g1"}),
        ("security_groups", ["sg-1"], None, {"VpcSecurityGroupIds": []}),
        ("engine_version", "15.10", "15.12", {"EngineVersion": "15.12"}),
        ("engine_version", "15.10", "16", {"EngineVersion": "16", "AllowMajorVersionUpgrade": True}),
        (
            "log_exports",
            ["postgresql"],
            ["upgrade"],
            {"CloudwatchLogsExportConfiguration": {"EnableLogTypes": ["upgrade"], "DisableLogTypes": ["postgresql"]}},
        ),
        ("tags", {}, {"a": "b"}, {}),
    ],
)
def test_a_change_is_asked_for_in_rds_own_words(field: str, before: Any, after: Any, params: dict[str, Any]) -> None:
    assert wording.modification({field: (before, after)}) == params


def test_the_master_password_is_a_secret_known_by_its_version() -> None:
    answer = {"SecretString": '{"username":"capstan","password":"hunter22"}', "VersionId": "v-1"}
    live = instance_from_api(SHOWN, answer)
    password = live.outputs["master_password"]
    assert isinstance(password, Secret)
    assert (password.reveal(), password.version) == ("hunter22", "v-1")
    assert "hunter22" not in repr(live)


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("available", "ready"),
        ("backing-up", "ready"),
        ("storage-optimization", "ready"),
        ("creating", "waiting"),
        ("modifying", "waiting"),
        ("deleting", "deleting"),
        ("incompatible-network", "failed"),
        ("failed", "failed"),
    ],
)
def test_the_status_says_whether_it_can_be_used(status: str, state: str) -> None:
    assert instance_from_api({**SHOWN, "DBInstanceStatus": status}, {}).readiness.state == state


def test_a_password_that_is_still_being_made_is_waited_for() -> None:
    making = {**SHOWN, "MasterUserSecret": {"SecretArn": "arn:secret", "SecretStatus": "creating"}}
    assert instance_from_api(making, {}).readiness.state == "waiting"


def test_it_goes_before_its_subnet_group_and_its_security_groups() -> None:
    refs = instance_from_api(SHOWN, {}).refs
    assert refs == {
        "arn:aws:rds:us-east-1:123456789012:subgrp:shop-main-1",
        "sg-1",
        "arn:aws:iam::123456789012:role/monitoring",
    }
