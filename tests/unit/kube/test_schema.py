"""What the offline schema accepts and what it says about mistakes."""

from __future__ import annotations

from typing import Any

import yaml
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.values import Reference, Secret, Unknown
from ansible_collections.capstan.fullstack.plugins.module_utils.kube.schema import (
    bundled_schemas,
    kind_problem,
    problems,
    worded,
)


def wrong(text: str) -> list[str]:
    manifest = yaml.safe_load(text)
    return check(manifest)


def check(manifest: dict[str, Any]) -> list[str]:
    schemas = bundled_schemas()
    return problems(manifest, schemas.of(manifest["apiVersion"], manifest["kind"]), schemas)


def deployment(**container: Any) -> dict[str, Any]:
    template = {
        "metadata": {"labels": {"app": "a"}},
        "spec": {"containers": [{"name": "a", "image": "i", **container}]},
    }
    spec = {"selector": {"matchLabels": {"app": "a"}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a", "namespace": "n"}, "spec": spec}


def test_a_correct_deployment_has_no_problem() -> None:
    assert (
        check(deployment(resources={"requests": {"cpu": "500m", "memory": "1Gi"}}, ports=[{"containerPort": 80}])) == []
    )


def test_an_unknown_field_is_named_with_its_path_and_the_nearest_name() -> None:
    assert check(deployment(imagePulPolicy="Always")) == [
        'spec.template.spec.containers[a].imagePulPolicy: there is no such field. Did you mean "imagePullPolicy"?'
    ]


def test_a_number_where_text_is_wanted_is_refused() -> None:
    assert check(deployment(env=[{"name": "PORT", "value": 8080}])) == [
        "spec.template.spec.containers[a].env[PORT].value is an integer; text (write it in quotes) is wanted."
    ]


def test_a_boolean_is_no_integer() -> None:
    manifest = deployment()
    manifest["spec"]["replicas"] = True
    assert check(manifest) == ["spec.replicas is a boolean; an integer is wanted."]


def test_a_missing_mandatory_field_is_named() -> None:
    manifest = deployment()
    del manifest["spec"]["selector"]
    assert check(manifest) == ["spec lacks selector."]


def test_a_list_where_a_mapping_is_wanted_is_refused() -> None:
    text = "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: [1]}"
    assert wrong(text) == ["data is a list; a mapping is wanted."]


def test_every_problem_is_found_in_one_go() -> None:
    found = check(deployment(imagee="x", env="y", ports=[{"containerPort": "80"}]))
    assert found == [
        'spec.template.spec.containers[a].imagee: there is no such field. Did you mean "image"?',
        "spec.template.spec.containers[a].env is text; a list is wanted.",
        "spec.template.spec.containers[a].ports[80/TCP].containerPort is text; an integer is wanted.",
    ]


def test_two_items_with_one_key_are_refused() -> None:
    env = [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]
    assert check(deployment(env=env)) == ["spec.template.spec.containers[a].env[A] is there twice."]


def test_quantities_may_be_numbers_or_text_and_ports_names_or_numbers() -> None:
    probe = {"httpGet": {"port": "http"}}
    manifest = deployment(resources={"limits": {"cpu": 1, "memory": "64Mi"}}, readinessProbe=probe)
    assert check(manifest) == []
    probe["httpGet"]["port"] = 8080  # type: ignore[assignment]
    assert check(manifest) == []


def test_what_is_not_known_yet_fits_everywhere() -> None:
    marker = Reference("aws.db_instance/main", "port").marker()
    manifest = deployment(env=[{"name": "A", "value": Unknown()}, {"name": "B", "value": Secret("s")}])
    manifest["spec"]["replicas"] = marker
    assert check(manifest) == []


def test_a_kind_in_a_wrong_version_is_answered_with_the_right_one() -> None:
    schemas = bundled_schemas()
    assert kind_problem(schemas, "extensions/v1beta1", "Ingress") == (
        'there is no Ingress in "extensions/v1beta1"; write apiVersion: networking.k8s.io/v1.'
    )
    assert kind_problem(schemas, "apps/v1", "Deploiment") == (
        '"apps/v1" has no kind "Deploiment". Did you mean "Deployment"?'
    )
    assert kind_problem(schemas, "apps/v1", "Deployment") is None
    assert kind_problem(schemas, "example.org/v1", "Widget") is None


WIDGETS: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.example.org"},
    "spec": {
        "group": "example.org",
        "scope": "Namespaced",
        "names": {"kind": "Widget", "plural": "widgets"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "required": ["spec"],
                        "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer"}}}},
                    }
                },
            }
        ],
    },
}


def test_a_definition_of_the_same_run_brings_its_own_schema() -> None:
    schemas = bundled_schemas().with_crds([WIDGETS])
    widget = {"apiVersion": "example.org/v1", "kind": "Widget", "metadata": {"name": "a"}, "spec": {"siz": 1}}
    found = problems(widget, schemas.of("example.org/v1", "Widget"), schemas)
    assert found == ['spec.siz: there is no such field. Did you mean "size"?']
    assert bundled_schemas().of("example.org/v1", "Widget") is None


def test_status_is_not_for_descriptions() -> None:
    text = "{apiVersion: v1, kind: Namespace, metadata: {name: a}, status: {phase: Active}}"
    assert wrong(text) == ["status: there is no such field."]


def test_a_number_that_a_reference_gave_becomes_text_where_the_schema_wants_text_and_only_there() -> None:
    schemas, marker = bundled_schemas(), Reference("aws.db_instance/main", "port").marker()
    before = {
        "spec": {
            "template": {
                "spec": {
                    "containers": [
                        {"env": [{"name": "PORT", "value": marker}], "ports": [{"containerPort": marker}], "image": 7}
                    ]
                }
            }
        }
    }
    after = {
        "spec": {
            "template": {
                "spec": {
                    "containers": [
                        {"env": [{"name": "PORT", "value": 5432}], "ports": [{"containerPort": 5432}], "image": 7}
                    ]
                }
            }
        }
    }
    container = worded(after, before, schemas.of("apps/v1", "Deployment"), schemas)["spec"]["template"]["spec"][
        "containers"
    ][0]
    assert container == {
        "env": [{"name": "PORT", "value": "5432"}],
        "ports": [{"containerPort": 5432}],
        "image": 7,
    }
    data = worded({"data": {"P": 5432}}, {"data": {"P": marker}}, schemas.of("v1", "ConfigMap"), schemas)
    assert data == {"data": {"P": "5432"}}
