"""The namespace as the API server shows it and enforces it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

NAMESPACE = "molecule-namespace"
ROOT_POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "root", "namespace": NAMESPACE},
    "spec": {"containers": [{"name": "root", "image": "root", "securityContext": {"runAsUser": 0}}]},
}
PLAIN_POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "plain", "namespace": NAMESPACE},
    "spec": {
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": "plain",
                "image": "plain",
                "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
            }
        ],
    },
}


def may(kubectl: Callable[..., str], group: str, verb: str, kind: str) -> bool:
    who = ("--as", "somebody", "--as-group", group, "--namespace", NAMESPACE)
    try:
        return kubectl("auth", "can-i", verb, kind, *who).strip() == "yes"
    except subprocess.CalledProcessError:
        return False


def test_it_carries_its_labels(live: Any) -> None:
    labels = live("namespace", NAMESPACE)["metadata"]["labels"]
    assert labels["team"] == "shop"
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    assert labels["capstan.dev/stack"] == NAMESPACE


def test_a_pod_that_runs_as_root_is_refused(kubectl: Callable[..., str]) -> None:
    with pytest.raises(subprocess.CalledProcessError) as refused:
        kubectl("apply", "--dry-run=server", "--filename", "-", given=json.dumps(ROOT_POD))
    assert 'violates PodSecurity "restricted' in refused.value.stderr


def test_a_container_that_says_nothing_gets_requests_and_limits(kubectl: Callable[..., str]) -> None:
    command = ("create", "--dry-run=server", "--output", "json", "--filename", "-")
    pod = json.loads(kubectl(*command, given=json.dumps(PLAIN_POD)))
    assert pod["spec"]["containers"][0]["resources"] == {
        "requests": {"cpu": "100m", "memory": "128Mi"},
        "limits": {"cpu": "500m", "memory": "512Mi"},
    }


def test_the_quota_holds_what_all_pods_may_use(live: Any) -> None:
    assert live("resourcequota", "environment", NAMESPACE)["spec"]["hard"] == {
        "requests.cpu": "2",
        "limits.cpu": "4",
        "requests.memory": "2Gi",
        "limits.memory": "4Gi",
        "pods": "7",
        "persistentvolumeclaims": "3",
    }


def test_nothing_goes_in_or_out_but_questions_to_the_dns(live: Any) -> None:
    policies = {item["metadata"]["name"]: item["spec"] for item in live("networkpolicy", namespace=NAMESPACE)["items"]}
    assert set(policies) == {"default-deny", "allow-dns"}
    assert policies["default-deny"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    (way,) = policies["allow-dns"]["egress"]
    selector = way["to"][0]["namespaceSelector"]["matchLabels"]
    assert selector == {"kubernetes.io/metadata.name": "kube-system"}
    ports = sorted((one["protocol"], one["port"]) for one in way["ports"])
    assert ports == [("TCP", 53), ("TCP", 5353), ("UDP", 53), ("UDP", 5353)]


def test_the_service_account_brings_no_token(live: Any) -> None:
    account = live("serviceaccount", "backend", NAMESPACE)
    assert account["automountServiceAccountToken"] is False
    notes = account["metadata"]["annotations"]
    assert notes["eks.amazonaws.com/role-arn"] == "arn:aws:iam::123456789012:role/backend"


@pytest.mark.parametrize(
    ("group", "verb", "kind", "allowed"),
    [
        ("developers", "get", "pods/log", True),
        ("developers", "list", "deployments.apps", True),
        ("developers", "update", "deployments.apps", False),
        ("developers", "get", "secrets", False),
        ("devops", "update", "deployments.apps", True),
        ("devops", "create", "jobs.batch", True),
        ("devops", "get", "secrets", False),
        ("devops", "create", "rolebindings.rbac.authorization.k8s.io", False),
        ("admins", "get", "secrets", True),
        ("admins", "create", "rolebindings.rbac.authorization.k8s.io", True),
        ("strangers", "get", "pods", False),
    ],
)
def test_groups_may_do_what_they_are_for(
    kubectl: Callable[..., str], group: str, verb: str, kind: str, allowed: bool
) -> None:
    assert may(kubectl, group, verb, kind) is allowed
