"""What the benchmark stands on: an AWS API of its own with two accounts, a namespace of the sandbox's cluster, and the
environment of `inventories/sandbox`, converged once."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

import yaml

from sandbox.aws.testing import Account, AwsSandbox
from sandbox.paths import KUBERNETES, NODE_IP, REGISTRY, paths_from

from .applied import applied, managers

ROOT = Path(__file__).parents[2]
MANAGER = "capstan"  # the field manager; peers write under the same name, so they too find everything as it is
# amazon.aws looks for VPCs by a filter that the real API takes and does not document.
NOT_WITH_PEERS = "ec2-unknown-filters"


class BenchError(Exception):
    """The benchmark cannot be run, or one of its runs failed; the text says why."""


class Ground:
    """`with Ground(folder) as ground:`; afterwards nothing of it is left. `stack`: also the namespace's name.

    `ours`, `theirs`: the accounts of this collection's stack and of amazon.aws. `peer`: who the Kubernetes peers are.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stack = f"bench-{secrets.token_hex(3)}"
        self.peer = f"{self.stack}-peer"
        self._sandbox = paths_from(os.environ)
        self.kubectl = str(self._sandbox.bin / "kubectl")
        self.audit_log = self._sandbox.log / "audit.log"
        self.kubeconfig = self._sandbox.kubeconfig
        self.aws = AwsSandbox(
            kubernetes_endpoint=KUBERNETES,
            kubernetes_ca=self._sandbox.pki / "ca.crt",
            registry=REGISTRY,
            postgres_listen=NODE_IP,
        )

    def __enter__(self) -> Self:
        if not self.kubeconfig.exists():
            raise BenchError("The sandbox's cluster and images have to be there: make up")
        self.aws.start()
        self.aws.quirks(off=[NOT_WITH_PEERS])
        self.ours: Account = self.aws.account()
        self.theirs: Account = self.aws.account()
        return self

    def __exit__(self, *_: object) -> None:
        self._kubectl("delete", "namespace", self.stack, "--ignore-not-found", "--wait=false")
        self.aws.stop()

    # -- how runs are started -----------------------------------------------------------------------------------
    def site(self, *components: str, **variables: Any) -> list[str]:
        """`ansible-playbook` of the sandbox's inventory in this stack, of these components only; none: all."""
        given = {
            "stack_name": self.stack,
            "stack_account_id": self.ours.id,
            "stack_components": components,
            # It has to lie beside what else is on the machine.
            "frontend_service_type": "ClusterIP",
            "frontend_node_port": 0,
            **{f"{role}_cpu_request": "10m" for role in ("backend", "frontend", "redis")},
            **variables,
        }
        tool = str(Path(sys.executable).parent / "ansible-playbook")
        return [tool, "-i", "inventories/sandbox", "playbooks/site.yml", "-e", json.dumps(given)]

    def environment(self, account: Account) -> dict[str, str]:
        """The variables of all runs, which write below `folder` only."""
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "ANSIBLE_", "K8S_"))},
            **account.environment(),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_HOME": str(self.folder / "ansible"),
            "TMPDIR": str(self.folder),
            "KUBECONFIG": str(self.kubeconfig),
            "KUBECACHEDIR": str(self.folder / "kubectl-cache"),
            "K8S_AUTH_KUBECONFIG": str(self.kubeconfig),
            "K8S_AUTH_IMPERSONATE_USER": self.peer,
            "K8S_AUTH_IMPERSONATE_GROUPS": "system:masters",
        }

    @property
    def kubectl_as_peer(self) -> list[str]:
        """kubectl as the administrator `peer`, whose name in the audit log tells its calls from everybody else's."""
        return [self.kubectl, f"--as={self.peer}", "--as-group=system:masters"]

    def delay(self, seconds: float) -> None:
        """From now on the AWS API takes `seconds` longer for each call, whoever makes it."""
        self.aws.clear_faults()
        if seconds:
            self.aws.fault("delay_before", {"count": 0}, seconds=seconds)

    # -- the Kubernetes set -------------------------------------------------------------------------------------
    def objects(self) -> list[dict[str, Any]]:
        """The live objects of the stack, with their managed fields; first the namespace, then by kind and name."""
        kinds = self._kubectl("api-resources", "--verbs=list,patch", "--namespaced", "-o", "name").split()
        every = ",".join(kind for kind in kinds if not kind.startswith("events"))
        found: list[dict[str, Any]] = []
        for what in (("namespace", self.stack), (every, "-n", self.stack, "-l", f"capstan.dev/stack={self.stack}")):
            answer = json.loads(self._kubectl("get", *what, "--show-managed-fields", "-o", "json"))
            found += answer.get("items", [answer])
        return found

    def write_manifests(self) -> Path:
        """What the stack applied, an object a file, for peers to apply again; the folder. Some hold secrets: 0600."""
        folder = self.folder / "manifests"
        folder.mkdir(mode=0o700)
        for number, manifest in enumerate(each for live in self.objects() if (each := applied(live, MANAGER))):
            path = folder / f"{number:02}-{manifest['kind'].lower()}-{manifest['metadata']['name']}.yaml"
            path.touch(mode=0o600)
            path.write_text(yaml.safe_dump(manifest, sort_keys=False))
        return folder

    def as_applied(self) -> dict[str, Any]:
        """Object to what was applied, and who wrote to it: the same before and after a run with nothing to do."""
        return {
            f"{live['kind']}/{live['metadata']['name']}": (applied(live, MANAGER), managers(live))
            for live in self.objects()
        }

    def _kubectl(self, *arguments: str) -> str:
        command = [self.kubectl, f"--kubeconfig={self.kubeconfig}", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BenchError(f"kubectl {arguments[0]}: {done.stderr.strip()}")
        return done.stdout
