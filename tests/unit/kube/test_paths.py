"""Objects as flat fields, and whose hands the fields are in."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.values import Secret, Unknown
from ansible_collections.capstan.fullstack.plugins.module_utils.kube.paths import (
    flatten,
    movers,
    owned_paths,
    pack_paths,
    path_of_cause,
    recorded_paths,
)
from ansible_collections.capstan.fullstack.plugins.module_utils.kube.schema import bundled_schemas


def flat(manifest: dict[str, Any]) -> dict[str, Any]:
    schemas = bundled_schemas()
    node = schemas.of(manifest["apiVersion"], manifest["kind"])
    leaves = flatten(manifest, node, schemas)
    return {path: leaf.value for path, leaf in leaves.items() if path not in ("apiVersion", "kind")}


def pod(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Pod", "spec": spec}


def test_items_of_associative_lists_are_named_by_their_key() -> None:
    container = {
        "name": "web",
        "image": "i",
        "ports": [{"containerPort": 80}, {"containerPort": 53, "protocol": "UDP"}],
    }
    assert flat(pod(containers=[container])) == {
        "spec.containers[web].name": "web",
        "spec.containers[web].image": "i",
        "spec.containers[web].ports[80/TCP].containerPort": 80,
        "spec.containers[web].ports[53/UDP].containerPort": 53,
        "spec.containers[web].ports[53/UDP].protocol": "UDP",
    }


def test_an_atomic_list_is_one_field() -> None:
    assert flat(pod(tolerations=[{"key": "a"}, {"key": "b"}])) == {"spec.tolerations": [{"key": "a"}, {"key": "b"}]}


def test_an_atomic_map_is_one_field() -> None:
    service = {"apiVersion": "v1", "kind": "Service", "spec": {"selector": {"app": "a"}}}
    assert flat(service) == {"spec.selector": {"app": "a"}}


def test_elements_of_a_set_are_fields_of_their_own() -> None:
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"finalizers": ["a/b", "c/d"]}}
    assert flat(manifest) == {"metadata.finalizers[a/b]": "a/b", "metadata.finalizers[c/d]": "c/d"}


def test_an_empty_mapping_is_a_field_and_null_is_none() -> None:
    assert flat(pod(volumes=[{"name": "t", "emptyDir": {}}], hostname=None)) == {
        "spec.volumes[t].name": "t",
        "spec.volumes[t].emptyDir": {},
    }


def test_an_unknown_schema_keeps_mappings_apart_and_lists_whole() -> None:
    manifest = {"apiVersion": "example.org/v1", "kind": "Widget", "spec": {"a": {"b": 1}, "c": [{"name": "x"}]}}
    assert flat(manifest) == {"spec.a.b": 1, "spec.c": [{"name": "x"}]}


def leaf(manifest: dict[str, Any], path: str) -> Any:
    schemas = bundled_schemas()
    return flatten(manifest, schemas.of(manifest["apiVersion"], manifest["kind"]), schemas)[path]


def test_two_spellings_of_a_quantity_are_the_same_field_value() -> None:
    def limits(cpu: Any) -> dict[str, Any]:
        return pod(containers=[{"name": "a", "resources": {"limits": {"cpu": cpu}}}])

    path = "spec.containers[a].resources.limits.cpu"
    assert leaf(limits("1000m"), path).same(leaf(limits(1), path))
    assert not leaf(limits("1000m"), path).same(leaf(limits("2"), path))


def test_a_port_may_be_text_or_a_number() -> None:
    def service(port: Any) -> dict[str, Any]:
        return {"apiVersion": "v1", "kind": "Service", "spec": {"ports": [{"port": 80, "targetPort": port}]}}

    path = "spec.ports[80/TCP].targetPort"
    assert leaf(service("8080"), path).same(leaf(service(8080), path))


def test_a_secret_is_compared_by_its_value_and_an_unknown_is_like_nothing() -> None:
    def settings(value: Any) -> Any:
        return leaf({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": value}}, "data.a")

    assert settings(Secret("x", "v1")).same(settings("x"))
    assert not settings(Secret("x", "v1")).same(settings("y"))
    assert not settings(Unknown()).same(settings(Unknown()))


MANAGED: dict[str, Any] = {
    "metadata": {
        "managedFields": [
            {
                "manager": "capstan",
                "operation": "Apply",
                "fieldsV1": {
                    "f:metadata": {"f:labels": {"f:app.kubernetes.io/name": {}}},
                    "f:spec": {
                        "f:template": {
                            "f:spec": {
                                "f:containers": {
                                    'k:{"name":"web"}': {
                                        ".": {},
                                        "f:image": {},
                                        "f:ports": {
                                            'k:{"containerPort":80,"protocol":"TCP"}': {".": {}, "f:containerPort": {}}
                                        },
                                    }
                                }
                            }
                        }
                    },
                },
            },
            {
                "manager": "kubectl-edit",
                "operation": "Update",
                "fieldsV1": {"f:spec": {"f:replicas": {}}, "f:metadata": {"f:finalizers": {'v:"a/b"': {}}}},
            },
            {
                "manager": "kube-controller-manager",
                "operation": "Update",
                "subresource": "status",
                "fieldsV1": {"f:status": {"f:replicas": {}}},
            },
        ]
    }
}


def test_our_fields_are_spelled_as_in_a_flat_object() -> None:
    assert owned_paths(MANAGED) == {
        "metadata.labels.app.kubernetes.io/name",
        "spec.template.spec.containers[web].image",
        "spec.template.spec.containers[web].ports[80/TCP].containerPort",
    }


def test_others_fields_are_told_with_their_manager_and_status_is_nobodys() -> None:
    assert movers(MANAGED) == {"spec.replicas": "kubectl-edit", "metadata.finalizers[a/b]": "kubectl-edit"}


@pytest.mark.parametrize(
    ("cause", "path"),
    [
        (".spec.replicas", "spec.replicas"),
        (".data.LOG_LEVEL", "data.LOG_LEVEL"),
        ('.spec.template.spec.containers[name="web"].image', "spec.template.spec.containers[web].image"),
        ('.spec.ports[port=80,protocol="TCP"].targetPort', "spec.ports[80/TCP].targetPort"),
        ('.metadata.finalizers[="a/b"]', "metadata.finalizers[a/b]"),
        (".metadata.labels.app.kubernetes.io/name", "metadata.labels.app.kubernetes.io/name"),
    ],
)
def test_a_conflicts_field_is_spelled_as_ours(cause: Any, path: Any) -> None:
    assert path_of_cause(cause) == path


def test_the_record_of_applied_fields_survives_its_packing() -> None:
    packed = pack_paths({"spec.a", "spec.b[c]"})
    assert recorded_paths({"metadata": {"annotations": {"capstan.dev/applied-paths": packed}}}) == {
        "spec.a",
        "spec.b[c]",
    }


@pytest.mark.parametrize("broken", ["", "no base64!", "aGVsbG8="])
def test_a_broken_record_owns_nothing(broken: Any) -> None:
    assert recorded_paths({"metadata": {"annotations": {"capstan.dev/applied-paths": broken}}}) == frozenset()
