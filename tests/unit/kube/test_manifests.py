"""Rendered YAML as resources: what is made of it, and what is said about mistakes."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.description import Raw, describe
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.errors import InvalidDescription
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.values import Reference
from ansible_collections.capstan.fullstack.plugins.module_utils.kube.manifests import link_objects, parse_manifests
from ansible_collections.capstan.fullstack.plugins.module_utils.kube.provider import KubeProvider


def parsed(text: str, owner: str = "shop", **options: Any) -> list[Raw]:
    return parse_manifests(text, component="backend", owner=owner, source="roles/backend/a.yaml.j2", **options)


def mistakes(text: str, **options: Any) -> tuple[str, ...]:
    with pytest.raises(InvalidDescription) as caught:
        parsed(text, **options)
    return caught.value.problems


CONFIG = """
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: shop}
data: {A: "1"}
"""
PLACE = "{apiVersion: v1, kind: Namespace, metadata: {name: shop}}"


def test_each_document_is_a_resource_that_says_where_it_comes_from() -> None:
    (place, config) = parsed(f"{PLACE}\n---\n# a comment\n---\n{CONFIG}", via="aws.eks_cluster/main")
    assert place.address == "kube.Namespace/shop"
    assert config == Raw(
        "kube.ConfigMap/shop/settings",
        {
            "manifest": {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "settings", "namespace": "shop"},
                "data": {"A": "1"},
            },
            "via": "aws.eks_cluster/main",
        },
        "backend",
        "shop",
        "roles/backend/a.yaml.j2, line 6 of what it renders to",
    )


def test_the_items_of_a_list_are_resources() -> None:
    text = f"{{apiVersion: v1, kind: List, items: [{PLACE}]}}"
    assert [raw.address for raw in parsed(text)] == ["kube.Namespace/shop"]


def test_an_object_without_a_namespace_gets_the_given_one_or_is_refused() -> None:
    text = "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}"
    assert [raw.address for raw in parsed(text, namespace="shop")] == ["kube.ConfigMap/shop/a"]
    assert mistakes(text) == (
        "roles/backend/a.yaml.j2, line 1 of what it renders to: ConfigMap a says no metadata.namespace.",
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("- a", "a Kubernetes object (a mapping) is wanted."),
        ("{kind: ConfigMap, metadata: {name: a, namespace: b}}", "it says no apiVersion."),
        ("{apiVersion: v1, metadata: {name: a}}", "it says no kind."),
        ("{apiVersion: v1, kind: ConfigMap}", "it has no metadata."),
        ("{apiVersion: v1, kind: Namespace, metadata: {name: }}", "Namespace says no metadata.name (as text)."),
        ("{apiVersion: v1, kind: Namespace, metadata: {name: 12}}", "Namespace says no metadata.name (as text)."),
        (
            "{apiVersion: v1, kind: Namespace, metadata: {generateName: a-}}",
            "generateName makes a new object in every run; give it a name.",
        ),
        (
            "{apiVersion: v1, kind: Namespace, metadata: {name: a, namespace: b}}",
            "Namespace a lies in no namespace; leave metadata.namespace out.",
        ),
        ("{apiVersion: v1, kind: ConfigMap, kind: Secret}", '"kind" is there twice.'),
        ("{apiVersion: v1]", "did not find expected ',' or '}'."),
    ],
)
def test_a_mistake_is_told_with_file_and_line(text: Any, problem: Any) -> None:
    assert mistakes(text)[0] == f"roles/backend/a.yaml.j2, line 1 of what it renders to: {problem}"


def test_an_object_that_is_there_twice_is_refused() -> None:
    assert mistakes(f"{CONFIG}---{CONFIG}") == (
        "roles/backend/a.yaml.j2, line 7 of what it renders to: kube.ConfigMap/shop/settings is there twice.",
    )


def test_dates_and_times_stay_text_and_modes_stay_octal() -> None:
    text = CONFIG.replace('"1"', "12:30").replace("\ndata:", "\nx: {day: 2026-11-22, mode: 0644, big: 1e3}\ndata:")
    (raw,) = parsed(text)
    assert raw.fields["manifest"]["data"] == {"A": "12:30"}
    assert raw.fields["manifest"]["x"] == {"day": "2026-11-22", "mode": 420, "big": "1e3"}


def test_annotations_of_ours_say_what_the_engine_is_to_know() -> None:
    notes = '{capstan.dev/protect: "true", capstan.dev/depends-on: "aws.db_instance/main, kube.Job/shop/seed", a: b}'
    (raw,) = parsed(CONFIG.replace("namespace: shop}", f"namespace: shop, annotations: {notes}}}"))
    assert raw.fields["protect"] is True
    assert raw.fields["depends_on"] == ["aws.db_instance/main", "kube.Job/shop/seed"]
    assert raw.fields["manifest"]["metadata"]["annotations"] == {"a": "b"}


def test_an_apply_set_is_added_that_every_object_of_the_namespace_waits_for() -> None:
    raws = {raw.address: raw for raw in link_objects(parsed(f"{PLACE}\n---\n{CONFIG}", via="aws.eks_cluster/main"))}
    assert raws["kube.ApplySet/shop/shop"].fields == {
        "kinds": ["ConfigMap", "Namespace"],
        "depends_on": ["kube.Namespace/shop"],
        "via": "aws.eks_cluster/main",
    }
    assert raws["kube.ApplySet/shop/shop"].component == "namespace"
    wanted = ["kube.ApplySet/shop/shop", "kube.Namespace/shop"]
    assert raws["kube.ConfigMap/shop/settings"].fields["depends_on"] == wanted
    assert raws["kube.Namespace/shop"].fields["depends_on"] == []


def test_two_stacks_in_one_namespace_have_a_set_each() -> None:
    raws = link_objects(parsed(PLACE, owner="platform") + parsed(CONFIG, owner="production"))
    assert [raw.address for raw in raws if raw.address.startswith("kube.ApplySet")] == [
        "kube.ApplySet/shop/platform",
        "kube.ApplySet/shop/production",
    ]


def test_a_cluster_wide_object_is_in_the_set_of_the_default_namespace_whatever_else_is_described() -> None:
    role = "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: reader}}"
    raws = {raw.address: raw for raw in link_objects(parsed(f"{PLACE}\n---\n{role}"))}
    assert raws["kube.ClusterRole/reader"].fields["depends_on"] == ["kube.ApplySet/default/shop"]
    assert raws["kube.ApplySet/default/shop"].fields == {"kinds": ["ClusterRole.rbac.authorization.k8s.io"]}
    assert raws["kube.ApplySet/shop/shop"].fields["kinds"] == ["Namespace"]


def test_other_resources_pass_through_untouched() -> None:
    raw = Raw("aws.vpc/main", {"cidr": "10.0.0.0/16"}, "network", "shop")
    assert link_objects([raw]) == (raw,)


def test_a_custom_resource_that_does_not_fit_its_definition_is_refused() -> None:
    definition = """
    {apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: widgets.example.org},
     spec: {group: example.org, scope: Namespaced, names: {kind: Widget, plural: widgets},
      versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object,
       properties: {spec: {type: object, properties: {size: {type: integer}}}}}}}]}}
    """
    widget = "{apiVersion: example.org/v1, kind: Widget, metadata: {name: w, namespace: shop}, spec: {size: big}}"
    with pytest.raises(InvalidDescription, match=r"spec\.size is text; an integer is wanted"):
        link_objects(parsed(f"{definition}\n---\n{widget}"))


def described(text: str) -> Any:
    return describe(link_objects(parsed(text)), [KubeProvider()])


def test_the_engine_takes_the_linked_objects_as_its_graph() -> None:
    graph = described(f"{PLACE}\n---\n{CONFIG}")
    assert graph.needs["kube.ConfigMap/shop/settings"] == {"kube.ApplySet/shop/shop", "kube.Namespace/shop"}


def test_every_mistake_in_a_manifest_is_found_before_any_call() -> None:
    with pytest.raises(InvalidDescription) as caught:
        described(PLACE + "\n---\n" + CONFIG.replace("\ndata:", "\ndato: {}\nbinaryData: []\ndata:"))
    where = "kube.ConfigMap/shop/settings (roles/backend/a.yaml.j2, line 4 of what it renders to)"
    assert caught.value.problems == (
        f'{where}: dato: there is no such field. Did you mean "data"?',
        f"{where}: binaryData is a list; a mapping is wanted.",
    )


def test_a_reference_inside_a_manifest_is_an_edge_of_the_graph() -> None:
    marker = Reference("kube.Service/shop/db", "cluster_ip").marker()
    service = "{apiVersion: v1, kind: Service, metadata: {name: db, namespace: shop}, spec: {ports: [{port: 5432}]}}"
    graph = described("\n---\n".join([PLACE, service, CONFIG.replace('"1"', marker)]))
    assert "kube.Service/shop/db" in graph.needs["kube.ConfigMap/shop/settings"]


def test_a_reference_to_an_output_that_does_not_exist_is_answered_with_the_nearest() -> None:
    marker = Reference("kube.Service/shop/db", "cluster_ipp").marker()
    service = "{apiVersion: v1, kind: Service, metadata: {name: db, namespace: shop}, spec: {ports: [{port: 5432}]}}"
    with pytest.raises(InvalidDescription, match=r'has no output "cluster_ipp"\. Did you mean "cluster_ip"'):
        described("\n---\n".join([PLACE, service, CONFIG.replace('"1"', marker)]))
