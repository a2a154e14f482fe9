"""Apply sets: found by kubectl, refused by kubectl, wide enough at every moment."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.description import Raw

from .descriptions import BACKEND, PLACE, SETTINGS
from .harness import Cluster, actions

pytestmark = pytest.mark.cluster
KINDS = "applyset.kubernetes.io/contains-group-kinds"


def described(cluster: Cluster, *texts: str) -> list[Raw]:
    return cluster.raws(PLACE, "namespace") + [raw for text in texts for raw in cluster.raws(text)]


def parent(cluster: Cluster) -> dict[str, Any]:
    return cluster.object("configmap", f"capstan-{cluster.stack}")["metadata"]


def test_kubectl_lists_the_members_of_the_set(cluster: Cluster) -> None:
    cluster.apply(described(cluster, SETTINGS))
    identity = parent(cluster)["labels"]["applyset.kubernetes.io/id"]
    selector = f"--selector=applyset.kubernetes.io/part-of={identity}"
    found = cluster.kubectl("get", "configmaps,secrets,serviceaccounts,namespaces", selector, "--output=name").split()
    assert sorted(found) == [
        "configmap/settings",
        f"namespace/{cluster.namespace}",
        "secret/credentials",
        "serviceaccount/backend",
    ]


def test_kubectl_refuses_to_change_the_set(cluster: Cluster) -> None:
    cluster.apply(described(cluster, SETTINGS))
    manifest = json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "other"}})
    arguments = ("apply", "--prune", f"--applyset=configmaps/capstan-{cluster.stack}", "--server-side", "--filename=-")
    environment = {"KUBECTL_APPLYSET": "true"}
    answer = cluster.try_kubectl(*arguments, text=manifest, environment=environment)
    assert answer.returncode != 0
    assert 'is managed by tooling "capstan" instead of "kubectl"' in answer.stderr
    assert "NotFound" in cluster.try_kubectl("get", "configmap", "other").stderr


def test_the_record_names_every_kind_and_is_narrowed_when_one_is_gone(cluster: Cluster) -> None:
    cluster.apply(described(cluster, SETTINGS, BACKEND))
    assert parent(cluster)["annotations"][KINDS] == (
        "ConfigMap,Deployment.apps,Namespace,Secret,Service,ServiceAccount"
    )
    less = described(cluster, SETTINGS)
    cluster.apply(less)
    assert parent(cluster)["annotations"][KINDS] == (
        "ConfigMap,Deployment.apps,Namespace,Secret,Service,ServiceAccount"
    )
    cluster.apply(less, prune=True)
    assert parent(cluster)["annotations"][KINDS] == "ConfigMap,Namespace,Secret,ServiceAccount"


def test_the_record_is_wide_before_the_first_member_is_written(cluster: Cluster) -> None:
    """The API server's own order of versions: the parent's is below that of every member."""
    cluster.apply(described(cluster, SETTINGS, BACKEND))
    first = int(parent(cluster)["resourceVersion"])
    for kind, name in (("configmap", "settings"), ("secret", "credentials"), ("service", "backend")):
        assert int(cluster.object(kind, name)["metadata"]["resourceVersion"]) > first


def test_an_object_of_a_kind_that_nothing_describes_any_more_is_still_found(cluster: Cluster) -> None:
    cluster.apply(described(cluster, SETTINGS, BACKEND))
    nothing = described(cluster)
    place = cluster.namespace
    assert actions(cluster.plan(nothing, prune=True)) == {
        f"kube.ConfigMap/{place}/settings": "delete",
        f"kube.Secret/{place}/credentials": "delete",
        f"kube.ServiceAccount/{place}/backend": "delete",
        f"kube.Service/{place}/backend": "delete",
        f"kube.Deployment/{place}/backend": "delete",
    }


def test_a_set_that_lost_its_parent_gets_it_back_with_every_kind(cluster: Cluster) -> None:
    raws = described(cluster, SETTINGS)
    cluster.apply(raws)
    cluster.kubectl("delete", "configmap", f"capstan-{cluster.stack}")
    assert actions(cluster.plan(raws)) == {f"kube.ApplySet/{cluster.namespace}/{cluster.stack}": "create"}
    cluster.apply(raws)
    assert parent(cluster)["annotations"][KINDS] == "ConfigMap,Namespace,Secret,ServiceAccount"
    assert cluster.apply(raws).changed is False


DEFINITION = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.NAMESPACE.example.org}
spec:
  group: NAMESPACE.example.org
  scope: Namespaced
  names: {kind: Widget, plural: widgets, singular: widget}
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          type: object
          properties: {spec: {type: object, properties: {size: {type: integer}}}}
"""
WIDGET = """
apiVersion: NAMESPACE.example.org/v1
kind: Widget
metadata: {name: first, namespace: NAMESPACE}
spec: {size: 3}
"""


def test_a_definition_and_its_objects_come_and_go_in_one_run(cluster: Cluster) -> None:
    raws = described(cluster, DEFINITION, WIDGET)
    widget = f"kube.Widget.{cluster.namespace}.example.org/{cluster.namespace}/first"
    definition = f"kube.CustomResourceDefinition/widgets.{cluster.namespace}.example.org"
    assert actions(cluster.plan(raws))[widget] == "create"
    cluster.apply(raws)
    resource = f"widgets.{cluster.namespace}.example.org"
    assert cluster.object(resource, "first")["spec"] == {"size": 3}
    assert cluster.apply(raws).changed is False
    assert actions(cluster.plan(described(cluster), prune=True)) == {
        widget: "delete",
        definition: "delete",
        f"kube.ApplySet/default/{cluster.stack}": "delete",
    }
    cluster.apply(described(cluster), prune=True)
    assert "NotFound" in cluster.try_kubectl("get", "customresourcedefinition", resource).stderr
