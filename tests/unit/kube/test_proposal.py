"""What an apply would change, from a manifest and a live object alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.diff import diff
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.resource import READY, Live, Meta, Scope
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.values import Secret, Unknown
from ansible_collections.capstan.fullstack.plugins.module_utils.kube.live import is_member, live_from_api
from ansible_collections.capstan.fullstack.plugins.module_utils.kube.marks import body, labelled, leaves, normal
from ansible_collections.capstan.fullstack.plugins.module_utils.kube.names import address_of, group_kind
from ansible_collections.capstan.fullstack.plugins.module_utils.kube.object import KubeObject, kind_class
from ansible_collections.capstan.fullstack.plugins.module_utils.kube.proposal import compare, with_others, with_server
from ansible_collections.capstan.fullstack.plugins.module_utils.kube.schema import Schemas, bundled_schemas


class Facts:
    """What a live object is read with: no cluster."""

    cluster_id = "cluster-1"
    schemas: Schemas = bundled_schemas()

    def served(self, api_version: str, kind: str) -> None:
        return None


def resource(manifest: Mapping[str, Any], stack: str = "shop") -> KubeObject:
    cls = kind_class(group_kind(manifest).name)
    return cls(meta=Meta(address=address_of(manifest), owner=stack, component="backend"), manifest=dict(manifest))


def live_of(raw: Mapping[str, Any], *described: KubeObject) -> Live:
    everything = {one.address: one for one in described}
    scope = Scope(frozenset({"shop"}), everything, {}, everything)
    return live_from_api(Facts(), "/path", raw, scope, READY)  # type: ignore[arg-type]


def applied(manifest: Mapping[str, Any], **server: Any) -> dict[str, Any]:
    """`manifest` as the API server holds it after our apply; `server`: what others changed at its top level."""
    one = resource(manifest)
    tree = normal(manifest)
    schemas = bundled_schemas()
    named = leaves(labelled(tree, one.ownership), schemas.of(one.api_version, one.group_kind.kind), schemas)
    raw = body(tree, one.ownership, named, ())
    raw["metadata"] |= {"uid": "u", "resourceVersion": "1", "creationTimestamp": "2026-01-01T00:00:00Z"}
    return {**raw, **server}


def changes(manifest: Mapping[str, Any], raw: Mapping[str, Any], *others: KubeObject) -> dict[str, tuple[Any, Any]]:
    one = resource(manifest)
    live = live_of(raw, one, *others)
    return dict(diff(one.propose(None, live), live, one.meaning).fields)


CONFIG: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "settings", "namespace": "shop"},
    "data": {"LOG_LEVEL": "info"},
}
SECRET: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "credentials", "namespace": "shop"},
    "stringData": {"password": "correct-horse"},
}


def deployment(replicas: int = 2, **container: Any) -> dict[str, Any]:
    pods = {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "a", "image": "i:1", **container}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "backend", "namespace": "shop"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "a"}}, "template": pods},
    }


SCALER: dict[str, Any] = {
    "apiVersion": "autoscaling/v2",
    "kind": "HorizontalPodAutoscaler",
    "metadata": {"name": "backend", "namespace": "shop"},
    "spec": {"maxReplicas": 5, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "backend"}},
}


def test_what_was_just_applied_is_no_change() -> None:
    assert changes(deployment(), applied(deployment())) == {}


def test_a_new_object_is_shown_as_it_is_described_without_our_marks() -> None:
    assert resource(CONFIG).propose(None, None) == {"data.LOG_LEVEL": "info"}


def test_a_changed_value_is_shown_before_and_after() -> None:
    assert changes(CONFIG, applied(CONFIG, data={"LOG_LEVEL": "debug"})) == {"data.LOG_LEVEL": ("debug", "info")}


def test_fields_of_others_are_nobodys_business() -> None:
    raw = applied(CONFIG, data={"LOG_LEVEL": "info", "ADDED": "by hand"})
    raw["metadata"]["annotations"]["other.example/note"] = "x"
    assert changes(CONFIG, raw) == {}


def test_another_spelling_of_a_quantity_is_no_change() -> None:
    wanted = deployment(resources={"limits": {"cpu": "1000m", "memory": "0.5Gi"}})
    assert changes(wanted, applied(deployment(resources={"limits": {"cpu": "1", "memory": "512Mi"}}))) == {}


def test_defaults_that_the_server_added_inside_an_atomic_list_are_no_change() -> None:
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "p", "namespace": "shop"},
        "spec": {"podSelector": {}, "ingress": [{"ports": [{"port": 5432}]}]},
    }
    raw = applied(policy, spec={"podSelector": {}, "ingress": [{"ports": [{"port": 5432, "protocol": "TCP"}]}]})
    assert changes(policy, raw) == {}


def test_an_order_of_containers_or_variables_is_no_change() -> None:
    env = [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]
    assert changes(deployment(env=env), applied(deployment(env=env[::-1]))) == {}


def test_a_field_that_we_owned_and_no_longer_describe_goes() -> None:
    raw = applied(CONFIG, data={"LOG_LEVEL": "info", "OLD": "x"})
    fields: dict[str, Any] = {"f:data": {"f:LOG_LEVEL": {}, "f:OLD": {}}}
    raw["metadata"]["managedFields"] = [{"manager": "capstan", "operation": "Apply", "fieldsV1": fields}]
    assert changes(CONFIG, raw) == {"data.OLD": ("x", None)}


def test_an_unknown_value_is_a_change() -> None:
    wanted = {**CONFIG, "data": {"LOG_LEVEL": Unknown("aws.db_instance/main.address")}}
    ((before, after),) = changes(wanted, applied(CONFIG)).values()
    assert (before, str(after)) == ("info", "(known after apply)")


def test_a_secret_is_compared_by_value_and_never_shown() -> None:
    assert changes(SECRET, applied(SECRET)) == {}
    found = changes({**SECRET, "stringData": {"password": "battery-staple"}}, applied(SECRET))
    assert set(found) == {"data.password"}
    assert "horse" not in repr(found)
    assert "staple" not in repr(found)
    assert "YmF0" not in repr(found)


def test_a_literal_secret_does_not_show_in_a_new_objects_fields() -> None:
    assert repr(resource(SECRET).propose(None, None)) == "{'data.password': (secret)}"


def test_a_variable_that_came_from_a_secret_stays_masked_when_it_leaves() -> None:
    with_secret = deployment(env=[{"name": "TOKEN", "value": "t0ps3cret"}])
    raw = applied(with_secret)
    path = "spec.template.spec.containers[a].env[TOKEN].value"
    raw["metadata"]["annotations"]["capstan.dev/secret-paths"] = path
    found = live_of(raw).fields
    assert isinstance(found[path], Secret)
    assert "t0ps3cret" not in repr(found)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("spec.selector", "kube.Deployment"),
        ("spec.template.spec.containers[a].image", "kube.Job"),
        ("spec.volumeClaimTemplates", "kube.StatefulSet"),
        ("spec.clusterIP", "kube.Service"),
        ("roleRef.name", "kube.RoleBinding"),
        ("data.A (immutable)", "kube.ConfigMap"),
    ],
)
def test_fields_that_cannot_change_in_place_force_a_replacement(path: Any, kind: Any) -> None:
    assert kind_class(kind).meaning(path).create_only


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("spec.template.spec.containers[a].image", "kube.Deployment"),
        ("spec.replicas", "kube.StatefulSet"),
        ("spec.clusterIPFamilies", "kube.Service"),
        ("data.A", "kube.ConfigMap"),
    ],
)
def test_other_fields_change_in_place(path: Any, kind: Any) -> None:
    assert not kind_class(kind).meaning(path).create_only


def test_an_immutable_settings_object_says_so_and_is_replaced() -> None:
    raw = applied({**CONFIG, "immutable": True})
    one = resource({**CONFIG, "immutable": True, "data": {"LOG_LEVEL": "debug"}})
    live = live_of(raw, one)
    difference = diff(one.propose(None, live), live, one.meaning)
    assert dict(difference.fields) == {"data.LOG_LEVEL (immutable)": ("info", "debug")}
    assert difference.because == ("data.LOG_LEVEL (immutable)",)


def test_replicas_under_an_autoscaler_are_its_own_once_the_workload_is_there() -> None:
    raw = applied(deployment(replicas=5))
    one, scaler = resource(deployment(replicas=2)), resource(SCALER)
    live = live_of(raw, one, scaler)
    difference = diff(one.propose(None, live), live, one.meaning)
    assert dict(difference.fields) == {}
    assert dict(difference.kept) == {"spec.replicas (autoscaled)": (5, 2)}


def test_replicas_without_an_autoscaler_are_moved_back() -> None:
    assert changes(deployment(replicas=2), applied(deployment(replicas=5))) == {"spec.replicas": (5, 2)}


def claim(size: str) -> dict[str, Any]:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
    metadata = {"name": "data", "namespace": "shop"}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec}


def test_a_volume_that_grew_stays_as_large_as_it_is() -> None:
    assert changes(claim("10Gi"), applied(claim("20Gi"))) == {}
    assert changes(claim("20Gi"), applied(claim("10Gi"))) == {"spec.resources.requests.storage": ("10Gi", "20Gi")}


def test_the_server_has_the_last_word_about_what_changes() -> None:
    schemas = bundled_schemas()
    node = schemas.of("v1", "ConfigMap")

    def fields(data: dict[str, str]) -> dict[str, Any]:
        return leaves({**CONFIG, "data": data}, node, schemas)

    compared = compare(fields({"A": "1", "B": "", "C": "3"}), fields({"A": "2", "C": "changed"}), frozenset())
    result = fields({"A": "1", "C": "changed"})  # the server drops B, and says that C stays
    assert with_server(compared, result) == {"data.A": "1"}


def test_a_described_object_whose_stack_label_was_taken_off_is_adopted_again() -> None:
    raw = applied(CONFIG)
    del raw["metadata"]["labels"]["capstan.dev/stack"]
    raw["metadata"]["managedFields"] = [{"manager": "capstan", "operation": "Apply", "fieldsV1": {"f:data": {}}}]
    live = live_of(raw, resource(CONFIG))
    assert (live.owner, live.adopt) == ("shop", True)


def test_an_object_of_the_same_name_that_nobody_applied_for_us_is_not_ours() -> None:
    raw = applied(CONFIG)
    del raw["metadata"]["labels"]["capstan.dev/stack"]
    live = live_of(raw, resource(CONFIG))
    assert (live.owner, live.adopt) == ("", False)


def test_an_apply_sets_parent_and_a_controllers_copy_of_our_labels_are_no_members() -> None:
    assert is_member(applied(CONFIG))
    parent = applied(CONFIG)
    parent["metadata"]["labels"]["applyset.kubernetes.io/id"] = "applyset-x-v1"
    assert not is_member(parent)
    copy = applied(CONFIG)
    copy["metadata"]["ownerReferences"] = [{"kind": "Service", "uid": "s", "controller": True}]
    assert not is_member(copy)


def test_an_object_goes_before_its_namespace_its_apply_set_and_its_cluster() -> None:
    assert live_of(applied(CONFIG)).refs == {
        "cluster-1",
        "/api/v1/namespaces/shop",
        "/api/v1/namespaces/shop/configmaps/capstan-shop",
    }


def test_an_update_of_a_volume_that_grew_does_not_ask_for_less() -> None:
    sent = with_others(normal(claim("10Gi")), applied(claim("20Gi")), autoscaled=False)
    assert sent["spec"]["resources"]["requests"]["storage"] == "20Gi"
    sent = with_others(normal(claim("30Gi")), applied(claim("20Gi")), autoscaled=False)
    assert sent["spec"]["resources"]["requests"]["storage"] == "30Gi"


def test_an_update_of_an_autoscaled_workload_keeps_the_replicas_that_it_has() -> None:
    sent = with_others(normal(deployment(replicas=2)), applied(deployment(replicas=5)), autoscaled=True)
    assert sent["spec"]["replicas"] == 5
