"""Values that come from elsewhere: known only after apply, secret, or from objects that are only used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.description import Raw
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.errors import Stopped
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.resource import Live, Resource, Scope
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.values import Reference, Secret, Unknown

from .descriptions import BACKEND, PLACE, SETTINGS
from .harness import Cluster, actions, change

pytestmark = pytest.mark.cluster


def described(cluster: Cluster, *texts: str) -> list[Raw]:
    return cluster.raws(PLACE, "namespace") + [raw for text in texts for raw in cluster.raws(text)]


SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: db, namespace: NAMESPACE}
spec: {ports: [{port: 5432}]}
"""


def test_an_address_that_is_known_after_apply_fills_in_and_is_no_change_afterwards(cluster: Cluster) -> None:
    marker = Reference(f"kube.Service/{cluster.namespace}/db", "cluster_ip").marker()
    raws = described(cluster, SERVICE, SETTINGS.replace("LOG_LEVEL: info", f'URL: "db://{marker}:5432"'))
    settings = f"kube.ConfigMap/{cluster.namespace}/settings"
    ((_, planned),) = [pair for name, pair in change(cluster.plan(raws), settings).fields.items() if name == "data.URL"]
    assert isinstance(planned, Unknown)
    cluster.apply(raws)
    address = cluster.object("service", "db")["spec"]["clusterIP"]
    assert cluster.object("configmap", "settings")["data"]["URL"] == f"db://{address}:5432"
    assert cluster.apply(raws).changed is False


@dataclass(frozen=True, kw_only=True)
class Vault(Resource):
    """A kind with a secret output, always there: stands for a stored secret."""

    kind: ClassVar[str] = "vault.secret"
    outputs: ClassVar[Mapping[str, str]] = {"value": "the secret"}
    held: ClassVar[Secret] = Secret("t0ps3cret", "v1")

    @classmethod
    def read(cls, api: Any, scope: Scope) -> list[Live]:
        return [
            Live(
                address=address, id="1", outputs={"value": cls.held}, owner=one.meta.owner, component=one.meta.component
            )
            for address, one in scope.wanted.items()
        ]


class VaultProvider:
    name = "vault"

    def kind(self, name: str) -> type[Resource] | None:
        return Vault if name == "vault.secret" else None

    def kinds(self) -> list[str]:
        return ["vault.secret"]

    def open(self, location: str, connection: Any, calls: Any) -> None:
        return None


def with_secret(cluster: Cluster) -> list[Raw]:
    marker = Reference("vault.secret/db", "value").marker()
    backend = BACKEND.replace("          env: [", f'          env: [{{name: URL, value: "db:{marker}"}}, ')
    vault = Raw("vault.secret/db", {}, "backend", cluster.stack)
    return [vault, *described(cluster, SETTINGS.replace("correct-horse", marker), backend)]


def test_a_secret_reaches_the_cluster_and_nothing_else(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster.providers = (VaultProvider(),)
    raws = with_secret(cluster)
    outcome = cluster.apply(raws)
    assert cluster.object("secret", "credentials")["data"]["password"] == "dDBwczNjcmV0"
    path = "spec.template.spec.containers[backend].env[URL].value"
    deployment = cluster.object("deployment", "backend")
    env = deployment["spec"]["template"]["spec"]["containers"][0]["env"]
    assert {"name": "URL", "value": "db:t0ps3cret"} in env
    assert deployment["metadata"]["annotations"]["capstan.dev/secret-paths"] == path
    assert cluster.apply(raws).changed is False
    monkeypatch.setattr(Vault, "held", Secret("r0tated", "v2"))
    plan = cluster.plan(raws)
    assert set(change(plan, f"kube.Deployment/{cluster.namespace}/backend").fields) == {path}
    said = repr((outcome, plan, cluster.events))
    assert [word for word in ("t0ps3cret", "r0tated", "dDBwczNjcmV0") if word in said] == []


def test_an_existing_object_is_used_and_never_touched(cluster: Cluster) -> None:
    cluster.kubectl("create", "namespace", cluster.namespace)
    cluster.kubectl("create", "configmap", "theirs", "--from-literal=A=1")
    before = cluster.object("configmap", "theirs")
    address = f"kube.ConfigMap/{cluster.namespace}/theirs"
    marker = Reference(address, "uid").marker()
    theirs = Raw(address, {"existing": True}, "backend", cluster.stack)
    raws = [theirs, *cluster.raws(SETTINGS.replace("LOG_LEVEL: info", f"UID: {marker}"))]
    cluster.apply(raws)
    assert cluster.object("configmap", "settings")["data"]["UID"] == before["metadata"]["uid"]
    assert cluster.object("configmap", "theirs") == before


def test_an_existing_object_that_is_not_there_is_named(cluster: Cluster) -> None:
    cluster.kubectl("create", "namespace", cluster.namespace)
    address = f"kube.ConfigMap/{cluster.namespace}/theirs"
    with pytest.raises(Exception, match=f"{address} is existing, but it was not found"):
        cluster.converge([Raw(address, {"existing": True}, "backend", cluster.stack)])


@pytest.mark.parametrize("writes", range(7))
def test_a_run_that_stops_after_any_write_leaves_nothing_that_the_next_would_not_find(
    cluster: Cluster, writes: Any
) -> None:
    raws = described(cluster, SETTINGS, BACKEND)
    left = [writes]

    def may_write() -> None:
        if left[0] == 0:
            raise Stopped("stopped here")
        left[0] -= 1

    with cluster.engine(raws, may_write=may_write) as engine:
        engine.converge()
    selector = f"--selector=capstan.dev/stack={cluster.stack}"
    kinds = "namespaces,configmaps,secrets,serviceaccounts,services,deployments"
    there = cluster.kubectl("get", kinds, selector, "--output=name").split()
    found = {a for a, action in actions(cluster.plan([], absent=True)).items() if action == "delete"}
    assert len(found) == len(there) == writes
    cluster.apply(raws)
    assert cluster.apply(raws).changed is False


def test_the_meta_of_an_object_is_compared_as_its_marks(cluster: Cluster) -> None:
    cluster.apply(described(cluster, SETTINGS))
    protected = SETTINGS.replace(
        "metadata: {name: settings, namespace: NAMESPACE}",
        'metadata: {name: settings, namespace: NAMESPACE, annotations: {capstan.dev/protect: "true"}}',
    )
    plan = cluster.plan(described(cluster, protected))
    found = change(plan, f"kube.ConfigMap/{cluster.namespace}/settings")
    assert (found.action, set(found.fields)) == ("update", {"marks"})
    cluster.apply(described(cluster, protected))
    assert cluster.apply(described(cluster, protected)).changed is False
    held = change(cluster.plan(described(cluster), prune=True), f"kube.ConfigMap/{cluster.namespace}/settings")
    assert "is protected and would be deleted" in held.refused


def test_an_object_of_a_shared_platform_is_found_and_left_alone(cluster: Cluster) -> None:
    platform = Cluster(cluster.namespace, f"{cluster.stack}-platform")
    platform.apply(platform.raws(PLACE, "namespace") + platform.raws(SERVICE))
    address = cluster.object("service", "db")["spec"]["clusterIP"]
    marker = Reference(f"kube.Service/{cluster.namespace}/db", "cluster_ip").marker()
    user = Cluster(cluster.namespace, cluster.stack, platform=platform.stack)
    raws = user.raws(SETTINGS.replace("LOG_LEVEL: info", f"URL: {marker}"))
    assert actions(user.plan(raws, prune=True)) == {
        f"kube.ApplySet/{cluster.namespace}/{cluster.stack}": "create",
        f"kube.ConfigMap/{cluster.namespace}/settings": "create",
        f"kube.Secret/{cluster.namespace}/credentials": "create",
        f"kube.ServiceAccount/{cluster.namespace}/backend": "create",
    }
    user.apply(raws, prune=True)
    assert cluster.object("configmap", "settings")["data"]["URL"] == address
    assert user.apply(raws, prune=True).changed is False
    assert actions(platform.plan(platform.raws(PLACE, "namespace") + platform.raws(SERVICE), prune=True)) == {}
