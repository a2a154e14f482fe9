"""Sandboxes of one process of tests are forked from one server; each is as if it had been started by itself."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from sandbox.aws.testing import AwsSandbox, SandboxError
from sandbox.process import stat_of

from .conftest import wait_for
from .test_rds_postgres import listens

ROOT = Path(__file__).resolve().parents[3]

# A test session that ends by itself and forgets to stop its sandbox.
FORGETFUL = """
from sandbox.aws.testing import AwsSandbox
aws = AwsSandbox().start()
print(aws.pid, flush=True)
"""


def fork_server_of(pid: int) -> int:
    """The process that the sandbox `pid` was forked from."""
    stat = stat_of(pid)
    assert stat is not None
    return stat.parent


def make_vpc(aws: AwsSandbox) -> str:
    return str(aws.client("ec2").create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"])


def vpcs(aws: AwsSandbox) -> set[str]:
    return {vpc["VpcId"] for vpc in aws.client("ec2").describe_vpcs()["Vpcs"]}


def test_two_sandboxes_at_once_share_nothing() -> None:
    with AwsSandbox() as one, AwsSandbox() as other:
        one.durations(read__lag=0)
        other.durations(read__lag=0)
        assert fork_server_of(one.pid) == fork_server_of(other.pid)
        assert one.url != other.url and one.credentials != other.credentials
        assert vpcs(one) == vpcs(other) == set()
        in_one = {make_vpc(one)}
        in_other = {make_vpc(other), make_vpc(other)}
        assert (vpcs(one), vpcs(other)) == (in_one, in_other)
        assert in_one.isdisjoint(in_other), "ids are drawn by each sandbox for itself"
        one.deny(["ec2:*"])
        assert vpcs(other) == in_other
        logged = (one.state / "calls.jsonl").read_text().splitlines()
        assert [json.loads(line)["operation"] for line in logged].count("CreateVpc") == 1


def test_what_the_fork_server_asked_of_moto_is_in_no_sandbox() -> None:
    with AwsSandbox(quirks="off") as one, AwsSandbox(quirks="off") as other:
        in_one, in_other = (
            {each["VpcId"] for each in aws.account("000000000000").client("ec2").describe_vpcs()["Vpcs"]}
            for aws in (one, other)
        )
        assert len(in_one) == len(in_other) == 1  # the account's default VPC, made in this sandbox
        assert in_one != in_other


def test_sandboxes_started_by_several_threads_at_once_have_one_fork_server() -> None:
    with AwsSandbox() as aws:
        os.kill(gone := fork_server_of(aws.pid), signal.SIGKILL)
        wait_for(lambda: stat_of(gone) is None)
    sandboxes = [AwsSandbox() for _ in range(6)]
    try:
        with ThreadPoolExecutor(6) as pool:
            list(pool.map(AwsSandbox.start, sandboxes))
        for aws in sandboxes:
            assert aws.client("sts").get_caller_identity()["Account"] == "123456789012"
        assert len({aws.pid for aws in sandboxes}) == len({aws.url for aws in sandboxes}) == 6
        assert len({fork_server_of(aws.pid) for aws in sandboxes}) == 1
    finally:
        for aws in sandboxes:
            aws.stop()


def test_a_sandbox_has_the_environment_of_the_moment_it_is_started_in(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    authority = tmp_path / "ca.crt"
    authority.touch()
    with AwsSandbox():  # the fork server is there, with another environment
        monkeypatch.setenv("CAPSTAN_SANDBOX_DIR", str(tmp_path))
        with AwsSandbox(kubernetes_endpoint="https://10.77.0.1:16443", kubernetes_ca=authority) as aws:
            (note,) = (tmp_path / "run" / "aws").iterdir()
            assert json.loads(note.read_text())["pid"] == aws.pid


def test_a_killed_sandbox_is_gone_at_once_and_starts_again_in_the_same_state_folder(tmp_path: Path) -> None:
    aws = AwsSandbox(state=tmp_path / "s").start()
    try:
        make_vpc(aws)
        killed, keys = aws.pid, aws.credentials
        os.kill(killed, signal.SIGKILL)
        wait_for(lambda: not Path(f"/proc/{killed}").exists())  # nor is it a zombie
        aws.stop()
        aws.start()
        assert aws.pid != killed and aws.credentials != keys
        assert vpcs(aws) == set()
        logged = [json.loads(line)["operation"] for line in (aws.state / "calls.jsonl").read_text().splitlines()]
        assert logged == ["CreateVpc", "DescribeVpcs"]
    finally:
        aws.stop()


def test_a_refused_command_line_is_told_with_its_reason() -> None:
    with pytest.raises(SandboxError, match="invalid choice: 'ludicrous'"):
        AwsSandbox(speed="ludicrous").start()


def test_a_taken_port_is_told_and_the_next_sandbox_starts() -> None:
    with AwsSandbox() as aws:
        with pytest.raises(SandboxError, match="Address already in use"):
            AwsSandbox(listen=aws.url.removeprefix("http://")).start()
        with AwsSandbox() as other:
            assert vpcs(aws) == vpcs(other) == set()


def test_the_fork_server_has_one_thread() -> None:
    """A lock that another thread held would stay locked in everything that is forked meanwhile."""
    with AwsSandbox() as aws:
        assert len(list(Path(f"/proc/{fork_server_of(aws.pid)}/task").iterdir())) == 1


def test_sandboxes_outlive_their_fork_server_and_the_next_has_another() -> None:
    with AwsSandbox() as aws:
        gone = fork_server_of(aws.pid)
        os.kill(gone, signal.SIGKILL)
        wait_for(lambda: stat_of(gone) is None)
        assert vpcs(aws) == set()
        with AwsSandbox() as other:
            assert vpcs(other) == set()
            assert fork_server_of(other.pid) != gone


def test_after_an_interrupted_start_the_next_sandbox_is_not_taken_for_that_one() -> None:
    class Interrupted(Exception):
        pass

    def interrupt(*_: object) -> None:
        raise Interrupted

    with AwsSandbox() as aws:
        server = fork_server_of(aws.pid)
    before = signal.signal(signal.SIGALRM, interrupt)
    os.kill(server, signal.SIGSTOP)  # it does not answer
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(Interrupted):
            AwsSandbox().start()
    finally:
        signal.signal(signal.SIGALRM, before)
        with suppress(ProcessLookupError):
            os.kill(server, signal.SIGCONT)
    with AwsSandbox() as aws:
        port = int(aws.url.rpartition(":")[2])
        assert listens(port)
        os.kill(aws.pid, signal.SIGKILL)
        wait_for(lambda: not listens(port))


def test_a_session_that_ends_by_itself_leaves_no_process() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORGETFUL], stdout=subprocess.PIPE, text=True, cwd=ROOT, timeout=60, check=True
    )
    wait_for(lambda: stat_of(int(done.stdout)) is None)
