"""The running sandbox, seen through kubectl."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

STATE = Path(os.environ.get("CAPSTAN_SANDBOX_DIR", "/var/lib/capstan/sandbox"))
CLONE = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Kubectl:
    """kubectl as administrator, in one namespace."""

    namespace: str

    def __call__(self, *arguments: str, text: str | None = None, check: bool = True) -> str:
        """The output of one call; fails the test with kubectl's own words."""
        command = [str(STATE / "bin/kubectl"), f"--kubeconfig={STATE / 'kubeconfig'}", f"--namespace={self.namespace}"]
        answer = subprocess.run([*command, *arguments], input=text, capture_output=True, text=True, check=False)
        assert not check or answer.returncode == 0, answer.stderr
        return answer.stdout

    def object(self, kind: str, name: str) -> dict[str, Any]:
        """One object as it is."""
        return json.loads(self("get", kind, name, "--output=json"))

    def apply(self, manifest: dict[str, Any]) -> None:
        """Creates or changes one object."""
        self("apply", "--server-side", "--filename=-", text=json.dumps(manifest))


def eventually(condition: Callable[[], bool], timeout_s: float = 60) -> None:
    """Waits for `condition` with a deadline."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not so after {timeout_s} s"
        time.sleep(0.2)


@pytest.fixture(scope="module")
def kubectl() -> Iterator[Kubectl]:
    """kubectl in a namespace of the test module's own, which goes with it."""
    client = Kubectl(f"test-sandbox-{uuid4().hex[:6]}")
    client("create", "namespace", client.namespace)
    yield client
    client("delete", "namespace", client.namespace, "--wait=false")
