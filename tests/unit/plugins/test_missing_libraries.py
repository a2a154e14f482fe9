"""What Ansible does not bring may be missing: everything still loads, and the first use says what to install where."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
UTILS = "ansible_collections.capstan.fullstack.plugins.module_utils"
USES = {
    "botocore": f"""
from {UTILS}.aws.provider import AwsProvider, Location
use = lambda: AwsProvider({{"main": Location(account_id="123456789012", region="us-east-1")}}).open("main", None, None)
""",
    "urllib3": f"""
from {UTILS}.kube.client import Client
use = lambda: Client(None)
""",
    "PyYAML": f"""
from {UTILS}.kube.manifests import parse_manifests
use = lambda: parse_manifests("kind: Pod", component="app", owner="demo", source="pod.yml.j2")
""",
}
MODULE = {"botocore": "botocore", "urllib3": "urllib3", "PyYAML": "yaml"}
SAYS = f"""
from {UTILS}.engine.errors import CapstanError
try:
    use()
except CapstanError as error:
    print(error)
"""


@pytest.mark.parametrize("package", ["botocore", "urllib3", "PyYAML"])
def test_a_library_that_is_not_there_is_named_at_its_first_use(package: str) -> None:
    program = f"import sys; sys.modules[{MODULE[package]!r}] = None\n{USES[package]}\n{SAYS}"
    run = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT / "collections",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.stderr == ""
    assert run.stdout.startswith(f"the Python package {package} is missing (")
    assert run.stdout.rstrip().endswith(f"Install it for {sys.executable}, which runs this task.")
