"""When an object is ready: one pure predicate a kind, in one table. Kinds that are not in it are ready once they exist.

Source: the kinds' status as the API documents it; the order of questions (generation seen, deadline, replicas) is that
of a rollout's own status.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..engine.resource import READY, Readiness, deleting, failed, waiting
from .names import GroupKind, group_kind

Raw = Mapping[str, Any]


def readiness(raw: Raw) -> Readiness:
    """Where a live object stands, from nothing but itself."""
    if (raw.get("metadata") or {}).get("deletionTimestamp"):
        finalizers = ", ".join((raw["metadata"].get("finalizers") or [])[:3])
        return deleting(f"being deleted{f', held by {finalizers}' if finalizers else ''}")
    predicate = _TABLE.get(group_kind(raw))
    return predicate(raw) if predicate else READY


def condition(raw: Raw, kind: str) -> Mapping[str, Any]:
    """One of an object's conditions; empty when it has none of this type."""
    conditions = (raw.get("status") or {}).get("conditions") or ()
    return next((item for item in conditions if item.get("type") == kind), {})


def _unseen(raw: Raw) -> bool:
    """Has the controller not looked at this generation yet?"""
    generation = (raw.get("metadata") or {}).get("generation", 0)
    return bool((raw.get("status") or {}).get("observedGeneration", 0) < generation)


def _deployment(raw: Raw) -> Readiness:
    spec, status = raw.get("spec") or {}, raw.get("status") or {}
    if _unseen(raw):
        return waiting("its controller has not seen it yet")
    progressing = condition(raw, "Progressing")
    if progressing.get("reason") == "ProgressDeadlineExceeded":
        return failed(f"ProgressDeadlineExceeded: {progressing.get('message', '')}")
    if spec.get("paused"):
        return READY  # it stands where somebody stopped it
    wanted = spec.get("replicas", 1)
    updated, total = status.get("updatedReplicas", 0), status.get("replicas", 0)
    if updated < wanted:
        return waiting(f"{updated} of {wanted} pods updated")
    if total > updated:
        return waiting(f"{total - updated} old pods still running")
    available = status.get("availableReplicas", 0)
    return READY if available >= updated else waiting(f"{available} of {wanted} pods available")


def _stateful_set(raw: Raw) -> Readiness:
    spec, status = raw.get("spec") or {}, raw.get("status") or {}
    if _unseen(raw):
        return waiting("its controller has not seen it yet")
    wanted = spec.get("replicas", 1)
    ready = status.get("readyReplicas", 0)
    if ready < wanted:
        return waiting(f"{ready} of {wanted} pods ready")
    strategy = spec.get("updateStrategy") or {}
    if strategy.get("type") == "OnDelete":
        return READY
    partition = (strategy.get("rollingUpdate") or {}).get("partition") or 0
    updated = status.get("updatedReplicas", 0)
    if partition:
        return READY if updated >= wanted - partition else waiting(f"{updated} of {wanted - partition} pods updated")
    if status.get("updateRevision") != status.get("currentRevision"):
        return waiting(f"{updated} of {wanted} pods updated")
    return READY


def _daemon_set(raw: Raw) -> Readiness:
    status = raw.get("status") or {}
    if _unseen(raw):
        return waiting("its controller has not seen it yet")
    wanted = status.get("desiredNumberScheduled", 0)
    if ((raw.get("spec") or {}).get("updateStrategy") or {}).get("type") != "OnDelete":
        updated = status.get("updatedNumberScheduled", 0)
        if updated < wanted:
            return waiting(f"{updated} of {wanted} pods updated")
    available = status.get("numberAvailable", 0)
    return READY if available >= wanted else waiting(f"{available} of {wanted} pods available")


def _replica_set(raw: Raw) -> Readiness:
    if _unseen(raw):
        return waiting("its controller has not seen it yet")
    wanted = (raw.get("spec") or {}).get("replicas", 1)
    available = (raw.get("status") or {}).get("availableReplicas", 0)
    return READY if available >= wanted else waiting(f"{available} of {wanted} pods available")


def _job(raw: Raw) -> Readiness:
    if condition(raw, "Complete").get("status") == "True" or (raw.get("spec") or {}).get("suspend"):
        return READY
    broken = condition(raw, "Failed")
    if broken.get("status") == "True":
        return failed(f"{broken.get('reason', 'Failed')}: {broken.get('message', '')}")
    status = raw.get("status") or {}
    return waiting(f"{status.get('active', 0)} pods running, {status.get('succeeded', 0)} done")


def _pod(raw: Raw) -> Readiness:
    status = raw.get("status") or {}
    phase = status.get("phase", "Pending")
    if phase == "Succeeded":
        return READY
    if phase == "Failed":
        return failed(f"{status.get('reason', 'Failed')}: {status.get('message', '')}")
    if condition(raw, "Ready").get("status") == "True":
        return READY
    return waiting(f"{phase}, not ready")


def _claim(raw: Raw) -> Readiness:
    phase = (raw.get("status") or {}).get("phase", "Pending")
    if phase == "Lost":
        return failed("its volume is lost")
    # A claim of a class that binds late stays pending until a pod uses it: nobody could wait for both.
    return READY


def _volume(raw: Raw) -> Readiness:
    status = raw.get("status") or {}
    if status.get("phase") == "Failed":
        return failed(str(status.get("message", "its reclamation failed")))
    return READY if status.get("phase") not in (None, "", "Pending") else waiting("Pending")


def _service(raw: Raw) -> Readiness:
    if (raw.get("spec") or {}).get("type") != "LoadBalancer":
        return READY
    ingress = ((raw.get("status") or {}).get("loadBalancer") or {}).get("ingress")
    return READY if ingress else waiting("its load balancer has no address yet")


def _namespace(raw: Raw) -> Readiness:
    phase = (raw.get("status") or {}).get("phase", "Active")
    return READY if phase == "Active" else deleting(phase)


def _definition(raw: Raw) -> Readiness:
    refused = condition(raw, "NamesAccepted")
    if refused.get("status") == "False":
        return failed(f"{refused.get('reason')}: {refused.get('message')}")
    return READY if condition(raw, "Established").get("status") == "True" else waiting("not established yet")


def _api_service(raw: Raw) -> Readiness:
    available = condition(raw, "Available")
    if available.get("status") == "True":
        return READY
    return waiting(f"{available.get('reason', 'not available yet')}: {available.get('message', '')}".rstrip(": "))


def _autoscaler(raw: Raw) -> Readiness:
    able = condition(raw, "AbleToScale")
    if able.get("status") == "False" and able.get("reason") == "FailedGetScale":
        return waiting(f"FailedGetScale: {able.get('message', '')}")
    return READY


_TABLE: Mapping[GroupKind, Callable[[Raw], Readiness]] = {
    GroupKind("Deployment", "apps"): _deployment,
    GroupKind("StatefulSet", "apps"): _stateful_set,
    GroupKind("DaemonSet", "apps"): _daemon_set,
    GroupKind("ReplicaSet", "apps"): _replica_set,
    GroupKind("Job", "batch"): _job,
    GroupKind("Pod"): _pod,
    GroupKind("PersistentVolumeClaim"): _claim,
    GroupKind("PersistentVolume"): _volume,
    GroupKind("Service"): _service,
    GroupKind("Namespace"): _namespace,
    GroupKind("CustomResourceDefinition", "apiextensions.k8s.io"): _definition,
    GroupKind("APIService", "apiregistration.k8s.io"): _api_service,
    GroupKind("HorizontalPodAutoscaler", "autoscaling"): _autoscaler,
}
