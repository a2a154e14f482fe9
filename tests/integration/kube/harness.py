"""A real engine over the sandbox's cluster: description in, plan or apply out; and kubectl, which shares no code."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.capstan.fullstack.plugins.module_utils.engine.description import Raw, describe
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.events import Event
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.lease import Process
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.plan import Change, Plan
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.run import Engine, Options, Outcome, Stack
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.runtime import Threads
from ansible_collections.capstan.fullstack.plugins.module_utils.kube.manifests import link_objects, parse_manifests
from ansible_collections.capstan.fullstack.plugins.module_utils.kube.provider import KubeProvider

STATE = Path(os.environ.get("CAPSTAN_SANDBOX_DIR", "/var/lib/capstan/sandbox"))
KUBECONFIG = STATE / "kubeconfig"
AUDIT = STATE / "log" / "audit.log"
COMPONENTS = ("namespace", "backend", "frontend")


class MemoryStore:
    """A lock's store in memory: this test process is the only one that holds it."""

    def __init__(self) -> None:
        self._entries: dict[str, str] = {}
        self._lock = threading.Lock()

    def entries(self) -> dict[str, str]:
        with self._lock:
            return dict(self._entries)

    def create(self, key: str, text: str) -> bool:
        with self._lock:
            if key in self._entries:
                return False
            self._entries[key] = text
            return True

    def put(self, key: str, text: str) -> None:
        with self._lock:
            self._entries[key] = text

    def remove(self, key: str) -> None:
        with self._lock:
            self._entries.pop(key, None)


@dataclass
class Cluster:
    """One stack in namespaces of its own. `kubeconfig`: who asks."""

    namespace: str
    stack: str
    kubeconfig: Path = KUBECONFIG
    providers: tuple[Any, ...] = ()  # beside Kubernetes
    platform: str = ""  # a stack that is only looked at
    events: list[Event] = field(default_factory=list)
    _store: MemoryStore = field(default_factory=MemoryStore)

    def raws(self, text: str, component: str = "backend") -> list[Raw]:
        """The resources in `text`, NAMESPACE in it being this one's."""
        given = text.replace("NAMESPACE", self.namespace)
        return parse_manifests(given, component=component, owner=self.stack, source=f"{component}.yaml")

    def plan(self, raws: Sequence[Raw], **options: Any) -> Plan:
        with self.engine(raws, **options) as engine:
            return engine.plan()

    def converge(self, raws: Sequence[Raw], **options: Any) -> Outcome:
        with self.engine(raws, **options) as engine:
            return engine.converge()

    def apply(self, raws: Sequence[Raw], **options: Any) -> Outcome:
        """Converge, and fail the test unless all of it was done."""
        outcome = self.converge(raws, **options)
        assert outcome.error is None, str(outcome.error)
        return outcome

    @contextmanager
    def engine(
        self,
        raws: Sequence[Raw],
        complete: Sequence[str] = COMPONENTS,
        may_write: Callable[[], None] = lambda: None,
        **options: Any,
    ) -> Iterator[Engine]:
        runtime, provider = Threads(), KubeProvider(kubeconfig=self.kubeconfig)
        providers = [provider, *self.providers]
        try:
            yield Engine(
                description=describe(link_objects(raws), providers, shared_platform=self.platform),
                stack=Stack(self.stack, self.platform, bool(self.platform)),
                providers=providers,
                stores=lambda stack: self._store,
                runtime=runtime,
                emit=self.events.append,
                process=Process("tester", "here"),
                is_dead=lambda process: False,
                may_write=may_write,
                options=Options(version="0.1.0", complete=frozenset(complete), **options),
            )
        finally:
            provider.close()
            runtime.close()

    # -- kubectl -----------------------------------------------------------------------------------------------
    def kubectl(self, *arguments: str, text: str | None = None, check: bool = True) -> str:
        """The output of one call in the namespace; fails the test with kubectl's own words."""
        answer = self.try_kubectl(*arguments, text=text)
        assert not check or answer.returncode == 0, answer.stderr
        return answer.stdout

    def try_kubectl(
        self, *arguments: str, text: str | None = None, environment: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        command = [str(STATE / "bin" / "kubectl"), f"--kubeconfig={KUBECONFIG}", f"--namespace={self.namespace}"]
        variables = os.environ | (environment or {})
        return subprocess.run(
            [*command, *arguments], input=text, capture_output=True, text=True, check=False, env=variables
        )

    def object(self, kind: str, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.kubectl("get", kind, name, "--output=json", "--show-managed-fields"))
        return found

    def writes_since(self, offset: int) -> list[tuple[str, str]]:
        """(verb, URI) of what capstan wrote in this namespace after `offset` in the audit log; dry runs are none."""
        found = []
        with AUDIT.open(encoding="utf-8") as log:
            log.seek(offset)
            for line in log:
                if not line.endswith("\n"):
                    break
                event = json.loads(line)
                uri = event.get("requestURI", "")
                mine = event.get("userAgent", "").startswith("capstan/") and self.namespace in uri
                if mine and event["verb"] not in ("get", "list", "watch") and "dryRun=All" not in uri:
                    found.append((event["verb"], uri))
        return found


def audit_offset() -> int:
    """Where the audit log ends now."""
    return AUDIT.stat().st_size


def eventually(condition: Callable[[], bool], timeout_s: float = 60) -> None:
    """Waits for `condition` with a deadline."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not so after {timeout_s} s"
        time.sleep(0.1)


def actions(plan: Plan) -> dict[str, str]:
    """address -> action, of everything that the plan would do."""
    return {change.address: change.action for change in plan.changes if change.action != "none"}


def change(plan: Plan, address: str) -> Change:
    found = plan.of(address)
    assert found is not None, f"{address} is not in the plan"
    return found
