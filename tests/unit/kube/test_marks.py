"""The request body of an apply, and what identifies an apply set."""

from __future__ import annotations

import base64
from typing import Any

from ansible_collections.capstan.fullstack.plugins.module_utils.engine.values import Secret
from ansible_collections.capstan.fullstack.plugins.module_utils.kube.marks import (
    Ownership,
    body,
    normal,
    secret_texts,
    set_id,
)
from ansible_collections.capstan.fullstack.plugins.module_utils.kube.names import GroupKind, address_of
from ansible_collections.capstan.fullstack.plugins.module_utils.kube.paths import recorded_paths

OWNER = Ownership(stack="shop", component="backend", protect=True, home="shop")


def test_the_id_of_an_apply_set_is_that_of_the_specification() -> None:
    # sha256 of "capstan-shop.shop.ConfigMap." in URL-safe base64 without padding
    assert set_id("shop", "shop") == "applyset-dswcyf1R2ChlyZUAvDWtuEqfxAfML_Uf1ZLZWHq3vw0-v1"


def test_an_applied_object_carries_its_marks() -> None:
    sent = body({"kind": "ConfigMap", "metadata": {"name": "a"}}, OWNER, {"data.a"}, {"data.a"})
    assert sent["metadata"]["labels"] == {
        "app.kubernetes.io/managed-by": "capstan",
        "capstan.dev/stack": "shop",
        "applyset.kubernetes.io/part-of": set_id("shop", "shop"),
    }
    annotations = dict(sent["metadata"]["annotations"])
    assert recorded_paths(sent) == {"data.a"}
    del annotations["capstan.dev/applied-paths"]
    assert annotations == {
        "capstan.dev/component": "backend",
        "capstan.dev/protect": "true",
        "capstan.dev/secret-paths": "data.a",
    }


def test_a_secrets_text_is_sent_as_data_so_that_each_key_is_owned() -> None:
    tree = normal(
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "stringData": {"p": Secret("x", "v1")}}
    )
    assert "stringData" not in tree
    assert repr(tree["data"]) == "{'p': (secret v1)}"
    assert body(tree, OWNER, (), ())["data"] == {"p": base64.b64encode(b"x").decode()}


def test_nulls_and_what_is_the_servers_are_not_sent() -> None:
    metadata: dict[str, Any] = {"name": "a", "uid": "u", "resourceVersion": "1", "managedFields": [], "labels": None}
    tree = normal({"kind": "X", "metadata": metadata, "spec": {"a": None, "b": [{"c": None, "d": 1}]}, "status": {}})
    assert tree == {"kind": "X", "metadata": {"name": "a"}, "spec": {"b": [{"d": 1}]}}


def test_a_secret_is_masked_in_both_forms_in_which_it_could_be_quoted() -> None:
    assert set(secret_texts({"a": [Secret("aHVudGVyMg==")]})) == {"aHVudGVyMg==", "hunter2"}


def test_addresses_name_the_group_of_foreign_kinds_only() -> None:
    metadata = {"namespace": "shop", "name": "a"}
    assert address_of({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata}) == "kube.Deployment/shop/a"
    issuer = {"apiVersion": "cert-manager.io/v1", "kind": "Certificate", "metadata": metadata}
    assert address_of(issuer) == "kube.Certificate.cert-manager.io/shop/a"
    # a kind that has one of Kubernetes' own names, in another group
    knative = {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "metadata": metadata}
    assert address_of(knative) == "kube.Service.serving.knative.dev/shop/a"


def test_a_kinds_name_leads_back_to_it() -> None:
    for kind in (GroupKind("Deployment", "apps"), GroupKind("Secret"), GroupKind("Service", "serving.knative.dev")):
        assert GroupKind.named(kind.name) == kind
        assert GroupKind.parse(str(kind)) == kind
