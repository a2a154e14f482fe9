"""Faults on demand: each kind does what it says, to the call it was meant for."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, EndpointConnectionError

from sandbox.aws.testing import Account, AwsSandbox, SandboxError

from .conftest import code_of, wait_for

LOST = (ConnectionClosedError, EndpointConnectionError)


@pytest.fixture(autouse=True)
def _calm(calm: AwsSandbox) -> None:
    pass


def vpcs(account: Account) -> list[str]:
    return sorted(vpc["CidrBlock"] for vpc in account.client("ec2").describe_vpcs()["Vpcs"])


def of(account: Account, **match: Any) -> dict[str, Any]:
    return {"access_key": account.access_key_id, **match}


def create(account: Account, cidr: str = "10.0.0.0/16") -> Any:
    return account.client("ec2").create_vpc(CidrBlock=cidr)


def test_the_nth_matching_call_fails_and_no_other(aws: AwsSandbox, account: Account) -> None:
    rule = aws.fault("error", of(account, operation="CreateVpc", nth=2, count=2), code="Unlucky", status=418)
    codes = [code_of(account.client("ec2").create_vpc, CidrBlock=f"10.{i}.0.0/16") for i in range(4)]
    assert codes == ["", "Unlucky", "Unlucky", ""]
    assert vpcs(account) == ["10.0.0.0/16", "10.3.0.0/16"]
    hit = [c["n"] for c in account.calls() if c["code"] == "Unlucky"]
    assert aws.fault_hits(rule) == hit
    assert [(c["status"], c["executed"]) for c in account.calls() if c["n"] in hit] == [(418, False)] * 2


def test_count_zero_means_from_then_on_until_removed(aws: AwsSandbox, account: Account) -> None:
    aws.fault("throttle", of(account, service="ec2", count=0))
    assert [code_of(account.client("ec2").describe_vpcs) for _ in range(3)] == ["RequestLimitExceeded"] * 3
    aws.clear_faults()
    assert code_of(account.client("ec2").describe_vpcs) == ""


@pytest.mark.parametrize(
    ("service", "call", "code"),
    [
        ("ec2", "describe_vpcs", "RequestLimitExceeded"),
        ("ecr", "describe_repositories", "ThrottlingException"),
        ("eks", "list_clusters", "ThrottlingException"),
        ("iam", "list_roles", "Throttling"),
        ("rds", "describe_db_instances", "Throttling"),
        ("route53", "list_hosted_zones", "Throttling"),
        ("ssm", "describe_parameters", "ThrottlingException"),
    ],
)
def test_throttling_has_the_code_of_the_service(
    aws: AwsSandbox, account: Account, service: str, call: str, code: str
) -> None:
    aws.fault("throttle", of(account, service=service))
    assert code_of(getattr(account.client(service), call)) == code


def test_rules_can_mean_writes_only_and_patterns_of_names(aws: AwsSandbox, account: Account) -> None:
    aws.fault("error", of(account, write=True, count=0), code="ReadOnly")
    aws.fault("error", of(account, operation="*Subnets", count=0), code="Pattern")
    ec2 = account.client("ec2")
    assert code_of(ec2.create_vpc, CidrBlock="10.0.0.0/16") == "ReadOnly"
    assert (code_of(ec2.describe_vpcs), code_of(ec2.describe_subnets)) == ("", "Pattern")
    assert code_of(ec2.create_vpc, CidrBlock="10.0.0.0/16", DryRun=True) == "DryRunOperation"


def test_dropped_before_means_not_executed(aws: AwsSandbox, account: Account) -> None:
    aws.fault("drop_before", of(account, operation="CreateVpc"))
    with pytest.raises(LOST):
        create(account)
    assert vpcs(account) == []
    assert [(c["executed"], c["status"]) for c in account.calls() if c["operation"] == "CreateVpc"] == [(False, 0)]


def test_dropped_after_means_executed_and_unanswered(aws: AwsSandbox, account: Account) -> None:
    aws.fault("drop_after", of(account, operation="CreateVpc"))
    with pytest.raises(LOST):
        create(account)
    assert vpcs(account) == ["10.0.0.0/16"]
    assert [(c["executed"], c["status"]) for c in account.calls() if c["operation"] == "CreateVpc"] == [(True, 0)]


@pytest.mark.parametrize("kind", ["delay_before", "delay_after"])
def test_a_delay_holds_the_answer_back(aws: AwsSandbox, account: Account, kind: str) -> None:
    aws.fault(kind, of(account, operation="CreateVpc"), seconds=0.3)
    account.client("ec2").describe_vpcs()
    begun = time.monotonic()
    create(account)
    assert time.monotonic() - begun >= 0.3
    assert vpcs(account) == ["10.0.0.0/16"]


def in_background(call: Any) -> tuple[threading.Thread, list[str]]:
    """A thread that makes the call; how it ended ("" for success)."""
    ended: list[str] = []

    def run() -> None:
        try:
            call()
            ended.append("")
        except (ClientError, *LOST) as error:
            ended.append(type(error).__name__)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, ended


def test_a_hanging_call_goes_on_when_its_rule_is_removed(aws: AwsSandbox, account: Account) -> None:
    account.client("ec2")
    rule = aws.fault("hang", of(account, operation="CreateVpc"))
    thread, ended = in_background(lambda: create(account))
    wait_for(lambda: aws.fault_hits(rule))
    assert (vpcs(account), ended) == ([], [])
    aws.clear_faults()
    thread.join(5)
    assert (vpcs(account), ended) == (["10.0.0.0/16"], [""])


def test_a_hanging_call_whose_client_is_gone_never_happens(
    aws: AwsSandbox, account: Account, client: subprocess.Popen[str]
) -> None:
    rule = aws.fault("hang", of(account, operation="CreateVpc"))
    assert client.stdout is not None
    child = int(client.stdout.readline())
    wait_for(lambda: aws.fault_hits(rule), 20)
    client.kill()
    client.wait()
    subprocess.run(["kill", str(child)], check=True)
    aws.clear_faults()
    wait_for(lambda: [c["executed"] for c in account.calls() if c["operation"] == "CreateVpc"] == [False])
    assert vpcs(account) == []


def test_rules_can_mean_one_user_agent(aws: AwsSandbox, account: Account) -> None:
    aws.fault("error", of(account, user_agent="capstan/", count=0), code="Ours")
    ours = account.client("ec2", config=Config(user_agent_extra="capstan/0.1.0", retries={"total_max_attempts": 1}))
    assert (code_of(ours.describe_vpcs), code_of(account.client("ec2").describe_vpcs)) == ("Ours", "")


@pytest.mark.parametrize(
    ("kind", "verdict", "made_at_barrier", "made", "ended"),
    [
        ("barrier_before", "continue", [], ["10.0.0.0/16"], [""]),
        ("barrier_before", "drop", [], [], ["ConnectionClosedError"]),
        ("barrier_after", "continue", ["10.0.0.0/16"], ["10.0.0.0/16"], [""]),
        ("barrier_after", "drop", ["10.0.0.0/16"], ["10.0.0.0/16"], ["ConnectionClosedError"]),
    ],
)
def test_at_a_barrier_the_controller_decides(
    aws: AwsSandbox,
    account: Account,
    kind: str,
    verdict: str,
    made_at_barrier: list[str],
    made: list[str],
    ended: list[str],
) -> None:
    account.client("ec2")
    aws.fault(kind, of(account, operation="CreateVpc"))
    thread, how = in_background(lambda: create(account))
    (waiting,) = aws.waiting()
    assert (waiting["operation"], waiting["stage"]) == ("CreateVpc", kind.removeprefix("barrier_"))
    assert (vpcs(account), how) == (made_at_barrier, [])
    aws.decide(waiting["n"], verdict)
    thread.join(5)
    assert (vpcs(account), how) == (made, ended)
    with pytest.raises(SandboxError):
        aws.decide(waiting["n"], verdict)


_CLIENT = """
import subprocess, sys
from sandbox.aws.testing import Account
child = subprocess.Popen(["sleep", "60"])
print(child.pid, flush=True)
import boto3
boto3.client("ec2").create_vpc(CidrBlock="10.0.0.0/16")
"""


@pytest.fixture
def client(account: Account) -> Iterator[subprocess.Popen[str]]:
    """A process with a child of its own that is about to create a VPC; it starts to after its first line."""
    process = subprocess.Popen(
        [sys.executable, "-c", _CLIENT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**account.environment(), "PATH": "/usr/bin:/bin"},
        cwd=Path(__file__).resolve().parents[3],
    )
    yield process
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        assert pipe is not None
        pipe.close()


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize(("kind", "made"), [("kill_before", []), ("kill_after", ["10.0.0.0/16"])])
@pytest.mark.parametrize("tree", [False, True])
def test_the_client_is_killed_before_or_after_its_call_alone_or_with_its_tree(
    aws: AwsSandbox,
    account: Account,
    client: subprocess.Popen[str],
    kind: str,
    made: list[str],
    tree: bool,
    tmp_path: Path,
) -> None:
    (tmp_path / "pid").write_text(str(client.pid))
    aws.fault(kind, of(account, operation="CreateVpc"), pid_file=str(tmp_path / "pid"), tree=tree)
    assert client.stdout is not None
    child = int(client.stdout.readline())
    assert client.wait(20) == -9
    wait_for(lambda: is_alive(child) is not tree)
    wait_for(lambda: [c["status"] for c in account.calls() if c["operation"] == "CreateVpc"] == [0])
    assert vpcs(account) == made
    if not tree:
        subprocess.run(["kill", str(child)], check=True)


@pytest.mark.parametrize(
    "rule",
    [
        {"effect": {"kind": "explode"}},
        {"effect": {"kind": "delay_before"}},
        {"effect": {"kind": "kill_before"}},
        {"match": {"verb": "x"}, "effect": {"kind": "throttle"}},
        {"kind": "throttle"},
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(aws: AwsSandbox, rule: dict[str, Any]) -> None:
    with pytest.raises(SandboxError, match="BadRule"):
        aws.control("POST", "faults", rule)
    assert aws.control("GET", "faults") == []
