"""What the scenarios' tests look with: plain boto3, kubectl, and testinfra inside pods."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
import testinfra
from testinfra.host import Host

SANDBOX = Path(os.environ.get("CAPSTAN_SANDBOX_DIR") or "/var/lib/capstan/sandbox")
if shutil.which("kubectl") is None:  # testinfra calls it by this name
    os.environ["PATH"] += f":{SANDBOX / 'bin'}"


@pytest.fixture(scope="session")
def aws() -> Callable[[str], Any]:
    """Service -> boto3 client of the account that the environment leads to."""
    session = boto3.Session()
    return session.client


@pytest.fixture(scope="session")
def kubectl() -> Callable[..., str]:
    """Runs kubectl and returns what it printed. Raises CalledProcessError, with its own words."""

    def run(*arguments: str, given: str | None = None) -> str:
        done = subprocess.run(["kubectl", *arguments], input=given, capture_output=True, text=True, check=False)
        if done.returncode:
            raise subprocess.CalledProcessError(done.returncode, arguments, done.stdout, done.stderr)
        return done.stdout

    return run


@pytest.fixture(scope="session")
def live(kubectl: Callable[..., str]) -> Callable[..., dict[str, Any]]:
    """(kind, name, namespace) -> the live object; without a name: a list of them."""

    def read(kind: str, name: str = "", namespace: str = "") -> dict[str, Any]:
        where = ["--namespace", namespace] if namespace else []
        found: dict[str, Any] = json.loads(kubectl("get", kind, *([name] if name else []), *where, "--output", "json"))
        return found

    return read


@pytest.fixture(scope="session")
def pod(live: Callable[..., dict[str, Any]]) -> Callable[..., Host]:
    """(namespace, component) -> the inside of one ready pod of that component."""

    def enter(namespace: str, component: str, container: str = "") -> Host:
        found = [
            item["metadata"]["name"]
            for item in live("pods", namespace=namespace)["items"]
            if item["metadata"]["labels"].get("app.kubernetes.io/name") == component
            and not item["metadata"].get("deletionTimestamp")
        ]
        assert found, f"there is no pod of {component} in {namespace}"
        options = f"namespace={namespace}&container={container or component}&kubeconfig={os.environ['KUBECONFIG']}"
        return testinfra.get_host(f"kubectl://{found[0]}?{options}")

    return enter


def _processes(host: Host) -> list[dict[str, Any]]:
    """The processes inside a container that has no ps: pid, uid and command line."""
    script = 'for p in /proc/[0-9]*; do echo "${p#/proc/} $(stat -c %u $p) $(tr "\\0" " " < $p/cmdline)"; done'
    lines = host.run(script).stdout.splitlines()
    split = [line.split(" ", 2) for line in lines if line.count(" ") >= 2]
    return [{"pid": int(pid), "uid": int(uid), "command": command.strip()} for pid, uid, command in split]


def _listening(host: Host) -> set[int]:
    """The TCP ports that something inside a container listens on."""
    lines = host.run("cat /proc/net/tcp /proc/net/tcp6").stdout.splitlines()
    fields = [line.split() for line in lines]
    return {int(part[1].rpartition(":")[2], 16) for part in fields if len(part) > 3 and part[3] == "0A"}


@pytest.fixture(scope="session")
def processes() -> Callable[[Host], list[dict[str, Any]]]:
    return _processes


@pytest.fixture(scope="session")
def listening() -> Callable[[Host], set[int]]:
    return _listening
