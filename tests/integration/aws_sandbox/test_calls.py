"""The call log, and which calls count as writes."""

from __future__ import annotations

import json
import re

import botocore.session
import pytest
from botocore.config import Config

from sandbox.aws.protocol import SERVICES
from sandbox.aws.reads import is_write
from sandbox.aws.testing import Account, AwsSandbox

from .conftest import code_of


def test_a_call_is_logged_with_who_called_what_and_how_it_ended(aws: AwsSandbox, account: Account) -> None:
    account.client("ec2", config=Config(user_agent="capstan/0.1.0")).create_vpc(CidrBlock="10.0.0.0/16")
    (call,) = account.calls()
    assert (call["service"], call["operation"], call["write"], call["executed"]) == ("ec2", "CreateVpc", True, True)
    assert (call["status"], call["code"]) == (200, "")
    assert call["user_agent"].startswith("capstan/0.1.0")
    assert call["access_key"] == account.access_key_id
    assert call["params"] == {"CidrBlock": "10.0.0.0/16"}
    assert call["duration_ms"] > 0


def test_a_refused_call_is_logged_with_its_error_code(aws: AwsSandbox, account: Account) -> None:
    assert code_of(account.client("iam").get_role, RoleName="none") == "NoSuchEntity"
    (call,) = account.calls()
    assert (call["operation"], call["status"], call["code"]) == ("GetRole", 404, "NoSuchEntity")


def test_calls_since_a_mark_are_those_after_it_and_carry_rising_numbers(aws: AwsSandbox, account: Account) -> None:
    account.client("sts").get_caller_identity()
    mark = aws.mark()
    account.client("ec2").describe_vpcs()
    account.client("ec2").describe_subnets()
    assert [(c["operation"], c["n"] > mark) for c in account.calls()] == [
        ("DescribeVpcs", True), ("DescribeSubnets", True)
    ]


def test_the_file_holds_the_same_records(aws: AwsSandbox, account: Account) -> None:
    account.client("ec2").describe_vpcs()
    lines = [json.loads(line) for line in (aws.state / "calls.jsonl").read_text().splitlines()]
    assert [line for line in lines if line["account"] == account.id] == account.calls()


def test_a_dry_run_is_no_write_and_creates_nothing(aws: AwsSandbox, account: Account) -> None:
    ec2 = account.client("ec2")
    assert code_of(ec2.create_vpc, CidrBlock="10.0.0.0/16", DryRun=True) == "DryRunOperation"
    assert ec2.describe_vpcs()["Vpcs"] == []
    assert [(c["operation"], c["write"]) for c in account.calls()] == [("CreateVpc", False), ("DescribeVpcs", False)]


def test_secrets_do_not_reach_the_log(aws: AwsSandbox, account: Account) -> None:
    account.client("secretsmanager").create_secret(Name="a", SecretString="hunter2-one")
    account.client("ssm").put_parameter(Name="/a", Value="hunter2-two", Type="SecureString")
    change = {"DBInstanceIdentifier": "a", "MasterUserPassword": "hunter2-three"}
    assert code_of(account.client("rds").modify_db_instance, **change) == "DBInstanceNotFound"
    assert "hunter2" not in (aws.state / "calls.jsonl").read_text()
    assert [c["params"] for c in account.calls() if c["operation"] == "PutParameter"] == [
        {"Name": "/a", "Value": "***", "Type": "SecureString"}
    ]


_MUTATING = re.compile(
    r"Create|Delete|Put|Update|Modify|Attach|Detach|Add|Remove|Associate|Disassociate|Authorize|Revoke|Register|"
    r"Deregister|Start|Stop|Reboot|Reset|Restore|Tag|Untag|Set|Enable|Disable|Send|Cancel|Upload|Rotate|Import|Copy"
)


@pytest.mark.parametrize("service", sorted(SERVICES.values()))
def test_no_operation_of_a_mutating_verb_counts_as_a_read(service: str) -> None:
    names = botocore.session.get_session().get_service_model(service).operation_names
    assert [name for name in names if _MUTATING.match(name) and not is_write(service, name)] == []


@pytest.mark.parametrize("service", sorted(SERVICES.values()))
def test_every_operation_counted_as_a_read_has_a_verb_that_only_reads(service: str) -> None:
    names = botocore.session.get_session().get_service_model(service).operation_names
    reads = [name for name in names if not is_write(service, name)]
    others = {name for name in reads if not re.match("(Describe|Get|List|Search|Simulate|BatchGet)[A-Z]", name)}
    assert others == {
        "ec2": {"ConfirmProductInstance"},
        "ecr": {"BatchCheckLayerAvailability"},
        "eks": set(),
        "iam": set(),
        "rds": {"DownloadDBLogFilePortion"},
        "route53": {"TestDNSAnswer"},
        "secretsmanager": {"ValidateResourcePolicy"},
        "ssm": set(),
        "sts": {
            "AssumeRole", "AssumeRoleWithSAML", "AssumeRoleWithWebIdentity", "AssumeRoot", "DecodeAuthorizationMessage"
        },
    }[service]


def test_an_unknown_verb_counts_as_a_write() -> None:
    assert is_write("ec2", "FrobnicateVpc")
