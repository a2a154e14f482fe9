"""How a run ends when it is killed or asked to stop in the middle of a call, and what the next one finds."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from .conftest import Bench, until


def children(pid: int) -> list[int]:
    """The processes that `pid` started and that still live."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


class Held:
    """A run of which one call waits at a barrier: it has been sent, and its answer has not come."""

    def __init__(self, bench: Bench, operation: str) -> None:
        self.bench = bench
        bench.play()
        bench.aws.fault("barrier_before", {"operation": operation, "access_key": bench.account.access_key_id})
        self.process = bench.start()
        (self.call,) = bench.aws.waiting(60.0)
        self.worker = self._worker()

    def _worker(self) -> int:
        (worker,) = children(self.process.pid)
        return worker

    def go_on(self) -> None:
        self.bench.aws.decide(self.call["n"], "continue")

    def worker_is_gone(self) -> bool:
        return not Path(f"/proc/{self.worker}/exe").exists()

    def wait(self) -> tuple[int, str]:
        out, _ = self.process.communicate(timeout=60)
        return self.process.returncode, out


def assert_next_run_converges_at_once(bench: Bench) -> None:
    bench.aws.clear_faults()
    done = bench.run()
    assert done.code == 0, done.out
    again = bench.run()
    assert (again.code, again.writes) == (0, [])
    ec2 = bench.account.client("ec2")
    assert len(ec2.describe_vpcs()["Vpcs"]) == 1
    assert len(ec2.describe_subnets()["Subnets"]) == 2


@pytest.mark.parametrize("operation", ["CreateVpc", "CreateSubnet"])
def test_after_a_kill_of_ansible_playbook_alone_nothing_is_called_any_more(bench: Bench, operation: str) -> None:
    held = Held(bench, operation)
    os.kill(held.process.pid, signal.SIGKILL)
    assert until(held.worker_is_gone) < 2.0
    mark = bench.aws.mark()
    held.go_on()
    held.process.wait()
    time.sleep(1.0)  # nothing to wait for: this is the time in which nothing may happen
    assert [call["operation"] for call in bench.account.calls(mark) if call["n"] != held.call["n"]] == []
    assert_next_run_converges_at_once(bench)


def test_a_cancelled_run_ends_its_call_starts_nothing_new_and_lets_go_of_the_lock(bench: Bench) -> None:
    held = Held(bench, "CreateVpc")
    held.process.send_signal(signal.SIGTERM)
    until(lambda: held.process.poll() is not None)
    assert not held.worker_is_gone()
    mark = bench.aws.mark()
    held.go_on()
    until(held.worker_is_gone)
    code, out = held.wait()
    assert code == -signal.SIGTERM
    assert "capstan: stopped." in out and "Not done: aws.s" in out and "the next run starts at once" in out
    assert {call["service"] for call in bench.account.calls(mark) if call["write"]} == {"ssm"}
    until(lambda: len(bench.account.client("ec2").describe_vpcs()["Vpcs"]) == 1)  # lists lag behind creations
    bench.play("stack_info", gather=["lock"])
    bench.aws.clear_faults()
    bench.run()
    assert {stack: lock["released"] for stack, lock in bench.result["lock"].items() if lock} == {
        "shop": True,
        "shop-platform": True,
    }
    bench.play()
    assert_next_run_converges_at_once(bench)


def test_ctrl_c_does_the_same_and_the_command_waits_for_it(bench: Bench) -> None:
    held = Held(bench, "CreateVpc")
    held.process.send_signal(signal.SIGINT)
    time.sleep(1.5)  # longer than ansible itself waits for its workers
    assert held.process.poll() is None
    held.go_on()
    code, out = held.wait()
    assert code != 0
    assert "capstan: stopped." in out and "interrupted" in out
    assert held.worker_is_gone()
    assert_next_run_converges_at_once(bench)


def test_the_second_of_two_runs_stops_before_any_write_and_names_the_holder(bench: Bench) -> None:
    held = Held(bench, "CreateVpc")
    mark = bench.aws.mark()
    second = subprocess.run(
        bench.command(),
        cwd=bench.folder,
        env=bench.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert second.returncode == 2
    assert "is held by" in second.stdout and "Nothing was written" in second.stdout
    assert [call["operation"] for call in bench.account.calls(mark) if call["write"]] == []
    held.go_on()
    code, out = held.wait()
    assert code == 0, out
    assert json.loads((bench.folder / "result.json").read_text())["changed"] is True


def test_progress_comes_as_it_happens_also_into_a_pipe(bench: Bench) -> None:
    held = Held(bench, "CreateSubnet")
    assert held.process.stdout is not None
    pipe, said = held.process.stdout.fileno(), bytearray()
    os.set_blocking(pipe, False)

    def created() -> bool:
        with contextlib.suppress(BlockingIOError):
            said.extend(os.read(pipe, 65536))
        return b"created aws.vpc/main" in said

    until(created)
    os.set_blocking(pipe, True)
    held.go_on()
    assert held.wait()[0] == 0
