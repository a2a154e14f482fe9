"""Who asks, and what they may: tokens, certificates, few rights, no cluster."""

from __future__ import annotations

import base64
import datetime
import json
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.calls import Calls, Patience
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.description import Raw
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.errors import ApiError, Unreadable
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.plan import gaps_of
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.runtime import Threads
from ansible_collections.capstan.fullstack.plugins.module_utils.kube.provider import KubeProvider
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from .descriptions import BACKEND, PLACE, SETTINGS
from .harness import KUBECONFIG, Cluster, actions

pytestmark = pytest.mark.cluster


def config() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(KUBECONFIG.read_text(encoding="utf-8"))
    return loaded


def ca() -> str:
    held = config()["clusters"][0]["cluster"]
    if "certificate-authority-data" in held:
        return str(held["certificate-authority-data"])
    return base64.b64encode((KUBECONFIG.parent / held["certificate-authority"]).read_bytes()).decode()


def server() -> str:
    return str(config()["clusters"][0]["cluster"]["server"])


def account(cluster: Cluster, rules: list[dict[str, Any]]) -> str:
    """A token of a service account that may do what `rules` say, in the cluster's namespace and nowhere else."""
    cluster.kubectl("create", "serviceaccount", "operator")
    meta = {"name": "operator", "namespace": cluster.namespace}
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": meta, "rules": rules}
    cluster.kubectl("apply", "--filename=-", text=json.dumps(role))
    subject = f"--serviceaccount={cluster.namespace}:operator"
    cluster.kubectl("create", "rolebinding", "operator", "--role=operator", subject)
    return cluster.kubectl("create", "token", "operator").strip()


def kubeconfig_of(token: str, folder: Path) -> Path:
    held = {"server": server(), "certificate-authority-data": ca()}
    content = {
        "current-context": "a",
        "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
        "clusters": [{"name": "a", "cluster": held}],
        "users": [{"name": "a", "user": {"token": token}}],
    }
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(content))
    path.chmod(0o600)
    return path


def described(cluster: Cluster, *texts: str) -> list[Raw]:
    return [raw for text in texts for raw in cluster.raws(text)]


def test_a_reader_gets_the_same_plan_although_it_may_try_nothing_out(cluster: Cluster, tmp_path: Path) -> None:
    cluster.apply(cluster.raws(PLACE, "namespace") + described(cluster, SETTINGS, BACKEND))
    cluster.kubectl("patch", "configmap", "settings", "--patch", '{"data": {"LOG_LEVEL": "debug"}}')
    everywhere = {"apiGroups": ["", "apps"], "resources": ["*"], "verbs": ["get", "list"]}
    token = account(cluster, [everywhere])
    raws = described(cluster, SETTINGS, BACKEND)
    full = cluster.plan(raws, complete=[])
    reader = Cluster(cluster.namespace, cluster.stack, kubeconfig=kubeconfig_of(token, tmp_path))
    partial = reader.plan(raws, complete=[])
    assert actions(full) == {f"kube.ConfigMap/{cluster.namespace}/settings": "update"}
    assert actions(partial) == actions(full)
    assert dict(partial.unreadable) == {}


def test_a_kind_that_may_not_be_read_is_unreadable_and_never_taken_for_absent(cluster: Cluster, tmp_path: Path) -> None:
    cluster.apply(cluster.raws(PLACE, "namespace") + described(cluster, SETTINGS))
    some = {"apiGroups": [""], "resources": ["configmaps", "serviceaccounts"], "verbs": ["get", "list", "patch"]}
    token = account(cluster, [some])
    reader = Cluster(cluster.namespace, cluster.stack, kubeconfig=kubeconfig_of(token, tmp_path))
    plan = reader.plan(described(cluster, SETTINGS), complete=[])
    assert list(plan.unreadable) == ["kube.Secret"]
    assert "cannot list resource" in plan.unreadable["kube.Secret"]
    assert plan.unplanned == (f"kube.Secret/{cluster.namespace}/credentials",)
    with pytest.raises(Unreadable, match="Nothing was written"):
        reader.converge(described(cluster, SETTINGS), complete=[])


def calls() -> Calls:
    return Calls(Threads(), lambda: None, Patience(retry_s=0.5, wait_s=0.5))


def test_a_token_is_minted_when_it_is_needed_and_again_when_it_is_about_to_expire(cluster: Cluster) -> None:
    cluster.kubectl("create", "namespace", cluster.namespace)
    token = account(cluster, [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}])
    minted: list[str] = []
    now = [1000.0]

    def mint(connection: Any) -> tuple[str, float]:
        minted.append(connection["name"])
        return token, now[0] + 600

    provider = KubeProvider(token=mint, wall=lambda: now[0])
    connection = {"endpoint": server(), "ca": ca(), "name": "main", "id": "cluster-1"}
    api = provider.open("main", connection, calls())
    path = f"/api/v1/namespaces/{cluster.namespace}/configmaps/kube-root-ca.crt"
    assert minted == []
    assert api.get(path) is not None
    assert api.get(path) is not None
    assert minted == ["main"]
    now[0] += 541  # less than a minute left
    assert api.get(path) is not None
    assert minted == ["main", "main"]


def test_a_token_that_is_refused_is_replaced_once(cluster: Cluster) -> None:
    cluster.kubectl("create", "namespace", cluster.namespace)
    good = account(cluster, [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}])
    tokens = ["revoked", good]
    provider = KubeProvider(token=lambda connection: (tokens.pop(0), time.time() + 600))
    api = provider.open("main", {"endpoint": server(), "ca": ca()}, calls())
    assert api.get(f"/api/v1/namespaces/{cluster.namespace}/configmaps/kube-root-ca.crt") is not None
    assert tokens == []


def test_wrong_credentials_are_said_in_one_sentence_with_the_cluster_their_origin_and_what_to_do(
    cluster: Cluster, tmp_path: Path
) -> None:
    cluster.kubeconfig = kubeconfig_of("wr0ng", tmp_path)
    plan = cluster.plan(cluster.raws(PLACE, "namespace") + cluster.raws(SETTINGS))
    assert gaps_of(plan)[0] == (
        "kube.ApplySet, kube.ConfigMap, kube.Namespace, kube.Secret, kube.ServiceAccount cannot be read: "
        f'connect: Unauthorized. The cluster at {server()} does not accept the user "a" of {cluster.kubeconfig}. '
        "Renew that user's credentials, or give a kubeconfig whose current context has another user."
    )


def test_an_aws_identity_that_the_cluster_does_not_know_is_told_of_access_entries() -> None:
    provider = KubeProvider(token=lambda connection: ("wr0ng", time.time() + 600))
    api = provider.open("main", {"name": "production-main", "endpoint": server(), "ca": ca()}, calls())
    with pytest.raises(Unreadable) as caught:
        api.get("/api/v1/namespaces/default")
    assert str(caught.value) == (
        f"connect: Unauthorized. The cluster at {server()} does not accept the token that this run's AWS identity got "
        "for the cluster production-main. Give that identity (aws sts get-caller-identity) an access entry in the "
        "cluster, or run as another."
    )


def test_a_cluster_that_never_answered_is_given_up_before_anybody_wonders() -> None:
    provider = KubeProvider(token=lambda connection: ("t", time.time() + 600))
    patient = Calls(Threads(), lambda: None, Patience(retry_s=60.0))
    api = provider.open("main", {"endpoint": "https://127.0.0.1:9", "ca": ca()}, patient)
    started = time.monotonic()
    with pytest.raises(Unreadable, match="Unreachable"):
        api.get("/api/v1/namespaces/default")
    assert time.monotonic() - started < 15


def test_a_server_with_another_ca_is_not_trusted(cluster: Cluster, tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "another")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime.datetime(2026, 1, 1))
        .not_valid_after(datetime.datetime(2046, 1, 1))
        .add_extension(x509.BasicConstraints(True, None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM).decode()
    provider = KubeProvider(token=lambda connection: ("t", time.time() + 600))
    api = provider.open("main", {"endpoint": server(), "ca": pem}, calls())
    with pytest.raises(Unreadable, match="UntrustedCertificate"):
        api.get("/api/v1/namespaces/default")


def test_a_delete_takes_exactly_the_object_that_was_read(cluster: Cluster) -> None:
    cluster.kubectl("create", "namespace", cluster.namespace)
    cluster.kubectl("create", "configmap", "a")
    api = KubeProvider(kubeconfig=KUBECONFIG).open("main", None, calls())
    path = f"/api/v1/namespaces/{cluster.namespace}/configmaps/a"
    with pytest.raises(ApiError, match="Conflict"):
        api.delete(path, "00000000-0000-0000-0000-000000000000", "Background")
    there = api.get(path)
    assert there is not None
    api.delete(path, there["metadata"]["uid"], "Background")
    assert api.get(path) is None


def test_long_lists_are_read_page_by_page(cluster: Cluster) -> None:
    cluster.kubectl("create", "namespace", cluster.namespace)
    items = [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"a-{n}", "labels": {"page": "yes"}}}
        for n in range(7)
    ]
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    cluster.kubectl("apply", "--server-side", "--filename=-", text=text)
    counted = calls()
    api = KubeProvider(kubeconfig=KUBECONFIG).open("main", None, counted)
    served = api.served("v1", "ConfigMap")
    assert served is not None
    before = counted.made
    found = api.listed(served, cluster.namespace, "page=yes", page=3)
    assert sorted(item["metadata"]["name"] for item in found) == [f"a-{n}" for n in range(7)]
    assert counted.made - before == 3
