"""An AWS API for the roles' tests, and the machine's cluster."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.aws.testing import AwsSandbox
from sandbox.paths import Paths

from .scenarios import ROOT, Ended, aws_beside_the_cluster, environment, machine


@pytest.fixture(scope="session")
def paths() -> Paths:
    """Where the machine's sandbox is; it has to run."""
    found = machine()
    assert found.kubeconfig.is_file(), "there is no sandbox: make up"
    return found


@pytest.fixture(scope="module")
def aws(paths: Paths) -> Iterator[AwsSandbox]:
    with aws_beside_the_cluster(paths) as sandbox:
        yield sandbox


@pytest.fixture
def variables(aws: AwsSandbox, paths: Paths) -> dict[str, str]:
    return environment(aws, paths)


class Playbook:
    """Runs playbooks of the collection."""

    def __init__(self, variables: dict[str, str], folder: Path) -> None:
        self.variables = {**variables, "HOME": str(folder), "ANSIBLE_FORCE_COLOR": "0"}

    def site(self, inventory: str, *arguments: str) -> Ended:
        """`ansible-playbook -i inventories/… playbooks/site.yml …`"""
        command = ["ansible-playbook", "-i", f"inventories/{inventory}", "playbooks/site.yml", *arguments]
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=self.variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=240,
            check=False,
        )
        return Ended(done.returncode, done.stdout)


@pytest.fixture
def playbook(variables: dict[str, str], tmp_path: Path) -> Playbook:
    return Playbook(variables, tmp_path)
