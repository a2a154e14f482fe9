"""Rollouts that fail, are slow, or are scaled by somebody else."""

from __future__ import annotations

import re
import time

import pytest
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.description import Raw

from .descriptions import BACKEND, PLACE, SETTINGS
from .harness import Cluster, actions, change, eventually

pytestmark = pytest.mark.cluster


def described(cluster: Cluster, backend: str) -> list[Raw]:
    return cluster.raws(PLACE, "namespace") + cluster.raws(SETTINGS) + cluster.raws(backend)


def failure(cluster: Cluster, raws: list[Raw]) -> tuple[str, float]:
    started = time.monotonic()
    outcome = cluster.converge(raws)
    assert outcome.error is not None
    return str(outcome.error), time.monotonic() - started


def test_a_bad_image_fails_within_a_minute_while_the_old_pod_serves_on(cluster: Cluster) -> None:
    cluster.apply(described(cluster, BACKEND))
    (old,) = cluster.kubectl("get", "pods", "--output=name").split()
    bad = BACKEND.replace("pause:1", "pause:no-such-tag")
    text, seconds = failure(cluster, described(cluster, bad))
    assert f"kube.Deployment/{cluster.namespace}/backend: wait until ready: Failed" in text
    assert "container backend: ImagePullBackOff: 127.0.0.1:5000/pause:no-such-tag" in text
    assert "last event: " in text
    assert seconds < 60
    ready = cluster.kubectl("get", old, "--output=jsonpath={.status.containerStatuses[0].ready}")
    assert ready == "true"


def test_a_failed_rollout_is_mended_in_place_and_is_told_again_until_then(cluster: Cluster) -> None:
    bad = described(cluster, BACKEND.replace("pause:1", "pause:no-such-tag"))
    failure(cluster, bad)
    uid = cluster.object("deployment", "backend")["metadata"]["uid"]
    text, _ = failure(cluster, bad)
    assert "ImagePullBackOff" in text
    good = described(cluster, BACKEND)
    assert actions(cluster.plan(good)) == {f"kube.Deployment/{cluster.namespace}/backend": "update"}
    cluster.apply(good)
    assert cluster.object("deployment", "backend")["metadata"]["uid"] == uid


CRASH = BACKEND.replace("pause:1", "postgres:15").replace("  replicas: 1", "  replicas: 1\n  minReadySeconds: 3")
CRASH = CRASH.replace(
    "          ports:", '          command: [sh, -c, "echo the schema is missing, $PASSWORD; exit 3"]\n          ports:'
)


def test_a_crashing_container_fails_with_its_last_log_lines_and_no_secret(cluster: Cluster) -> None:
    text, _ = failure(cluster, described(cluster, CRASH))
    assert re.search(r"container backend: CrashLoopBackOff: exit code 3 \(Error\), [3-9] restarts", text), text
    assert "the schema is missing, ***" in text
    assert "correct-horse" not in text


def test_a_missing_secret_fails_by_name(cluster: Cluster) -> None:
    missing = BACKEND.replace("name: credentials, key", "name: forgotten, key")
    text, _ = failure(cluster, described(cluster, missing))
    assert 'CreateContainerConfigError: secret "forgotten" not found' in text


def test_a_pod_that_fits_nowhere_says_so_while_it_waits(cluster: Cluster) -> None:
    huge = BACKEND.replace("cpu: 0.01", "cpu: 500").replace("cpu: 1000m", "cpu: 500")
    with cluster.engine(described(cluster, huge)) as engine:
        engine._stopping = lambda: any("Unschedulable" in event.text for event in cluster.events)
        engine.converge()
    said = [event.text for event in cluster.events if event.topic == "waiting"]
    assert any("Unschedulable" in text and "Insufficient cpu" in text for text in said)


SCALER = """
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: backend, namespace: NAMESPACE}
spec:
  minReplicas: 2
  maxReplicas: 3
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: backend}
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 70}}}]
"""


def test_replicas_that_an_autoscaler_moved_are_no_drift_and_survive_an_update(cluster: Cluster) -> None:
    raws = described(cluster, BACKEND + SCALER)
    cluster.apply(raws)
    eventually(lambda: cluster.object("deployment", "backend")["spec"]["replicas"] == 2)
    eventually(lambda: cluster.object("deployment", "backend")["status"].get("availableReplicas") == 2)
    plan = cluster.plan(raws)
    found = change(plan, f"kube.Deployment/{cluster.namespace}/backend")
    assert found.action == "none"
    assert dict(found.difference.kept) == {"spec.replicas (autoscaled)": (2, 1)}
    assert found.live is not None
    assert found.live.moved_by["spec.replicas (autoscaled)"] == "kube-controller-manager"
    cluster.apply(described(cluster, BACKEND.replace("64Mi", "65Mi") + SCALER))
    live = cluster.object("deployment", "backend")["spec"]
    assert live["replicas"] == 2
    assert live["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"] == "65Mi"
