"""What one field manager applied, cut out of a live object."""

from __future__ import annotations

from typing import Any

from tests.bench.applied import applied, managers


def live(fields: dict[str, Any], manager: str = "shop", operation: str = "Apply", **more: Any) -> dict[str, Any]:
    entry = {"manager": manager, "operation": operation, "fieldsType": "FieldsV1", "fieldsV1": fields}
    meta = {"name": "web", "namespace": "shop", "uid": "1", "resourceVersion": "7", "labels": {"a": "1", "b": "2"}}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {**meta, "managedFields": [entry]}, **more}


def test_fields_of_others_and_the_servers_own_are_left_out() -> None:
    raw = live({"f:spec": {"f:replicas": {}}}, spec={"replicas": 2, "paused": False}, status={"replicas": 2})
    assert applied(raw, "shop") == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "spec": {"replicas": 2},
        "metadata": {"name": "web", "namespace": "shop"},
    }


def test_labels_that_were_applied_stay_beside_the_name() -> None:
    assert applied(live({"f:metadata": {"f:labels": {"f:b": {}}}}), "shop") == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop", "labels": {"b": "2"}},
    }


def test_items_of_a_keyed_list_are_found_by_all_their_keys() -> None:
    fields: dict[str, Any] = {"f:ports": {'k:{"port":53,"protocol":"UDP"}': {".": {}, "f:port": {}, "f:name": {}}}}
    ports = [
        {"port": 53, "protocol": "TCP", "name": "tcp"},
        {"port": 53, "protocol": "UDP", "name": "udp", "nodePort": 30053},
    ]
    made = applied(live({"f:spec": fields}, spec={"ports": ports}), "shop")
    assert made is not None
    assert made["spec"] == {"ports": [{"port": 53, "name": "udp"}]}


def test_elements_of_a_set_are_found_by_their_value() -> None:
    fields: dict[str, Any] = {"f:metadata": {"f:finalizers": {".": {}, 'v:"shop/b"': {}}}}
    raw = live(fields)
    raw["metadata"]["finalizers"] = ["other/a", "shop/b"]
    made = applied(raw, "shop")
    assert made is not None
    assert made["metadata"]["finalizers"] == ["shop/b"]


def test_a_value_with_nothing_below_is_taken_whole() -> None:
    raw = live({"f:spec": {"f:command": {}, "f:selector": {}}}, spec={"command": ["a", "b"], "selector": {"x": "y"}})
    made = applied(raw, "shop")
    assert made is not None
    assert made["spec"] == {"command": ["a", "b"], "selector": {"x": "y"}}


def test_what_others_wrote_is_not_applied_by_us() -> None:
    assert applied(live({"f:data": {}}, manager="kubectl"), "shop") is None
    assert applied(live({"f:data": {}}, operation="Update"), "shop") is None


def test_everybody_who_wrote_is_named_but_not_who_keeps_its_status() -> None:
    raw = live({"f:spec": {}})
    raw["metadata"]["managedFields"] += [
        {"manager": "kcm", "operation": "Update", "subresource": "status"},
        {"manager": "kubectl-edit", "operation": "Update"},
    ]
    assert managers(raw) == {"shop", "kubectl-edit"}
