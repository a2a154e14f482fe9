"""The sandbox from start to end: what it leaves behind, how it survives being killed, who may touch it.

These tests take the machine's sandbox down. They refuse to when one is alive, unless CAPSTAN_TEST_LIFECYCLE=1
says that it may go; afterwards none runs.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from .conftest import CLONE, STATE, Kubectl, eventually
from .machine_state import MachineState, machine_state

pytestmark = [pytest.mark.sandbox_lifecycle, pytest.mark.timeout(600), pytest.mark.xdist_group("lifecycle")]


def sandbox(*arguments: str, clone: Path = CLONE) -> subprocess.CompletedProcess[str]:
    """One command of the sandbox, to its end."""
    return subprocess.run([sys.executable, "-m", "sandbox", *arguments], cwd=clone, capture_output=True, text=True,
                          check=False, timeout=300)


def succeeded(answer: subprocess.CompletedProcess[str]) -> str:
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout


def pids() -> dict[str, int]:
    """The pid of every component, by its pid file."""
    return {file.stem: int(file.read_text().split()[0]) for file in (STATE / "run").glob("*.pid")}


def differences(before: MachineState, after: MachineState) -> dict[str, set[str]]:
    one, other = asdict(before), asdict(after)
    return {what: one[what] ^ other[what] for what in one if one[what] != other[what]}


@pytest.fixture(scope="module", autouse=True)
def machine() -> Iterator[MachineState]:
    """The machine without a sandbox, as it was before the first test."""
    alive = sandbox("status").returncode == 0 or any(Path(f"/proc/{pid}").exists() for pid in pids().values())
    if alive and os.environ.get("CAPSTAN_TEST_LIFECYCLE") != "1":
        pytest.fail("A sandbox lives on this machine. CAPSTAN_TEST_LIFECYCLE=1 lets these tests take it down.")
    succeeded(sandbox("down"))
    yield machine_state()
    succeeded(sandbox("down"))


@pytest.fixture
def running(machine: MachineState) -> Kubectl:
    """A sandbox that serves, with kubectl for it."""
    succeeded(sandbox("up"))
    return Kubectl("default")


@pytest.fixture
def other_clone(tmp_path: Path) -> Path:
    """A second checkout of this project, as far as its sandbox needs one."""
    shutil.copytree(CLONE / "sandbox", tmp_path / "sandbox", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / ".venv").symlink_to(CLONE / ".venv")
    return tmp_path


def occupy(kubectl: Kubectl) -> None:
    """A pod with a volume, a service and a node port: something of every sort that must go again."""
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"},
             "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}
    container = {"name": "redis", "image": "127.0.0.1:5000/redis:7", "ports": [{"containerPort": 6379}],
                 "volumeMounts": [{"name": "data", "mountPath": "/data"}]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "redis", "labels": {"app": "redis"}},
           "spec": {"containers": [container],
                    "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]}}
    kubectl.apply(claim)
    kubectl.apply(pod)
    kubectl("expose", "pod", "redis", "--type=NodePort", "--port=6379")
    kubectl("wait", "pod/redis", "--for=condition=Ready", "--timeout=60s")


def test_down_leaves_the_machine_as_it_was_and_keeps_the_cache(machine: MachineState, running: Kubectl) -> None:
    occupy(running)
    changed = differences(machine, machine_state())
    assert set(changed) == {"processes", "mounts", "network_namespaces", "links", "control_groups", "packet_filter",
                            "settings", "shared_files"}
    succeeded(sandbox("down"))
    assert differences(machine, machine_state()) == {}
    assert not STATE.exists()
    cache = Path(os.environ.get("CAPSTAN_CACHE_DIR", "/var/cache/capstan"))
    assert list((cache / "parts").glob("kubernetes-*/kubelet"))


def test_a_second_up_changes_nothing_and_is_quick(running: Kubectl) -> None:
    before, began = pids(), time.monotonic()
    assert "runs already" in succeeded(sandbox("up"))
    assert time.monotonic() - began < 15
    assert pids() == before


def test_up_starts_again_what_was_killed_and_leaves_the_rest_alone(running: Kubectl) -> None:
    occupy(running)
    before = pids()
    for name in ("kube-apiserver", "aws", "kubelet"):
        os.kill(before[name], signal.SIGKILL)
    assert "does not serve" in succeeded(sandbox("up"))
    after = pids()
    assert {name for name in before if before[name] != after[name]} == {"kube-apiserver", "aws", "kubelet"}
    assert running.object("pod", "redis")["metadata"]["name"] == "redis"
    succeeded(sandbox("down"))


def test_down_takes_away_what_lost_some_of_its_parts(machine: MachineState, running: Kubectl) -> None:
    occupy(running)
    for name in ("containerd", "kubelet", "kube-proxy", "etcd"):
        os.kill(pids()[name], signal.SIGKILL)
    succeeded(sandbox("down"))
    assert differences(machine, machine_state()) == {}


@pytest.mark.parametrize("reached", ["config", "run/containerd.pid", "run/kubelet.pid"])
def test_an_up_that_was_killed_half_way_is_cleared_away(machine: MachineState, reached: str) -> None:
    began = subprocess.Popen([sys.executable, "-m", "sandbox", "up"], cwd=CLONE, stdout=subprocess.DEVNULL)
    eventually((STATE / reached).exists, 120)
    began.kill()
    began.wait()
    succeeded(sandbox("down"))
    assert differences(machine, machine_state()) == {}


def test_two_starts_at_once_make_one_sandbox(machine: MachineState) -> None:
    starts = [subprocess.Popen([sys.executable, "-m", "sandbox", "up"], cwd=CLONE, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True) for _ in range(2)]
    results = [(start.communicate()[1], start.returncode) for start in starts]
    assert sorted(status for _, status in results) == [0, 1]
    (refusal,) = (text for text, status in results if status == 1)
    assert "under way" in refusal
    succeeded(sandbox("status"))


def test_a_living_sandbox_of_another_clone_is_named_and_left_alone(running: Kubectl, other_clone: Path) -> None:
    before = pids()
    for command in ("up", "down"):
        answer = sandbox(command, clone=other_clone)
        assert answer.returncode == 1
        assert str(CLONE) in answer.stderr
    assert pids() == before
    assert "Ready" in running("get", "nodes")


def test_the_remains_of_a_dead_sandbox_of_another_clone_are_cleared_away(running: Kubectl, other_clone: Path) -> None:
    occupy(running)
    record = json.loads((STATE / "owner.json").read_text())
    (STATE / "owner.json").write_text(json.dumps({**record, "clone": str(other_clone)}))
    for pid in pids().values():
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: sandbox("status").returncode == 1, 10)
    assert "clearing away" in succeeded(sandbox("up"))
    assert json.loads((STATE / "owner.json").read_text())["clone"] == str(CLONE)
    assert running("get", "pods") == ""
    succeeded(sandbox("down"))


def test_an_address_that_someone_else_listens_on_is_named(machine: MachineState) -> None:
    succeeded(sandbox("down"))
    with socket.create_server(("127.0.0.1", 4566)):
        answer = sandbox("up")
    assert answer.returncode == 1
    assert "127.0.0.1:4566" in answer.stderr
    assert differences(machine, machine_state()) == {}
