"""Why a rollout does not get ready: looks at its newest pods, fails early, and says pod, container, reason, event, log.

The judgement (`trouble`) is pure; collecting what it needs is at the bottom.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..engine.resource import Readiness, failed, waiting
from .api import KubeApi
from .discovery import Served
from .names import GroupKind, group_kind
from .readiness import condition

Raw = Mapping[str, Any]
LOG_LINES = 8
# How long each trouble has to last before it counts as final: some heal by themselves.
PATIENCE_S: Mapping[str, float] = {
    "InvalidImageName": 0.0,
    "ErrImageNeverPull": 0.0,
    "ImagePullBackOff": 20.0,
    "CreateContainerConfigError": 20.0,
    "CreateContainerError": 20.0,
    "RunContainerError": 20.0,
    "CrashLoopBackOff": 0.0,  # counted in crashes instead
    "Unschedulable": 120.0,  # a new node takes about a minute
    "FailedCreate": 20.0,
    "StartupProbe": 180.0,
    "NotReady": 180.0,
}
TOLD_S = 20.0  # a trouble that lasts longer is told with its last event and log lines, renewed this often
CRASHES = 3  # fewer restarts may be a dependency that was not up yet
_PULL = ("ErrImagePull", "ImagePullBackOff", "RegistryUnavailable", "ImageInspectError")
WORKLOADS = frozenset(
    {
        GroupKind("Deployment", "apps"),
        GroupKind("StatefulSet", "apps"),
        GroupKind("DaemonSet", "apps"),
        GroupKind("ReplicaSet", "apps"),
        GroupKind("Job", "batch"),
        GroupKind("Pod"),
    }
)
PODS = Served("v1", "Pod", "pods", True)
REPLICA_SETS = Served("apps/v1", "ReplicaSet", "replicasets", True)
EVENTS = Served("v1", "Event", "events", True)


@dataclass(frozen=True)
class Trouble:
    """What keeps a pod from being ready. `final`: it does not heal by itself, once it lasted its patience."""

    reason: str
    pod: str
    container: str = ""
    message: str = ""
    previous: bool = False  # the log of the container's previous run tells more
    final: bool = True

    def __str__(self) -> str:
        where = f"pod {self.pod}" + (f", container {self.container}" if self.container else "")
        return f"{where}: {self.reason}" + (f": {self.message}" if self.message else "")


def trouble(pod: Raw) -> Trouble | None:
    """The worst thing about one pod; None when it is ready or simply on its way."""
    name = (pod.get("metadata") or {}).get("name", "")
    status = pod.get("status") or {}
    scheduled = condition(pod, "PodScheduled")
    if scheduled.get("status") == "False" and scheduled.get("reason") == "Unschedulable":
        return Trouble("Unschedulable", name, message=str(scheduled.get("message", "")))
    if status.get("phase") == "Failed":
        return Trouble(str(status.get("reason") or "Failed"), name, message=str(status.get("message", "")), final=False)
    for container in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        found = _container_trouble(name, container)
        if found is not None:
            return found
    return None


def _container_trouble(pod: str, container: Raw) -> Trouble | None:
    name = str(container.get("name", ""))
    state = container.get("state") or {}
    held = state.get("waiting") or {}
    reason, message = str(held.get("reason", "")), str(held.get("message", ""))
    if reason in _PULL:
        return Trouble("ImagePullBackOff", pod, name, f"{container.get('image', '')}: {message}")
    if reason == "CrashLoopBackOff":
        last = (container.get("lastState") or {}).get("terminated") or {}
        restarts = container.get("restartCount", 0)
        how = f"exit code {last.get('exitCode', '?')} ({last.get('reason', 'Error')}), {restarts} restarts"
        return Trouble(reason, pod, name, how, previous=True, final=restarts >= CRASHES)
    if reason in PATIENCE_S:
        return Trouble(reason, pod, name, message)
    ended = state.get("terminated") or {}
    if ended.get("exitCode"):
        how = f"exit code {ended['exitCode']} ({ended.get('reason', 'Error')})"
        return Trouble("Terminated", pod, name, how, final=False)
    if "running" in state and not container.get("ready") and not container.get("started", True):
        return Trouble("StartupProbe", pod, name, "its startup probe has not succeeded yet")
    if "running" in state and not container.get("ready"):
        return Trouble("NotReady", pod, name, "its readiness probe does not succeed")
    return None


def worst(pods: Iterable[Raw]) -> Trouble | None:
    """The trouble to report: what heals least by itself, then by name."""
    found = [item for pod in pods if (item := trouble(pod)) is not None]
    return min(found, key=lambda item: (not item.final, PATIENCE_S.get(item.reason, 0.0), item.pod), default=None)


def newest_pods(workload: Raw, pods: Sequence[Raw], replica_sets: Sequence[Raw]) -> list[Raw]:
    """The pods of the workload's latest revision: old ones that serve on do not matter here."""
    uid = (workload.get("metadata") or {}).get("uid")
    kind = workload.get("kind")
    if kind == "Pod":
        return [workload]
    if kind == "Deployment":
        owned = [item for item in replica_sets if _owner(item) == uid]
        latest = max(owned, key=_revision, default=None)
        return [] if latest is None else [pod for pod in pods if _owner(pod) == latest["metadata"]["uid"]]
    mine = [pod for pod in pods if _owner(pod) == uid]
    revision = (workload.get("status") or {}).get("updateRevision")
    if kind == "StatefulSet" and revision:
        return [pod for pod in mine if _label(pod, "controller-revision-hash") == revision]
    if kind == "DaemonSet":
        generation = str((workload.get("metadata") or {}).get("generation", ""))
        return [pod for pod in mine if _label(pod, "pod-template-generation") in ("", generation)]
    return mine


def _owner(item: Raw) -> str:
    references = (item.get("metadata") or {}).get("ownerReferences") or ()
    return next((str(owner["uid"]) for owner in references if owner.get("controller")), "")


def _revision(replica_set: Raw) -> int:
    annotations = (replica_set.get("metadata") or {}).get("annotations") or {}
    return int(annotations.get("deployment.kubernetes.io/revision", 0))


def _label(item: Raw, name: str) -> str:
    return str(((item.get("metadata") or {}).get("labels") or {}).get(name, ""))


def refused_creation(workload: Raw) -> Trouble | None:
    """Pods that could not even be created (quota, admission): the workload's own condition says so."""
    broken = condition(workload, "ReplicaFailure")
    if broken.get("status") != "True":
        return None
    return Trouble("FailedCreate", workload["metadata"]["name"], message=str(broken.get("message", "")))


def last_event(events: Iterable[Raw], pod: Raw) -> str:
    """The latest warning about a pod (else its latest event), "reason: message"."""
    uid = (pod.get("metadata") or {}).get("uid")
    about = [event for event in events if (event.get("involvedObject") or {}).get("uid") == uid]
    latest = max(about, key=lambda event: (event.get("type") == "Warning", _when(event)), default=None)
    return "" if latest is None else f"{latest.get('reason', '')}: {str(latest.get('message', '')).strip()}"


def _when(event: Raw) -> str:
    series = (event.get("series") or {}).get("lastObservedTime")
    return str(series or event.get("lastTimestamp") or event.get("eventTime") or "")


# -- at the cluster ----------------------------------------------------------------------------------------------
def diagnosed(api: KubeApi, raw: Raw, state: Readiness) -> Readiness:
    """`state` of a workload with its reason: failed as soon as its newest pods will not heal by themselves."""
    if state.state not in ("waiting", "failed") or group_kind(raw) not in WORKLOADS:
        return state
    namespace, path = raw["metadata"].get("namespace", ""), f"{raw['metadata'].get('uid')}:"
    pods = _newest(api, raw, namespace)
    found = refused_creation(raw) or worst(pods)
    if found is None:
        api.forget_since(path)
        return state
    lasted = api.seconds_since_first(f"{path}{found.reason}/{raw['metadata'].get('generation', 0)}")
    final = found.final and lasted >= PATIENCE_S.get(found.reason, 0.0)
    if state.state == "failed" or final:
        return failed(api.masked(_report(api, state, found, pods, namespace)))
    if lasted < TOLD_S:
        return waiting(api.masked(f"{state.reason}; {found}"))
    told = api.remembered(f"{path}{found}", TOLD_S, lambda: _report(api, state, found, pods, namespace))
    return waiting(api.masked(told))


def _newest(api: KubeApi, raw: Raw, namespace: str) -> list[Raw]:
    pods = api.cache(PODS, namespace)
    sets = api.cache(REPLICA_SETS, namespace) if raw.get("kind") == "Deployment" else None
    if not pods.ready() or (sets is not None and not sets.ready()):
        return []
    return newest_pods(raw, pods.objects(), sets.objects() if sets is not None else ())


def _report(api: KubeApi, state: Readiness, found: Trouble, pods: Sequence[Raw], namespace: str) -> str:
    lines = [f"{state.reason}; {found}"]
    pod = next((pod for pod in pods if pod["metadata"]["name"] == found.pod), None)
    if pod is None:
        return lines[0]
    selector = f"involvedObject.name={found.pod}"
    event = last_event(api.select(EVENTS, namespace, selector), pod)
    if event:
        lines.append(f"last event: {event}")
    if found.container and found.reason not in ("ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"):
        path = PODS.path(namespace, found.pod)
        said = api.log_lines(path, found.container, LOG_LINES, previous=found.previous)
        if said:
            lines.append("last log lines:\n  " + "\n  ".join(said))
    return ". ".join(line.rstrip(".") for line in lines)
