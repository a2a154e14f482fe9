"""Whole `ansible-playbook` processes on an AWS API of this machine, each test in an account of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox.aws.testing import Account, AwsSandbox

ROOT = Path(__file__).resolve().parents[3]
ANSIBLE = Path(sys.executable).with_name("ansible-playbook")

NET = {
    "meta/argument_specs.yml": """
        argument_specs:
          main:
            options:
              net_cidr: {type: str, default: 10.0.0.0/16}
              net_subnets:
                type: list
                elements: dict
                options:
                  name: {type: str, required: true}
                  cidr: {type: str, required: true}
              net_token: {type: str, no_log: true}
        """,
    "defaults/main.yml": """
        net_cidr: 10.0.0.0/16
        net_subnets: [{name: a, cidr: 10.0.1.0/24}, {name: b, cidr: 10.0.2.0/24}]
        net_token: nothing-special
        """,
    "templates/resources.yml.j2": """
        aws.vpc/main:
          cidr: "{{ net_cidr }}"
          tags: {token: "{{ net_token }}"}
        {% for subnet in net_subnets %}
        aws.subnet/{{ subnet.name }}:
          vpc: main
          cidr: "{{ subnet.cidr }}"
          zone: us-east-1{{ subnet.name }}
        {% endfor %}
        """,
}
WALLS = {
    "meta/argument_specs.yml": """
        argument_specs: {main: {options: {walls_names: {type: list, elements: str, default: [web]}}}}
        """,
    "defaults/main.yml": "walls_names: [web]",
    "templates/resources.yml.j2": """
        {% for name in walls_names %}
        aws.security_group/{{ name }}:
          vpc: main
          tags: {of: "{{ 'aws.vpc/main' | capstan.fullstack.ref }}"}
        {% endfor %}
        """,
}
STACK = {
    "name": "shop",
    "account_id": "{{ account }}",
    "region": "us-east-1",
    "roles": [
        {"role": "net", "scope": "platform"},
        {"role": "walls", "enabled": "{{ walls_enabled | default(true) }}"},
    ],
}
# Writes a registered result into a file, without the second that a module would take.
KEEP = """
import json, pathlib
from ansible.plugins.action import ActionBase
class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        args = self._task.args
        pathlib.Path(args["path"]).write_text(json.dumps(args["result"]))
        return {"changed": False}
"""


@dataclass
class Ran:
    """What a playbook run printed and did."""

    code: int
    out: str
    calls: list[dict[str, Any]]

    @property
    def writes(self) -> list[str]:
        return [call["operation"] for call in self.calls if call["write"]]


class Bench:
    """A playbook, two roles and an account."""

    def __init__(self, folder: Path, aws: AwsSandbox) -> None:
        self.folder = folder
        self.aws = aws
        self.account: Account = aws.account()
        self.write("action_plugins/keep.py", KEEP)
        for role, files in (("net", NET), ("walls", WALLS)):
            for name, text in files.items():
                self.write(f"roles/{role}/{name}", textwrap.dedent(text).lstrip())

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def play(self, module: str = "stack", task: Mapping[str, Any] | None = None, **arguments: Any) -> None:
        """Writes a playbook of one task; what it registers is printed as JSON into `out` on the host's side."""
        given = {name: value for name, value in {**STACK, **arguments}.items() if value is not None}
        main = {"name": "Work", f"capstan.fullstack.{module}": given, "tags": ["always"], "register": "result"}
        keep = {"name": "Keep", "keep": {"result": "{{ result }}", "path": str(self.folder / "result.json")}}
        keep |= {"tags": ["always"], "diff": False}
        play = {"hosts": "all", "gather_facts": False, "tasks": [{**main, **(task or {})}, keep]}
        self.write("play.yml", yaml.safe_dump([play], sort_keys=False))

    @property
    def result(self) -> dict[str, Any]:
        return dict(json.loads((self.folder / "result.json").read_text()))

    def command(self, *options: str) -> list[str]:
        inventory = [
            "-i",
            "localhost,",
            "-e",
            "ansible_connection=local",
            "-e",
            f"ansible_python_interpreter={sys.executable}",
        ]
        account = ["-e", json.dumps({"account": self.account.id})]
        return [str(ANSIBLE), *inventory, *account, "play.yml", *options]

    @property
    def environment(self) -> dict[str, str]:
        own = ("ANSIBLE_", "AWS_", "PYTHONUNBUFFERED")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(own)}
        return {
            **kept,
            **self.account.environment(),
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"),
            "ANSIBLE_CONFIG": str(self.folder / "ansible.cfg"),
            "ANSIBLE_NOCOLOR": "1",
            "XDG_STATE_HOME": str(self.folder / "state"),
        }

    def start(self, *options: str, environment: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """A run in the background, in a process group of its own."""
        return subprocess.Popen(
            self.command(*options),
            cwd=self.folder,
            env={**self.environment, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *options: str, environment: Mapping[str, str] | None = None) -> Ran:
        mark = self.aws.mark()
        process = self.start(*options, environment=environment)
        out, _ = process.communicate(timeout=100)
        return Ran(process.returncode, out, self.account.calls(mark))


def until(condition: Callable[[], Any], limit_s: float = 20.0) -> float:
    """Waits for `condition`; the seconds that it took."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < limit_s, "waited in vain"
        time.sleep(0.02)
    return time.monotonic() - started


@pytest.fixture(scope="module")
def aws() -> Iterator[AwsSandbox]:
    with AwsSandbox() as sandbox:
        yield sandbox


@pytest.fixture
def bench(tmp_path: Path, aws: AwsSandbox) -> Iterator[Bench]:
    yield Bench(tmp_path, aws)
    aws.clear_faults()
    aws.allow_all()
