"""One place to kill in: an AWS API of its own, a gate before the shared cluster, and the playbook as a user has it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from sandbox.aws.testing import AwsSandbox
from sandbox.paths import paths_from

from .kube_gate import KubeGate, control

ROOT = Path(__file__).parents[2]
API_SERVER = ("10.77.0.1", 16443)
RUN_LIMIT_S = 300.0
DIGEST = re.compile(r"-[0-9a-f]{10}$")  # of a name that carries its content
# Many arenas fit on one node: little is reserved, and a slow start on a busy machine is no reason to scale out.
SMALL: Mapping[str, Any] = {
    "frontend_service_type": "ClusterIP",
    "frontend_node_port": 0,
    "backend_cpu_request": "10m",
    "frontend_cpu_request": "10m",
    "redis_cpu_request": "10m",
    "backend_target_cpu_percent": 5000,
    "frontend_target_cpu_percent": 5000,
}


@dataclass(frozen=True)
class Target:
    """One API call of the converge: the `nth` of its operation. `service` "kubernetes" is the gate's."""

    service: str
    operation: str
    nth: int

    def __str__(self) -> str:
        return f"{self.service} {self.operation} #{self.nth}"


@dataclass(frozen=True)
class Kill:
    """How to kill there: `mode` before (not carried out) or after (answer lost); the whole `tree` or its root alone."""

    target: Target
    mode: str
    tree: bool

    def __str__(self) -> str:
        return f"{self.mode} {self.target}, {'whole tree' if self.tree else 'ansible-playbook alone'}"


# For what is about calls, not pods: one of each is called for as two are.
ONE_POD: Mapping[str, Any] = {"backend_replicas_min": 1, "frontend_replicas_min": 1}


class Arena:
    """`with Arena("torture-7", folder) as arena:` everything of one stack; removed at the end. `variables`: of all its
    runs with the sandbox's inventory."""

    def __init__(self, stack: str, folder: Path, variables: Mapping[str, Any] | None = None) -> None:
        self.stack = stack
        self._variables = {**SMALL, **(variables or {})}
        self._folder = folder
        self._state = paths_from(os.environ)
        self._runs = 0
        self.gate = KubeGate(self._state.pki, *API_SERVER)
        self.aws = AwsSandbox(
            kubernetes_endpoint=self.gate.url,
            kubernetes_ca=self._state.pki / "ca.crt",
            registry="127.0.0.1:5000",
            postgres_listen="10.77.0.1",
        )

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        self.gate.__enter__()
        self.aws.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kubectl("delete", "namespace", self.stack, "--ignore-not-found", "--wait=false")
        self.aws.stop()
        self.gate.__exit__()
        self._forget_images()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _forget_images(self) -> None:
        """Takes the stack's repositories out of the shared registry, which has no call for that: the next arena of this
        name has to push its images again. The layers stay, all arenas have the same."""
        storage = self._state.state / "registry" / "docker" / "registry" / "v2" / "repositories"
        for repository in storage.glob(f"{self.stack}-*"):
            shutil.rmtree(repository)

    # -- runs ---------------------------------------------------------------------------------------------------
    def start(
        self,
        *arguments: str,
        inventory: str = "inventories/sandbox",
        variables: Mapping[str, Any] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[str]:
        """`ansible-playbook` of an inventory; its pid is in `pid_file`. The sandbox's runs under this stack's name."""
        self._runs += 1
        given = {
            **os.environ,
            **self.aws.environment(),
            "CAPSTAN_RUN": f"{self.stack}-{self._runs}",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            **(environment or {}),
        }
        given.pop("KUBECONFIG", None)
        own = {"stack_name": self.stack, **self._variables}
        extra = json.dumps({**(own if inventory == "inventories/sandbox" else {}), **(variables or {})})
        command = ["ansible-playbook", "-i", inventory, "playbooks/site.yml", "-e", extra, *arguments]
        log = (self._folder / f"run-{self._runs}.log").open("w")
        process = subprocess.Popen(command, cwd=ROOT, env=given, stdout=log, stderr=subprocess.STDOUT, text=True)
        log.close()
        self.pid_file.write_text(str(process.pid))
        return process

    @property
    def run_name(self) -> str:
        """What the last run's processes carry in their environment (CAPSTAN_RUN)."""
        return f"{self.stack}-{self._runs}"

    @property
    def pid_file(self) -> Path:
        return self._folder / "pid"

    @property
    def runs(self) -> int:
        """How many runs there were: the number of the last one."""
        return self._runs

    def output(self, run: int = 0) -> str:
        """What a run printed; 0: the last one."""
        return (self._folder / f"run-{run or self._runs}.log").read_text()

    def run(self, *arguments: str) -> str:
        """A whole run, which has to succeed; what it printed."""
        status = self.start(*arguments).wait(RUN_LIMIT_S)
        assert status == 0, f"{self.stack}: exit status {status}\n{self.output()}"
        return self.output()

    def killed_run(self, kill: Kill) -> bool:
        """A run that is killed at `kill`; False when it never made that call. Two seconds later nothing of it lives."""
        effect = {"kind": f"kill_{kill.mode}", "pid_file": str(self.pid_file), "tree": kill.tree}
        match: dict[str, Any] = {"operation": kill.target.operation, "nth": kill.target.nth}
        process = self.start()
        if kill.target.service == "kubernetes":
            self.gate.faults.remove()
            self.gate.faults.add([{"match": match, "effect": effect}])
        else:
            control(self.aws.url, "faults", [{"match": {**match, "service": kill.target.service}, "effect": effect}])
        status = process.wait(RUN_LIMIT_S)
        died = status == -signal.SIGKILL
        assert died or status == 0, f"{kill}: exit status {status}\n{self.output()}"
        deadline = time.monotonic() + 2.0
        while left := processes_of(f"{self.stack}-{self._runs}"):
            assert time.monotonic() < deadline, f"{kill}: these still live two seconds later: {left}"
        self.gate.faults.remove()
        self.aws.clear_faults()  # a run that never made the call leaves its rule to the next one
        return died

    # -- what is there ------------------------------------------------------------------------------------------
    def kubectl(self, *arguments: str) -> str:
        command = [str(self._state.state / "bin" / "kubectl"), "--kubeconfig", str(self._state.kubeconfig), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout

    def inventory(self) -> Counter[str]:
        """Everything that exists, by kind and name without the stack's own name: read by plain boto3 and kubectl."""
        found: Counter[str] = Counter()
        ec2, iam, route53 = (self.aws.client(service) for service in ("ec2", "iam", "route53"))
        for kind, key in (
            ("vpcs", "Vpcs"),
            ("subnets", "Subnets"),
            ("internet_gateways", "InternetGateways"),
            ("route_tables", "RouteTables"),
            ("security_groups", "SecurityGroups"),
        ):
            found[kind] += len(getattr(ec2, f"describe_{kind}")()[key])
        found["roles"] += sum(self.stack in role["RoleName"] for role in iam.list_roles()["Roles"])
        eks = self.aws.client("eks")
        for cluster in eks.list_clusters()["clusters"]:
            found["clusters"] += 1
            found["nodegroups"] += len(eks.list_nodegroups(clusterName=cluster)["nodegroups"])
        found["repositories"] += len(self.aws.client("ecr").describe_repositories()["repositories"])
        rds = self.aws.client("rds")
        found["databases"] += len(rds.describe_db_instances()["DBInstances"])
        found["subnet groups"] += len(rds.describe_db_subnet_groups()["DBSubnetGroups"])
        for zone in route53.list_hosted_zones()["HostedZones"]:
            found["zones"] += 1
            records = route53.list_resource_record_sets(HostedZoneId=zone["Id"])["ResourceRecordSets"]
            found["records"] += len(records)
        kinds = "configmaps,secrets,services,deployments,statefulsets,horizontalpodautoscalers,poddisruptionbudgets,"
        kinds += "networkpolicies,serviceaccounts,resourcequotas,limitranges"
        names = self.kubectl("get", kinds, "-n", self.stack, "-o", "name")
        # Other runs have another database, whose address is in app-config and so in its name.
        found.update(DIGEST.sub("", line).replace(self.stack, "STACK") for line in names.split())
        return found


def processes_of(run: str) -> list[int]:
    """The living processes that carry the run's name in their environment."""
    wanted = f"CAPSTAN_RUN={run}\0".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if wanted in (entry / "environ").read_bytes() + b"\0":
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def targets_of(arena: Arena) -> list[Target]:
    """Every call that the arena's converge made, AWS and Kubernetes, each once."""
    counts: Counter[tuple[str, str]] = Counter()
    found: list[Target] = []
    aws = [(call["service"], call["operation"]) for call in arena.aws.calls(0)]
    kube = [("kubernetes", call["operation"]) for call in arena.gate.since(0)]
    for key in [*aws, *kube]:
        counts[key] += 1
        found.append(Target(*key, counts[key]))
    return found
