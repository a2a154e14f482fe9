"""The sandbox as a process."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

from botocore.exceptions import ConnectionClosedError

from sandbox.aws.testing import AwsSandbox
from sandbox.process import Process, all_pids, ancestors, is_alive, process_of

from .conftest import wait_for
from .test_forkserver import fork_server_of
from .test_rds_postgres import listens

ROOT = Path(__file__).resolve().parents[3]


# A test session in small: a sandbox with a database, and then nothing more until it is killed.
SESSION = """
import time
from sandbox.aws.testing import AwsSandbox
from tests.integration.aws_sandbox.test_rds_postgres import make
aws = AwsSandbox(postgres_listen="127.0.0.1").start()
aws.durations(read__lag=0)
print(aws.state, aws.pid, make(aws, ManageMasterUserPassword=True)["Endpoint"]["Port"], flush=True)
time.sleep(600)
"""


def run(*arguments: str, stdin: int | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "sandbox.aws", *arguments], stdin=stdin, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, cwd=ROOT,
    )


def test_it_says_where_it_listens_is_healthy_and_ends_on_sigterm_within_two_seconds(tmp_path: Path) -> None:
    process = run("--listen", "127.0.0.1:0", "--state", str(tmp_path / "s"), "--account", "210987654321")
    assert process.stdout is not None
    url = process.stdout.readline().strip().rpartition(" at ")[2]
    with urllib.request.urlopen(f"{url}/_sandbox/health", timeout=5) as answer:
        assert answer.status == 200
    assert '"210987654321"' in (tmp_path / "s" / "credentials.json").read_text()
    begun = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(5) == 0
    assert time.monotonic() - begun < 2
    process.communicate()


def test_it_ends_on_sigterm_also_while_a_call_hangs() -> None:
    with AwsSandbox() as aws:
        rule = aws.fault("hang", {"service": "sts"})
        client = aws.client("sts")

        def call() -> None:
            with suppress(ConnectionClosedError):
                client.get_caller_identity()

        thread = threading.Thread(target=call)
        thread.start()
        wait_for(lambda: aws.fault_hits(rule))
        begun = time.monotonic()
        aws.stop()
        assert time.monotonic() - begun < 2
        thread.join(5)
        assert not thread.is_alive()


def below(pid: int) -> set[Process]:
    """The living processes that `pid` started, and what these started, and so on."""
    return {process for each in all_pids() if pid in ancestors(each) - {each} and (process := process_of(each))}


def test_a_killed_parent_leaves_neither_the_sandbox_nor_its_databases() -> None:
    with subprocess.Popen([sys.executable, "-c", SESSION], stdout=subprocess.PIPE, text=True, cwd=ROOT) as parent:
        assert parent.stdout is not None
        told = parent.stdout.readline().split()
        state, pid, port = Path(told[0]), int(told[1]), int(told[2])
        family = below(parent.pid)
        assert {process_of(pid), process_of(fork_server_of(pid))} < family and len(family) > 3 and listens(port)
        parent.kill()
    try:
        wait_for(lambda: not any(map(is_alive, family)))
        assert not listens(port)
        assert list(state.rglob("PG_VERSION")) == []
    finally:
        shutil.rmtree(state, ignore_errors=True)  # a sandbox that was started meanwhile may have done that


def test_with_a_parent_that_is_gone_already_it_ends_at_once(tmp_path: Path) -> None:
    process = run("--listen", "127.0.0.1:0", "--state", str(tmp_path), "--with-parent", stdin=subprocess.DEVNULL)
    process.communicate(timeout=20)
    assert process.returncode == 0


def test_an_endpoint_without_its_authority_is_refused(tmp_path: Path) -> None:
    process = run("--state", str(tmp_path), "--kubernetes-endpoint", "https://10.77.0.1:16443")
    _, told = process.communicate(timeout=10)
    assert (process.returncode, "belong together" in told) == (2, True)


def test_reset_empties_every_account_and_keeps_the_keys() -> None:
    with AwsSandbox() as aws:
        aws.durations(read__lag=0)
        account = aws.account()
        for each in (aws, account):
            each.client("ec2").create_vpc(CidrBlock="10.0.0.0/16")
            each.client("route53").create_hosted_zone(Name="a.test", CallerReference="x")
        aws.fault("throttle")
        aws.reset()
        for each in (aws, account):
            assert each.client("ec2").describe_vpcs()["Vpcs"] == []
            assert each.client("route53").list_hosted_zones()["HostedZones"] == []
        assert aws.control("GET", "faults") == []


def test_without_quirks_a_fresh_vpc_is_seen_at_once_and_there_is_a_default_one() -> None:
    with AwsSandbox(quirks="off") as aws:
        ec2 = aws.client("ec2")
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        assert {v["VpcId"]: v["IsDefault"] for v in ec2.describe_vpcs()["Vpcs"]}[vpc] is False
        assert len(ec2.describe_vpcs()["Vpcs"]) == 2
