"""The cluster and the sandbox's own images, used as the product will use them."""

from __future__ import annotations

import json
import ssl
import stat
import urllib.error
import urllib.request
from typing import Any

import pytest

from .conftest import STATE, Kubectl, eventually

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(180)]
REGISTRY = "127.0.0.1:5000"
RESTRICTED = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}


def workload(kind: str, name: str, container: dict[str, Any], **pod: object) -> dict[str, Any]:
    """A Deployment or StatefulSet of one pod with one restricted container."""
    labels = {"app": name}
    spec = {"containers": [{"name": name, "securityContext": RESTRICTED, **container}],
            "terminationGracePeriodSeconds": 5, **pod}
    return {
        "apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name},
        "spec": {"replicas": 1, "selector": {"matchLabels": labels},
                 "template": {"metadata": {"labels": labels}, "spec": spec}},
    }


def user(uid: int) -> dict[str, Any]:
    return {"runAsNonRoot": True, "runAsUser": uid, "runAsGroup": uid, "fsGroup": uid,
            "fsGroupChangePolicy": "OnRootMismatch", "seccompProfile": {"type": "RuntimeDefault"}}


@pytest.fixture(scope="module")
def postgres(kubectl: Kubectl) -> str:
    """A database pod on a claimed volume; answers its pod's name."""
    kubectl("create", "secret", "generic", "database", "--from-literal=password=s3 cr'et")
    container = {
        "image": f"{REGISTRY}/postgres:15",
        "env": [{"name": "POSTGRES_USER", "value": "shop"}, {"name": "POSTGRES_DB", "value": "orders"},
                {"name": "POSTGRES_PASSWORD_FILE", "value": "/secret/password"},
                {"name": "PGDATA", "value": "/var/lib/postgresql/data/pgdata"}],
        "volumeMounts": [{"name": "data", "mountPath": "/var/lib/postgresql/data"},
                         {"name": "tmp", "mountPath": "/tmp"}, {"name": "secret", "mountPath": "/secret"}],
        "readinessProbe": {"exec": {"command": ["pg_isready", "-h", "127.0.0.1", "-U", "shop"]}, "periodSeconds": 1},
    }
    wanted = workload("StatefulSet", "postgres", container, securityContext=user(999), volumes=[
        {"name": "tmp", "emptyDir": {}}, {"name": "secret", "secret": {"secretName": "database"}}])
    wanted["spec"]["serviceName"] = "postgres"
    wanted["spec"]["volumeClaimTemplates"] = [{
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "20Gi"}}},
    }]
    kubectl.apply(wanted)
    kubectl("rollout", "status", "statefulset/postgres", "--timeout=90s")
    return "postgres-0"


def sql(kubectl: Kubectl, pod: str, statement: str, password: str = "s3 cr'et") -> str:
    return kubectl("exec", "--stdin", pod, "--", "sh", "-c",
                   "read -r PGPASSWORD; export PGPASSWORD; psql -h $(hostname -i) -U shop -d orders -At -f -",
                   text=f"{password}\n{statement}\n", check=False).strip()


def test_postgres_has_the_user_the_password_and_the_database_it_was_told(kubectl: Kubectl, postgres: str) -> None:
    assert sql(kubectl, postgres, "select current_user, current_database()") == "shop|orders"
    assert sql(kubectl, postgres, "select 1", password="wrong") == ""
    assert sql(kubectl, postgres, "show server_version").startswith("15.")


def test_a_row_is_still_there_when_the_database_pod_was_deleted(kubectl: Kubectl, postgres: str) -> None:
    sql(kubectl, postgres, "create table kept (n int); insert into kept values (42)")
    before = kubectl.object("pod", postgres)["metadata"]["uid"]
    kubectl("delete", "pod", postgres)
    eventually(lambda: before not in kubectl("get", "pod", postgres, "--output=jsonpath={.metadata.uid}", check=False))
    kubectl("rollout", "status", "statefulset/postgres", "--timeout=60s")
    assert sql(kubectl, postgres, "select n from kept") == "42"


def test_a_released_volume_is_cleaned_and_offered_again(kubectl: Kubectl, postgres: str) -> None:
    name = kubectl.object("pvc", "data-postgres-0")["spec"]["volumeName"]
    first = kubectl.object("pv", name)["metadata"]["uid"]
    assert (STATE / "volumes" / name / "pgdata/PG_VERSION").exists()
    kubectl("delete", "statefulset", "postgres")
    kubectl("delete", "pvc", "data-postgres-0")
    eventually(lambda: "Available" in kubectl("get", "pv", name, "--output=jsonpath={.status.phase}", check=False))
    assert kubectl.object("pv", name)["metadata"]["uid"] != first
    assert list((STATE / "volumes" / name).iterdir()) == []


def test_redis_takes_options_and_answers_other_pods(kubectl: Kubectl) -> None:
    container = {
        "image": f"{REGISTRY}/redis:7", "args": ["--appendonly", "yes", "--maxmemory", "64mb"],
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
        "readinessProbe": {"tcpSocket": {"port": 6379}, "periodSeconds": 1},
    }
    kubectl.apply(workload("Deployment", "redis", container, securityContext=user(999),
                           volumes=[{"name": "data", "emptyDir": {}}]))
    kubectl("expose", "deployment", "redis", "--port=6379")
    kubectl("rollout", "status", "deployment/redis", "--timeout=60s")
    # By the service's name and address: cluster DNS and the service network are part of it.
    def ask(*words: str) -> str:
        return kubectl("exec", "deploy/redis", "--", "redis-cli", "-h", "redis", *words, check=False).strip()

    eventually(lambda: ask("ping") == "PONG", 20)
    assert ask("config", "get", "maxmemory").split() == ["maxmemory", "67108864"]
    assert ask("config", "get", "appendonly").split() == ["appendonly", "yes"]
    assert ask("info", "server").find("redis_version:7.") > 0


def test_the_audit_log_tells_who_wrote_what_and_what_was_only_tried(kubectl: Kubectl) -> None:
    log = STATE / "log/audit.log"
    offset = log.stat().st_size
    kubectl("create", "configmap", "tried", "--dry-run=server", "--from-literal=a=secret-content")
    kubectl("create", "configmap", "made", "--from-literal=a=secret-content")

    def records() -> list[dict[str, Any]]:
        with log.open() as lines:
            lines.seek(offset)
            events = [json.loads(line) for line in lines if line.endswith("\n")]
        return [event for event in events if event["verb"] == "create"
                and event.get("objectRef", {}).get("namespace") == kubectl.namespace
                and event["objectRef"]["resource"] == "configmaps"]

    eventually(lambda: len([e for e in records() if e["userAgent"].startswith("kubectl/")]) == 2, 10)
    tried, made = (event for event in records() if event["userAgent"].startswith("kubectl/"))
    assert "dryRun=All" in tried["requestURI"]
    assert "dryRun" not in made["requestURI"]
    assert {event["stage"] for event in (tried, made)} == {"ResponseComplete"}
    assert made["user"]["username"] == "capstan-admin"
    assert "secret-content" not in json.dumps([tried, made])


def test_a_bearer_token_of_nobody_is_refused(kubectl: Kubectl) -> None:
    server = kubectl("config", "view", "--output=jsonpath={.clusters[0].cluster.server}")
    request = urllib.request.Request(f"{server}/api/v1/namespaces", headers={"Authorization": "Bearer k8s-aws-v1.bm8"})
    trust = ssl.create_default_context(cafile=str(STATE / "pki/ca.crt"))
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, context=trust, timeout=30)
    assert refused.value.code == 401


def test_pod_metrics_are_served(kubectl: Kubectl) -> None:
    eventually(lambda: "metrics-server" in kubectl("top", "pods", "--namespace=kube-system", check=False), 40)


def test_what_holds_a_key_can_be_read_by_its_owner_alone() -> None:
    secret = [STATE / "kubeconfig", *(STATE / "pki").iterdir(), *(STATE / "config").glob("*.kubeconfig")]
    assert len(secret) > 20
    assert {stat.S_IMODE(file.stat().st_mode) for file in secret} == {0o600}
