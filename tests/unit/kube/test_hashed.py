"""Names that say what is inside: what counts, what is rewritten, what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.description import Raw, describe
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.errors import InvalidDescription
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.values import UNSET, Reference, Secret, Unknown
from ansible_collections.capstan.fullstack.plugins.module_utils.kube.hashed import (
    described_address,
    hashed_name,
    with_described_names,
)
from ansible_collections.capstan.fullstack.plugins.module_utils.kube.manifests import link_objects, parse_manifests
from ansible_collections.capstan.fullstack.plugins.module_utils.kube.provider import KubeProvider

SETTINGS, LOGIN = "kube.ConfigMap/shop/settings", "kube.Secret/shop/login"
ASKED = {"capstan.dev/hashed": "true"}


def config_map(data: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    named = {"name": "settings", "namespace": "shop", "annotations": ASKED, **metadata}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": named, "data": data}


def name_of(manifest: dict[str, Any], template: dict[str, Any] | None = None) -> Any:
    return hashed_name(manifest, template or manifest)


def parsed(text: str) -> list[Raw]:
    return parse_manifests(text, component="backend", owner="shop", source="backend.yaml")


def test_only_the_content_counts_and_its_order_does_not() -> None:
    name = name_of(config_map({"A": "1", "B": "2"}))
    # sha256 of {"data": {"A": "1", "B": "2"}}
    assert name == "settings-608a1b80ba"
    assert name_of(config_map({"B": "2", "A": "1", "C": None}, labels={"team": "web"})) == name
    assert name_of(config_map({"A": "1", "B": "3"})) != name
    assert name_of({**config_map({"A": "1"}), "binaryData": {"B": "Mg=="}}) != name
    assert name_of(config_map({"A": "1"}, annotations={})) is UNSET


def test_content_that_is_not_known_yet_gives_no_name() -> None:
    assert name_of(config_map({"HOST": Unknown("aws.db_instance/main.address")})) == Unknown(f"{SETTINGS}.name")
    assert name_of(config_map({"HOST": Reference("aws.db_instance/main", "address").marker()})) is UNSET
    assert name_of(config_map({"KEY": "capstan-secret(env|KEY||||none|0|01234567)"})) is UNSET
    assert name_of(login(Secret("capstan-secret(env|KEY||||none|0|01234567)"))) is UNSET


def login(value: Any) -> dict[str, Any]:
    metadata = {"name": "login", "namespace": "shop", "annotations": ASKED}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"url": value}}


def test_a_secret_counts_by_its_version_and_by_the_text_around_it() -> None:
    def template(text: str, serial: int) -> dict[str, Any]:
        return login(text.format(Reference("aws.db_instance/main", "master_password", serial=serial).marker()))

    first = name_of(login(Secret("db:hunter2", "v1")), template("db:{}", 7))
    assert name_of(login(Secret("db:another", "v1")), template("db:{}", 8)) == first
    assert name_of(login(Secret("db:hunter2", "v2")), template("db:{}", 7)) != first
    assert name_of(login(Secret("pg:hunter2", "v1")), template("pg:{}", 7)) != first


@pytest.mark.parametrize("version", ["", "v1+", "+v1"])
def test_a_secret_without_a_version_is_refused_and_not_shown(version: str) -> None:
    with pytest.raises(InvalidDescription) as refused:
        name_of(login(Secret("hunter2", version)))
    assert str(refused.value) == (
        "kube.Secret/shop/login: its name cannot be hashed: stringData.url is a secret without a version, and could be "
        "guessed from a digest. Leave capstan.dev/hashed out, or take it from where it has one (secret_ref)."
    )


def test_a_literal_secret_is_refused_before_any_call() -> None:
    text = """
apiVersion: v1
kind: Secret
metadata: {name: login, namespace: shop, annotations: {capstan.dev/hashed: "true"}}
stringData: {user: app}
"""
    raws = parsed(text)
    with pytest.raises(InvalidDescription, match=r"stringData\.user is a secret without a version"):
        describe(link_objects(raws), [KubeProvider()])


POD = """
imagePullSecrets: [{name: login}, {name: other}]
initContainers:
  - {name: first, image: a:1, envFrom: [{configMapRef: {name: settings}}, {secretRef: {name: login}}]}
containers:
  - name: main
    image: a:1
    envFrom: [{configMapRef: {name: settings-extra}}]
    env:
      - {name: A, valueFrom: {configMapKeyRef: {name: settings, key: A}}}
      - {name: B, valueFrom: {secretKeyRef: {name: login, key: B}}}
      - {name: C, value: settings}
volumes:
  - {name: v1, configMap: {name: settings}}
  - {name: v2, secret: {secretName: login}}
  - {name: v3, projected: {sources: [{configMap: {name: settings}}, {secret: {name: login}}]}}
  - {name: v4, csi: {driver: a.b, nodePublishSecretRef: {name: login}}}
"""


def indented(text: str, spaces: int) -> str:
    return "".join(f"{' ' * spaces}{line}\n" for line in text.strip().splitlines())


HASHED = """
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: shop, annotations: {capstan.dev/hashed: true}}
data: {A: "1"}
---
apiVersion: v1
kind: Secret
metadata: {name: login, namespace: shop, annotations: {capstan.dev/hashed: "true"}}
---
"""
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: backend, namespace: NAMESPACE}
spec:
  selector: {matchLabels: {app: a}}
  template:
    metadata: {labels: {app: a}}
    spec:
""" + indented(POD, 6)
CRON_JOB = """
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly, namespace: shop}
spec:
  schedule: "0 3 * * *"
  jobTemplate:
    spec:
      template:
        spec:
          restartPolicy: Never
""" + indented(POD, 10)


def test_every_reference_of_a_pod_becomes_a_reference_to_the_name() -> None:
    given = parsed(HASHED + DEPLOYMENT.replace("NAMESPACE", "shop") + "---\n" + CRON_JOB)
    described = describe(link_objects(given), [KubeProvider()])
    settings, secret = Reference(SETTINGS, "name").marker(), Reference(LOGIN, "name").marker()
    for address in ("kube.Deployment/shop/backend", "kube.CronJob/shop/nightly"):
        spec = described.resources[address].values()["manifest"]["spec"]
        pod = (spec.get("template") or spec.get("jobTemplate", {}).get("spec", {}).get("template"))["spec"]
        assert pod["imagePullSecrets"] == [{"name": secret}, {"name": "other"}]
        assert pod["initContainers"][0]["envFrom"] == [
            {"configMapRef": {"name": settings}},
            {"secretRef": {"name": secret}},
        ]
        main = pod["containers"][0]
        assert main["envFrom"] == [{"configMapRef": {"name": "settings-extra"}}]
        assert main["env"] == [
            {"name": "A", "valueFrom": {"configMapKeyRef": {"name": settings, "key": "A"}}},
            {"name": "B", "valueFrom": {"secretKeyRef": {"name": secret, "key": "B"}}},
            {"name": "C", "value": "settings"},
        ]
        assert pod["volumes"] == [
            {"name": "v1", "configMap": {"name": settings}},
            {"name": "v2", "secret": {"secretName": secret}},
            {"name": "v3", "projected": {"sources": [{"configMap": {"name": settings}}, {"secret": {"name": secret}}]}},
            {"name": "v4", "csi": {"driver": "a.b", "nodePublishSecretRef": {"name": secret}}},
        ]
        assert described.needs[address] >= {SETTINGS, LOGIN}


def test_service_accounts_and_ingresses_follow_too_and_other_namespaces_do_not() -> None:
    text = """
apiVersion: v1
kind: ServiceAccount
metadata: {name: backend, namespace: shop}
secrets: [{name: login}]
imagePullSecrets: [{name: login}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, namespace: shop}
spec:
  tls: [{hosts: [a.example], secretName: login}]
  defaultBackend: {service: {name: web, port: {number: 80}}}
---
"""
    linked = {
        raw.address: raw.fields
        for raw in link_objects(parsed(HASHED + text + DEPLOYMENT.replace("NAMESPACE", "other")))
    }
    secret = Reference(LOGIN, "name").marker()
    account = linked["kube.ServiceAccount/shop/backend"]["manifest"]
    assert (account["secrets"], account["imagePullSecrets"]) == ([{"name": secret}], [{"name": secret}])
    assert linked["kube.Ingress/shop/web"]["manifest"]["spec"]["tls"] == [
        {"hosts": ["a.example"], "secretName": secret}
    ]
    assert "capstan-ref" not in str(linked["kube.Deployment/other/backend"])


@pytest.mark.parametrize(
    ("metadata", "kind", "wrong"),
    [
        ({}, "Service", "Service settings: only a ConfigMap or a Secret can have a hashed name (capstan.dev/hashed)."),
        ({"capstan.dev/hashed": "yes"}, "ConfigMap", 'ConfigMap settings: capstan.dev/hashed is "yes"; choose "true"'),
        ({"capstan.dev/existing": "true"}, "ConfigMap", "ConfigMap settings: what exists has its name already; leave"),
    ],
)
def test_who_cannot_have_a_hashed_name_is_told_why(metadata: dict[str, str], kind: str, wrong: str) -> None:
    notes = {"capstan.dev/hashed": "true"} | metadata
    text = f"{{apiVersion: v1, kind: {kind}, metadata: {{name: settings, namespace: shop, annotations: {notes}}}}}"
    with pytest.raises(InvalidDescription) as refused:
        parsed(text)
    assert wrong in str(refused.value)


def test_a_name_that_would_become_too_long_is_refused() -> None:
    metadata = "{name: %s, namespace: shop, annotations: {capstan.dev/hashed: true}}"
    text = f"{{apiVersion: v1, kind: ConfigMap, metadata: {metadata}}}"
    assert len(parsed(text % ("a" * 242))) == 1
    with pytest.raises(InvalidDescription, match="its name is too long to be hashed, more than 242 characters"):
        parsed(text % ("a" * 243))


def live(name: str, **notes: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "shop", "annotations": notes},
    }


def test_a_live_object_is_found_under_the_described_name() -> None:
    (raw,) = (
        one
        for one in describe(link_objects(parsed(HASHED)), [KubeProvider()]).resources.values()
        if one.address == SETTINGS
    )
    wanted = {SETTINGS: raw}
    assert described_address(live("settings-0123456789", **ASKED), {}) == SETTINGS
    assert described_address(live("settings-0123456789"), wanted) == SETTINGS
    assert described_address(live("settings-0123456789"), {}) == f"{SETTINGS}-0123456789"
    assert described_address(live("settings-0123456789"), {**wanted, f"{SETTINGS}-0123456789": raw}) == (
        f"{SETTINGS}-0123456789"
    )
    assert described_address(live("settings-copy", **ASKED), wanted) == f"{SETTINGS}-copy"
    assert described_address(live("settings", **ASKED), wanted) == SETTINGS


def test_live_objects_are_gathered_under_the_names_that_they_are_described_with() -> None:
    settings = {**live("settings-0123456789", **ASKED), "data": {"A": "1"}}
    account = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": "backend", "namespace": "shop"},
        "secrets": [{"name": "settings-0123456789"}],
    }
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one", "namespace": "shop"}}
    volumes = [{"name": "v", "configMap": {"name": "settings-0123456789"}}]
    found = with_described_names([settings, account, {**pod, "spec": {"volumes": volumes}}])
    assert found[0] == {**live("settings", **ASKED), "data": {"A": "1"}}
    assert found[1] == account
    assert found[2] == {**pod, "spec": {"volumes": [{"name": "v", "configMap": {"name": "settings"}}]}}
    assert volumes[0]["configMap"] == {"name": "settings-0123456789"}
