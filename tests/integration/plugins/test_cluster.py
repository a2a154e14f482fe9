"""AWS and a real Kubernetes in one stack, reached with a kubeconfig."""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from .conftest import Bench

pytestmark = pytest.mark.cluster
SANDBOX = Path(os.environ.get("CAPSTAN_SANDBOX_DIR", "/var/lib/capstan/sandbox"))
KUBECONFIG = SANDBOX / "kubeconfig"
MANIFESTS = """
apiVersion: v1
kind: Namespace
metadata: {name: "{{ objects_namespace }}"}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: app, namespace: "{{ objects_namespace }}", labels: {team: shop}}
data:
  VPC: "{{ 'aws.vpc/main' | capstan.fullstack.ref }}"
  LEVEL: "{{ objects_level }}"
---
apiVersion: v1
kind: Secret
metadata: {name: keys, namespace: "{{ objects_namespace }}"}
stringData: {password: "{{ objects_password }}"}
"""
SPECS = """
argument_specs:
  main:
    options:
      objects_namespace: {type: str, required: true}
      objects_level: {type: str, default: info}
      objects_password: {type: str, no_log: true}
"""


def kubectl(*arguments: str) -> str:
    command = ["kubectl", "--kubeconfig", str(KUBECONFIG), *arguments]
    parts = sorted(Path("/var/cache/capstan/parts").glob("kubernetes-*/kubectl"))
    command[0] = str(parts[-1]) if parts else "kubectl"
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


@pytest.fixture
def namespace() -> Iterator[str]:
    name = f"plugins-{secrets.token_hex(4)}"
    yield name
    kubectl("delete", "namespace", name, "--ignore-not-found", "--wait=false")


def test_one_run_makes_both_and_what_is_gathered_is_accepted_again(bench: Bench, namespace: str) -> None:
    bench.write("roles/objects/meta/argument_specs.yml", SPECS)
    bench.write("roles/objects/defaults/main.yml", "objects_level: info\nobjects_password: s3cret-s3cret\n")
    bench.write("roles/objects/templates/manifests/all.yaml.j2", MANIFESTS)
    roles = [{"role": "net", "scope": "platform"}, {"role": "objects"}]
    stack = {"roles": roles, "kubeconfig": str(KUBECONFIG)}
    bench.play(**stack)
    there = ("-e", f"objects_namespace={namespace}")

    check = bench.run("--check", "--diff", *there)
    assert (check.code, check.writes) == (0, []), check.out
    assert f"+ kube.ConfigMap/{namespace}/app" in check.out and "+data.VPC: (known after apply)" in check.out
    assert "s3cret" not in check.out

    done = bench.run(*there)
    assert done.code == 0, done.out
    vpc = bench.result["outputs"]["aws.vpc/main"]["id"]
    assert kubectl("get", "configmap", "app", "-n", namespace, "-o", "jsonpath={.data.VPC}") == vpc
    again = bench.run(*there)
    assert (again.code, again.writes, bench.result["changed"]) == (0, [], False)

    kubectl("patch", "configmap", "app", "-n", namespace, "-p", '{"data": {"LEVEL": "debug"}}')
    drift = bench.run("--check", "--diff", *there)
    assert f"    ~ kube.ConfigMap/{namespace}/app\n" in drift.out
    assert "-data.LEVEL: debug" in drift.out and "+data.LEVEL: info" in drift.out
    assert "Plan: 0 to create, 1 to update, 0 to replace, 0 to delete" in drift.out
    assert bench.run(*there).code == 0

    bench.play(**stack, state="gathered")
    bench.run(*there)
    manifests = {f"{found['kind']}/{found['metadata']['name']}": found for found in bench.result["manifests"]}
    assert manifests["ConfigMap/app"]["data"] == {"VPC": vpc, "LEVEL": "info"}
    assert "s3cret" not in yaml.safe_dump(bench.result)
    kept = [manifests["ConfigMap/app"], manifests[f"Namespace/{namespace}"]]
    bench.write("roles/objects/templates/manifests/all.yaml.j2", yaml.safe_dump_all(kept))
    bench.play(**stack)
    same = bench.run("--check", *there)
    assert [change["action"] for change in bench.result["plan"] if not change.get("held")] == [], same.out

    bench.play(**stack, state="absent")
    gone = bench.run(*there)
    assert gone.code == 0, gone.out
    assert kubectl("get", "namespace", namespace, "--ignore-not-found") == ""
