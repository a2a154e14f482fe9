"""When a live object is ready: objects as the API answers them, cut to what matters."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.capstan.fullstack.plugins.module_utils.kube.readiness import readiness


def deployment(spec: dict[str, Any] | None = None, **status: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"generation": 2},
        "spec": {"replicas": 3, **(spec or {})},
        "status": {"observedGeneration": 2, **status},
    }


def state(raw: dict[str, Any]) -> tuple[str, str]:
    found = readiness(raw)
    return found.state, found.reason


ALL: dict[str, Any] = {"replicas": 3, "updatedReplicas": 3, "availableReplicas": 3}


def test_a_deployment_whose_pods_are_all_new_and_available_is_ready() -> None:
    assert state(deployment(**ALL)) == ("ready", "")


def test_a_deployment_is_not_ready_before_its_controller_has_seen_it() -> None:
    assert state(deployment(**ALL, observedGeneration=1)) == ("waiting", "its controller has not seen it yet")


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ({"replicas": 3, "updatedReplicas": 1, "availableReplicas": 3}, "1 of 3 pods updated"),
        ({"replicas": 4, "updatedReplicas": 3, "availableReplicas": 4}, "1 old pods still running"),
        ({"replicas": 3, "updatedReplicas": 3, "availableReplicas": 2}, "2 of 3 pods available"),
    ],
)
def test_a_rollout_under_way_says_how_far_it_is(status: Any, reason: Any) -> None:
    assert state(deployment(**status)) == ("waiting", reason)


def test_a_deadline_that_passed_is_a_failure_however_many_old_pods_serve() -> None:
    late = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "no progress"}
    found = deployment(replicas=4, updatedReplicas=1, availableReplicas=3, conditions=[late])
    assert state(found) == ("failed", "ProgressDeadlineExceeded: no progress")


def test_a_deployment_of_no_pods_is_ready() -> None:
    assert state(deployment({"replicas": 0})) == ("ready", "")


def stateful(spec: dict[str, Any] | None = None, **status: Any) -> dict[str, Any]:
    raw = deployment({"replicas": 2, **(spec or {})}, **status)
    return {**raw, "kind": "StatefulSet"}


def test_a_stateful_set_is_ready_when_its_revisions_are_one() -> None:
    done: dict[str, Any] = {"readyReplicas": 2, "updatedReplicas": 2, "currentRevision": "b", "updateRevision": "b"}
    assert state(stateful(**done)) == ("ready", "")
    assert state(stateful(**{**done, "currentRevision": "a", "updatedReplicas": 1})) == (
        "waiting",
        "1 of 2 pods updated",
    )
    assert state(stateful(**{**done, "readyReplicas": 1})) == ("waiting", "1 of 2 pods ready")


def test_a_partitioned_stateful_set_waits_for_its_part_only() -> None:
    spec = {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}}
    status: dict[str, Any] = {"readyReplicas": 2, "updatedReplicas": 1, "currentRevision": "a", "updateRevision": "b"}
    assert state(stateful(spec, **status)) == ("ready", "")


def test_a_daemon_set_waits_for_every_node() -> None:
    raw = {**deployment(desiredNumberScheduled=3, updatedNumberScheduled=3, numberAvailable=2), "kind": "DaemonSet"}
    assert state(raw) == ("waiting", "2 of 3 pods available")


def job(*conditions: dict[str, Any], **status: Any) -> dict[str, Any]:
    return {"apiVersion": "batch/v1", "kind": "Job", "spec": {}, "status": {"conditions": list(conditions), **status}}


def test_a_job_is_ready_when_it_is_complete_and_failed_when_it_gave_up() -> None:
    assert state(job({"type": "Complete", "status": "True"})) == ("ready", "")
    assert state(job(active=1)) == ("waiting", "1 pods running, 0 done")
    gave_up = {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "tried 3 times"}
    assert state(job(gave_up)) == ("failed", "BackoffLimitExceeded: tried 3 times")


def test_a_load_balancer_is_ready_with_its_address() -> None:
    raw: dict[str, Any] = {"apiVersion": "v1", "kind": "Service", "spec": {"type": "LoadBalancer"}, "status": {}}
    assert state(raw) == ("waiting", "its load balancer has no address yet")
    raw["status"] = {"loadBalancer": {"ingress": [{"hostname": "a.example"}]}}
    assert state(raw) == ("ready", "")


def test_a_definition_is_ready_when_it_is_established() -> None:
    raw: dict[str, Any] = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "status": {}}
    assert state(raw) == ("waiting", "not established yet")
    raw["status"] = {"conditions": [{"type": "Established", "status": "True"}]}
    assert state(raw) == ("ready", "")


def test_a_terminating_object_says_what_holds_it() -> None:
    metadata = {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["example.org/backup"]}
    raw = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
    assert state(raw) == ("deleting", "being deleted, held by example.org/backup")


def test_a_kind_without_a_predicate_is_ready_when_it_is_there() -> None:
    assert state({"apiVersion": "example.org/v1", "kind": "Deployment", "metadata": {}}) == ("ready", "")


def test_a_claim_that_binds_late_is_ready_and_a_lost_one_failed() -> None:
    assert state({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "status": {"phase": "Pending"}}) == ("ready", "")
    lost = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "status": {"phase": "Lost"}}
    assert state(lost) == ("failed", "its volume is lost")
