"""What is said about pods that do not get ready."""

from __future__ import annotations

from typing import Any

from ansible_collections.capstan.fullstack.plugins.module_utils.kube.diagnosis import (
    last_event,
    newest_pods,
    trouble,
    worst,
)


def pod(
    name: str = "backend-1", owner: str = "rs-new", labels: dict[str, str] | None = None, **status: Any
) -> dict[str, Any]:
    owners = [{"uid": owner, "controller": True}]
    return {
        "kind": "Pod",
        "metadata": {"name": name, "uid": name, "ownerReferences": owners, "labels": labels or {}},
        "status": status,
    }


def container(state: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": "web", "image": "registry/web:9", "ready": False, "state": state, **more}


def said(status: list[dict[str, Any]]) -> tuple[str, bool]:
    found = trouble(pod(containerStatuses=status))
    assert found is not None
    return str(found), found.final


def test_an_image_that_cannot_be_pulled_is_named() -> None:
    state = {"waiting": {"reason": "ErrImagePull", "message": "not found"}}
    assert said([container(state)]) == (
        "pod backend-1, container web: ImagePullBackOff: registry/web:9: not found",
        True,
    )


def test_a_few_crashes_may_heal_and_many_do_not() -> None:
    state = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}}
    last = {"terminated": {"exitCode": 3, "reason": "Error"}}
    text = "pod backend-1, container web: CrashLoopBackOff: exit code 3 (Error), {} restarts"
    assert said([container(state, restartCount=1, lastState=last)]) == (text.format(1), False)
    assert said([container(state, restartCount=3, lastState=last)]) == (text.format(3), True)


def test_an_init_container_is_looked_at_first() -> None:
    broken = {"waiting": {"reason": "CreateContainerConfigError", "message": 'secret "x" not found'}}
    found = trouble(
        pod(
            initContainerStatuses=[container(broken)],
            containerStatuses=[container({"waiting": {"reason": "PodInitializing"}})],
        )
    )
    assert str(found) == 'pod backend-1, container web: CreateContainerConfigError: secret "x" not found'


def test_a_pod_that_fits_nowhere_says_why() -> None:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes: cpu"}
    assert str(trouble(pod(conditions=[condition]))) == "pod backend-1: Unschedulable: 0/1 nodes: cpu"


def test_a_running_container_that_is_not_ready_has_a_failing_probe() -> None:
    assert said([container({"running": {}}, started=True)])[0] == (
        "pod backend-1, container web: NotReady: its readiness probe does not succeed"
    )


def test_a_pod_on_its_way_has_no_trouble() -> None:
    assert trouble(pod(containerStatuses=[container({"waiting": {"reason": "ContainerCreating"}})])) is None
    assert trouble(pod(containerStatuses=[{"name": "web", "ready": True, "state": {"running": {}}}])) is None


def test_what_does_not_heal_is_told_before_what_may() -> None:
    slow = pod("a", containerStatuses=[container({"running": {}}, started=True)])
    image = pod("b", containerStatuses=[container({"waiting": {"reason": "InvalidImageName"}})])
    found = worst([slow, image])
    assert found is not None
    assert (found.pod, found.reason) == ("b", "InvalidImageName")
    crash = pod("0", containerStatuses=[container({"waiting": {"reason": "CrashLoopBackOff"}}, restartCount=1)])
    found = worst([crash, image])
    assert found is not None
    assert found.pod == "b"


def replica_set(uid: str, revision: int) -> dict[str, Any]:
    note = {"deployment.kubernetes.io/revision": str(revision)}
    return {"metadata": {"uid": uid, "annotations": note, "ownerReferences": [{"uid": "d", "controller": True}]}}


def test_only_the_newest_revision_of_a_deployment_counts() -> None:
    workload = {"kind": "Deployment", "metadata": {"uid": "d"}}
    old, new = pod("old", owner="rs-old"), pod("new", owner="rs-new")
    sets = [replica_set("rs-new", 10), replica_set("rs-old", 9)]
    assert newest_pods(workload, [old, new], sets) == [new]


def test_only_the_newest_revision_of_a_stateful_set_counts() -> None:
    workload = {"kind": "StatefulSet", "metadata": {"uid": "s"}, "status": {"updateRevision": "db-2"}}
    old = pod("db-1", owner="s", labels={"controller-revision-hash": "db-1"})
    new = pod("db-0", owner="s", labels={"controller-revision-hash": "db-2"})
    assert newest_pods(workload, [old, new], ()) == [new]


def event(uid: str, kind: str, at: str, reason: str) -> dict[str, Any]:
    return {"involvedObject": {"uid": uid}, "type": kind, "lastTimestamp": at, "reason": reason, "message": "words\n"}


def test_the_last_warning_about_the_pod_is_quoted() -> None:
    events = [
        event("backend-1", "Warning", "2026-01-01T00:00:01Z", "Failed"),
        event("backend-1", "Warning", "2026-01-01T00:00:02Z", "BackOff"),
        event("backend-1", "Normal", "2026-01-01T00:00:03Z", "Pulling"),
        event("another", "Warning", "2026-01-01T00:00:09Z", "Other"),
    ]
    assert last_event(events, pod()) == "BackOff: words"
    assert last_event([], pod()) == ""
