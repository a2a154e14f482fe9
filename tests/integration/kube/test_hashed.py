"""Hashed names: new content is a new object, workloads move to it, and the old one goes when they have."""

from __future__ import annotations

import json

import pytest
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.description import Raw
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.errors import (
    Conflict,
    InvalidDescription,
    Stopped,
)
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.values import Reference, Secret, Unknown

from .descriptions import BACKEND, PLACE, SETTINGS
from .harness import Cluster, actions, audit_offset, change
from .test_values import SERVICE, Vault, VaultProvider

pytestmark = pytest.mark.cluster
HASHED = SETTINGS.replace(
    "metadata: {name: settings, namespace: NAMESPACE}",
    'metadata: {name: settings, namespace: NAMESPACE, annotations: {capstan.dev/hashed: "true"}}',
)
DEBUG = HASHED.replace("LOG_LEVEL: info", "LOG_LEVEL: debug")
SOURCE = "spec.template.spec.containers[backend].envFrom"
# The first 10 digits of sha256 of {"data": {"LOG_LEVEL": "info", "POOL": "10"}}, and the same with "debug".
INFO_NAME, DEBUG_NAME = "settings-64310f4640", "settings-1186c499ee"


def described(cluster: Cluster, *texts: str) -> list[Raw]:
    return cluster.raws(PLACE, "namespace") + [raw for text in texts for raw in cluster.raws(text)]


def config_maps(cluster: Cluster) -> list[str]:
    """The names of the ConfigMaps that hold settings."""
    found = cluster.kubectl("get", "configmaps", "--output=name").split()
    return sorted(name.partition("/")[2] for name in found if name.startswith("configmap/settings"))


def told_by(cluster: Cluster) -> str:
    """The name of the ConfigMap that the running pods got their environment from."""
    pods = json.loads(cluster.kubectl("get", "pods", "--selector=app=backend", "--output=json"))["items"]
    living = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    (name,) = {pod["spec"]["containers"][0]["envFrom"][0]["configMapRef"]["name"] for pod in living}
    return str(name)


def stopped_after(cluster: Cluster, raws: list[Raw], writes: int) -> bool:
    """A run that may write so often and no more; was there more to write?"""
    left = [writes]

    def may_write() -> None:
        if left[0] == 0:
            raise Stopped("stopped here")
        left[0] -= 1

    with cluster.engine(raws, may_write=may_write) as engine:
        return engine.converge().error is not None


def test_other_content_is_another_object_that_the_pods_move_to(cluster: Cluster) -> None:
    cluster.apply(described(cluster, HASHED, BACKEND))
    assert (config_maps(cluster), told_by(cluster)) == ([INFO_NAME], INFO_NAME)
    place = cluster.namespace
    settings, backend = f"kube.ConfigMap/{place}/settings", f"kube.Deployment/{place}/backend"

    plan = cluster.plan(described(cluster, DEBUG, BACKEND))
    assert actions(plan) == {settings: "replace", backend: "update"}
    found = change(plan, settings)
    assert dict(found.fields) == {"hashed_name": (INFO_NAME, DEBUG_NAME), "data.LOG_LEVEL": ("info", "debug")}
    assert (found.because, found.first) == (("hashed_name",), "create_first")
    assert dict(change(plan, backend).fields) == {
        SOURCE: ([{"configMapRef": {"name": INFO_NAME}}], [{"configMapRef": {"name": DEBUG_NAME}}])
    }

    offset = audit_offset()
    cluster.apply(described(cluster, DEBUG, BACKEND))
    assert (config_maps(cluster), told_by(cluster)) == ([DEBUG_NAME], DEBUG_NAME)
    written = [(verb, uri.rpartition("/")[2].partition("?")[0]) for verb, uri in cluster.writes_since(offset)]
    assert written == [("patch", DEBUG_NAME), ("patch", "backend"), ("delete", INFO_NAME)]

    offset = audit_offset()
    assert cluster.apply(described(cluster, DEBUG, BACKEND), prune=True).changed is False
    assert cluster.writes_since(offset) == []


def test_what_is_known_after_apply_names_the_object_then(cluster: Cluster) -> None:
    marker = Reference(f"kube.Service/{cluster.namespace}/db", "cluster_ip").marker()
    told = HASHED.replace("LOG_LEVEL: info", f'URL: "db://{marker}:5432"')
    raws = described(cluster, SERVICE, told, BACKEND)
    settings = f"kube.ConfigMap/{cluster.namespace}/settings"
    plan = cluster.plan(raws)
    assert isinstance(change(plan, settings).fields["hashed_name"][1], Unknown)
    ((_, source),) = [
        pair
        for name, pair in change(plan, f"kube.Deployment/{cluster.namespace}/backend").fields.items()
        if name == SOURCE
    ]
    assert str(source) == "[{'configMapRef': {'name': (known after apply)}}]"
    cluster.apply(raws)
    (name,) = config_maps(cluster)
    address = cluster.object("service", "db")["spec"]["clusterIP"]
    assert cluster.object("configmap", name)["data"]["URL"] == f"db://{address}:5432"
    assert told_by(cluster) == name
    assert cluster.apply(raws, prune=True).changed is False

    cluster.kubectl("delete", "service", "db")
    again = cluster.plan(raws)
    assert actions(again)[settings] == "replace"
    assert isinstance(change(again, settings).fields["hashed_name"][1], Unknown)
    cluster.apply(raws)
    assert len(config_maps(cluster)) == 1
    assert told_by(cluster) == config_maps(cluster)[0]
    assert cluster.apply(raws, prune=True).changed is False


def test_the_old_object_stays_as_long_as_a_workload_holds_it_also_after_a_kill(cluster: Cluster) -> None:
    cluster.apply(described(cluster, HASHED, BACKEND))
    place, wanted = cluster.namespace, described(cluster, DEBUG, BACKEND)
    settings, backend = f"kube.ConfigMap/{place}/settings", f"kube.Deployment/{place}/backend"

    assert stopped_after(cluster, wanted, 1)  # the new object is there, nobody uses it
    assert (config_maps(cluster), told_by(cluster)) == (sorted([INFO_NAME, DEBUG_NAME]), INFO_NAME)
    assert actions(cluster.plan(wanted)) == {settings: "delete", backend: "update"}
    offset = audit_offset()
    assert stopped_after(cluster, wanted, 1)
    assert [(verb, uri.rpartition("/")[2].partition("?")[0]) for verb, uri in cluster.writes_since(offset)] == [
        ("patch", "backend")
    ]
    assert (config_maps(cluster), told_by(cluster)) == (sorted([INFO_NAME, DEBUG_NAME]), DEBUG_NAME)

    assert actions(cluster.plan(wanted)) == {settings: "delete"}
    cluster.apply(wanted)
    assert config_maps(cluster) == [DEBUG_NAME]
    assert cluster.apply(wanted, prune=True).changed is False


def test_a_rollout_that_fails_leaves_the_old_object_to_the_old_pods(cluster: Cluster) -> None:
    cluster.apply(described(cluster, HASHED, BACKEND))
    outcome = cluster.converge(described(cluster, DEBUG, BACKEND.replace("pause:1", "pause:no-such-tag")))
    assert "ImagePullBackOff" in str(outcome.error)
    assert config_maps(cluster) == sorted([INFO_NAME, DEBUG_NAME])
    pods = json.loads(cluster.kubectl("get", "pods", "--selector=app=backend", "--output=json"))["items"]
    serving = [pod for pod in pods if pod["status"]["phase"] == "Running"]
    assert [pod["spec"]["containers"][0]["envFrom"][0]["configMapRef"]["name"] for pod in serving] == [INFO_NAME]
    good = described(cluster, DEBUG, BACKEND)
    cluster.apply(good)
    assert (config_maps(cluster), told_by(cluster)) == ([DEBUG_NAME], DEBUG_NAME)
    assert cluster.apply(good, prune=True).changed is False


def test_what_others_do_to_it_is_mended_in_place(cluster: Cluster) -> None:
    raws = described(cluster, HASHED)
    cluster.apply(raws)
    before = cluster.object("configmap", INFO_NAME)["metadata"]["uid"]
    cluster.kubectl("patch", "configmap", INFO_NAME, "--patch", '{"data": {"LOG_LEVEL": "error"}}')
    cluster.kubectl("annotate", "configmap", INFO_NAME, "capstan.dev/hashed-")
    settings = f"kube.ConfigMap/{cluster.namespace}/settings"
    plan = cluster.plan(raws, prune=True)
    assert actions(plan) == {settings: "update"}
    assert dict(change(plan, settings).fields) == {
        "data.LOG_LEVEL": ("error", "info"),
        "metadata.annotations.capstan.dev/hashed": (None, "true"),
    }
    cluster.apply(raws, prune=True)
    mended = cluster.object("configmap", INFO_NAME)
    assert (mended["metadata"]["uid"], mended["data"]["LOG_LEVEL"]) == (before, "info")
    assert mended["metadata"]["annotations"]["capstan.dev/hashed"] == "true"
    cluster.kubectl("delete", "configmap", INFO_NAME)
    assert actions(cluster.plan(raws)) == {settings: "create"}
    cluster.apply(raws)
    assert cluster.apply(raws, prune=True).changed is False


def test_a_name_becomes_hashed_and_plain_again_and_prune_takes_it(cluster: Cluster) -> None:
    settings = f"kube.ConfigMap/{cluster.namespace}/settings"
    for text, name in ((SETTINGS, "settings"), (HASHED, INFO_NAME), (SETTINGS, "settings"), (HASHED, INFO_NAME)):
        cluster.apply(described(cluster, text))
        assert config_maps(cluster) == [name]
        assert cluster.apply(described(cluster, text), prune=True).changed is False
    nothing = described(cluster, SETTINGS.partition("---")[2])
    assert change(cluster.plan(nothing), settings).held == "it is no longer described; prune: true deletes it"
    assert actions(cluster.plan(nothing, prune=True)) == {settings: "delete"}
    cluster.apply(nothing, prune=True)
    assert config_maps(cluster) == []


def test_an_object_of_that_name_that_is_not_ours_is_a_conflict(cluster: Cluster) -> None:
    cluster.apply(described(cluster))
    cluster.kubectl("create", "configmap", INFO_NAME, "--from-literal=A=1")
    with pytest.raises(Conflict, match=f"{INFO_NAME} exists and carries no marks of {cluster.stack}"):
        cluster.plan(described(cluster, HASHED))


def test_a_secret_is_named_by_its_version(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster.providers = (VaultProvider(),)
    cluster.apply(described(cluster))
    marker = Reference("vault.secret/db", "value").marker()
    secret = f"""
apiVersion: v1
kind: Secret
metadata: {{name: login, namespace: NAMESPACE, annotations: {{capstan.dev/hashed: "true"}}}}
stringData: {{url: "db:{marker}"}}
"""
    raws = [Raw("vault.secret/db", {}, "backend", cluster.stack), *described(cluster, secret)]
    login = f"kube.Secret/{cluster.namespace}/login"
    first = change(cluster.plan(raws), login).fields["hashed_name"][1]
    monkeypatch.setattr(Vault, "held", Secret("another", "v1"))
    assert change(cluster.plan(raws), login).fields["hashed_name"][1] == first
    cluster.apply(raws)
    assert cluster.object("secret", first)["data"] == {"url": "ZGI6YW5vdGhlcg=="}
    assert cluster.apply(raws, prune=True).changed is False
    monkeypatch.setattr(Vault, "held", Secret("another", "v2"))
    plan = cluster.plan(raws)
    assert (actions(plan), change(plan, login).because) == ({login: "replace"}, ("hashed_name",))
    cluster.apply(raws)
    assert "NotFound" in cluster.try_kubectl("get", "secret", first).stderr
    monkeypatch.setattr(Vault, "held", Secret("0nly-a-value"))
    with pytest.raises(InvalidDescription, match=r"stringData\.url is a secret without a version") as refused:
        cluster.plan(raws)
    assert "0nly-a-value" not in str(refused.value)


def test_a_leftover_that_turns_out_to_be_what_is_wanted_is_not_deleted(cluster: Cluster) -> None:
    settings = f"kube.ConfigMap/{cluster.namespace}/settings"
    marker = Reference(f"kube.Service/{cluster.namespace}/db", "cluster_ip").marker()

    def wanted(pool: int, service: str = SERVICE) -> list[Raw]:
        text = HASHED.replace("LOG_LEVEL: info", f"URL: {marker}").replace('"10"', f'"{pool}"')
        return described(cluster, service, text, BACKEND)

    cluster.apply(wanted(10))
    (used,) = config_maps(cluster)
    # Of several objects while the name is unknown, the first by name is taken for the live one: here the other one.
    names = {n: change(cluster.plan(wanted(n)), settings).fields["hashed_name"][1] for n in range(11, 40)}
    pool = next(n for n, name in names.items() if name < used)
    assert stopped_after(cluster, wanted(pool), 1)
    assert config_maps(cluster) == [names[pool], used]

    address = cluster.object("service", "db")["spec"]["clusterIP"]
    same = SERVICE.replace("ports", f"clusterIP: {address}, ports")
    cluster.kubectl("delete", "service", "db")
    outcome = cluster.converge(wanted(10, same))
    assert "turned out to be what is wanted. Run again for a new plan." in str(outcome.error)
    assert (config_maps(cluster), told_by(cluster)) == ([used], used)
    assert cluster.apply(wanted(10, same), prune=True).changed is False
