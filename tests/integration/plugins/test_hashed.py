"""Hashed names in whole runs: planned on an empty account, moved to with new content, gathered as described."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from .conftest import Bench
from .test_cluster import KUBECONFIG, kubectl

SPECS = """
argument_specs:
  main:
    options:
      objects_namespace: {type: str, required: true}
      objects_level: {type: str, default: info}
      objects_version: {type: str, default: "5"}
"""
DEFAULTS = """
objects_level: info
objects_version: "5"
"""
MANIFESTS = """
apiVersion: v1
kind: Namespace
metadata: {name: "{{ objects_namespace }}"}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: app, namespace: "{{ objects_namespace }}", annotations: {capstan.dev/hashed: "true"}}
data:
  VPC: "{{ 'aws.vpc/main' | capstan.fullstack.ref }}"
  LEVEL: "{{ objects_level }}"
---
apiVersion: v1
kind: Secret
metadata: {name: keys, namespace: "{{ objects_namespace }}", annotations: {capstan.dev/hashed: "true"}}
stringData: {TOKEN: "{{ 'SHOP_TOKEN' | capstan.fullstack.secret_ref('env', version=objects_version) }}"}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: app, namespace: "{{ objects_namespace }}"}
spec:
  selector: {matchLabels: {app: app}}
  template:
    metadata: {labels: {app: app}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - name: app
          image: 127.0.0.1:5000/pause:1
          envFrom: [{configMapRef: {name: app}}, {secretRef: {name: keys}}]
"""
SOURCES = "spec.template.spec.containers[app].envFrom"


@pytest.fixture
def namespace() -> Iterator[str]:
    name = f"plugins-{secrets.token_hex(4)}"
    yield name
    kubectl("delete", "namespace", name, "--ignore-not-found", "--wait=false")


def play(bench: Bench, **arguments: Any) -> None:
    roles = [{"role": "net", "scope": "platform"}, {"role": "objects"}]
    bench.play(roles=roles, kubeconfig=str(KUBECONFIG), progress="text", **arguments)


def names(namespace: str) -> list[str]:
    """Of the ConfigMaps and Secrets that hold settings."""
    found = kubectl("get", "configmaps,secrets", "-n", namespace, "-o", "name").split()
    return [name for name in found if name.startswith(("configmap/app-", "secret/keys-"))]


def sources(namespace: str) -> list[str]:
    found = json.loads(kubectl("get", "deployment", "app", "-n", namespace, "-o", "json"))
    (container,) = found["spec"]["template"]["spec"]["containers"]
    return [
        f"{key.removesuffix('Ref').lower()}/{held['name']}" for one in container["envFrom"] for key, held in one.items()
    ]


@pytest.mark.cluster
def test_workloads_follow_their_settings_by_content_and_their_secrets_by_version(bench: Bench, namespace: str) -> None:
    bench.write("roles/objects/meta/argument_specs.yml", SPECS)
    bench.write("roles/objects/defaults/main.yml", DEFAULTS)
    bench.write("roles/objects/templates/manifests/all.yaml.j2", MANIFESTS)
    play(bench)
    said: list[str] = []

    def run(*more: str, token: str = "hunter2") -> dict[str, str]:
        ran = bench.run("--diff", "-e", f"objects_namespace={namespace}", *more, environment={"SHOP_TOKEN": token})
        assert ran.code == 0, ran.out
        said.append(ran.out + json.dumps(bench.result))
        changes = bench.result.get("plan", [])
        return {change["address"]: change["action"] for change in changes if change["action"] != "none"}

    settings, keys, app = (
        f"kube.{kind}/{namespace}/{n}" for kind, n in (("ConfigMap", "app"), ("Secret", "keys"), ("Deployment", "app"))
    )
    planned = run("--check")
    assert (planned[settings], planned[keys], planned[app]) == ("create", "create", "create")
    assert "+hashed_name: (known after apply)" in said[-1]
    assert run() == planned
    first = names(namespace)
    assert len(first) == 2 and sources(namespace) == first
    assert run() == {}

    assert run("-e", "objects_level=debug") == {settings: "replace", app: "update"}
    second = names(namespace)
    assert second[0] != first[0] and second[1] == first[1] and sources(namespace) == second
    # The same version says the same secret; another one is another object.
    assert run("-e", "objects_level=debug", "-e", "objects_version=6", token="hunter3") == {
        keys: "replace",
        app: "update",
    }
    third = names(namespace)
    assert third[0] == second[0] and third[1] != second[1] and sources(namespace) == third
    play(bench, prune=True)
    assert run("-e", "objects_level=debug", "-e", "objects_version=6", token="hunter3") == {}
    assert "hunter" not in "\n".join(said)

    play(bench, state="gathered")
    run()
    found = {(one["kind"], one["metadata"]["name"]): one for one in bench.result["manifests"]}
    assert found["ConfigMap", "app"]["metadata"]["annotations"] == {"capstan.dev/hashed": "true"}
    (container,) = found["Deployment", "app"]["spec"]["template"]["spec"]["containers"]
    assert container["envFrom"] == [{"configMapRef": {"name": "app"}}, {"secretRef": {"name": "keys"}}]

    play(bench, state="rendered")
    run()
    reference = f"{{{{ '{settings}' | capstan.fullstack.ref('name') }}}}"
    rendered = bench.result["description"][app]["manifest"]["spec"]["template"]["spec"]["containers"][0]
    assert rendered["envFrom"][0] == {"configMapRef": {"name": reference}}

    kept = [found["ConfigMap", "app"], found["Namespace", namespace]]
    bench.write("roles/objects/templates/manifests/all.yaml.j2", yaml.safe_dump_all(kept))
    play(bench)
    run("--check")
    assert [change["address"] for change in bench.result["plan"] if not change.get("held")] == []
