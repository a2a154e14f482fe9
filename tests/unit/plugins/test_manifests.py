"""A live Kubernetes object back to its manifest."""

from __future__ import annotations

from ansible_collections.capstan.fullstack.plugins.module_utils.stack.manifests import manifest_of

LIVE = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {
        "name": "web",
        "namespace": "shop",
        "uid": "1-2-3",
        "resourceVersion": "77",
        "labels": {"app": "web", "capstan.dev/stack": "shop"},
        "annotations": {"deployment.kubernetes.io/revision": "3"},
        "managedFields": [
            {
                "manager": "capstan",
                "operation": "Apply",
                "fieldsV1": {
                    "f:metadata": {"f:labels": {"f:app": {}, "f:capstan.dev/stack": {}}},
                    "f:spec": {
                        "f:template": {
                            "f:spec": {
                                "f:containers": {
                                    'k:{"name":"web"}': {
                                        ".": {},
                                        "f:name": {},
                                        "f:image": {},
                                        "f:ports": {
                                            'k:{"containerPort":8080,"protocol":"TCP"}': {
                                                ".": {},
                                                "f:containerPort": {},
                                            }
                                        },
                                    }
                                }
                            }
                        }
                    },
                },
            },
            {
                "manager": "hpa",
                "operation": "Update",
                "subresource": "scale",
                "fieldsV1": {"f:spec": {"f:replicas": {}}},
            },
        ],
    },
    "spec": {
        "replicas": 5,
        "template": {
            "spec": {
                "restartPolicy": "Always",
                "containers": [
                    {
                        "name": "web",
                        "image": "web:1",
                        "imagePullPolicy": "Always",
                        "ports": [{"containerPort": 8080, "protocol": "TCP"}],
                    },
                    {"name": "injected", "image": "mesh:1"},
                ],
            }
        },
    },
    "status": {"replicas": 5},
}


def test_only_what_we_applied_comes_back_without_our_bookkeeping() -> None:
    assert manifest_of(LIVE) == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop", "labels": {"app": "web"}},
        "spec": {
            "template": {
                "spec": {"containers": [{"name": "web", "image": "web:1", "ports": [{"containerPort": 8080}]}]},
            }
        },
    }


def test_the_values_of_a_secret_do_not_come_back() -> None:
    live = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "s",
            "managedFields": [
                {
                    "manager": "capstan",
                    "operation": "Apply",
                    "fieldsV1": {"f:type": {}, "f:data": {"f:password": {}}, "f:immutable": {}},
                }
            ],
        },
        "type": "Opaque",
        "data": {"password": "c2VjcmV0"},
        "immutable": True,
    }
    assert manifest_of(live) == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s"},
        "type": "Opaque",
        "data": {},
        "immutable": True,
    }
