"""The shipped schema is the API server's own."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.calls import Calls
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.runtime import Threads
from ansible_collections.capstan.fullstack.plugins.module_utils.kube.names import BUILT_IN, CLUSTER_SCOPED
from ansible_collections.capstan.fullstack.plugins.module_utils.kube.provider import KubeProvider
from ansible_collections.capstan.fullstack.plugins.module_utils.kube.schema import bundled_schemas
from ansible_collections.capstan.fullstack.plugins.module_utils.kube.schemas.trim import trim

from .harness import KUBECONFIG, Cluster

pytestmark = pytest.mark.cluster


@pytest.mark.parametrize("path", ["api/v1", "apis/apps/v1", "apis/batch/v1", "apis/autoscaling/v2", "apis/policy/v1"])
def test_the_shipped_schema_says_what_the_server_says(path: Any) -> None:
    served = trim([json.loads(Cluster("default", "none").kubectl("get", "--raw", f"/openapi/v3/{path}"))])
    shipped = bundled_schemas()
    assert served["kinds"]
    for kind, name in served["kinds"].items():
        if kind.rpartition("/")[2] in ("Eviction", "Scale", "Binding"):
            continue
        assert shipped.kinds[kind] == name
        assert shipped.definitions[name] == served["definitions"][name]


def test_the_table_of_built_in_kinds_is_what_the_server_serves() -> None:
    api = KubeProvider(kubeconfig=KUBECONFIG).open("main", None, Calls(Threads(), lambda: None))
    for kind, group in BUILT_IN.items():
        served = api.discovery.preferred(group, kind)
        if served is not None:
            assert served.namespaced is (kind not in CLUSTER_SCOPED), kind
    missing = [kind for kind, group in BUILT_IN.items() if api.discovery.preferred(group, kind) is None]
    assert missing == []
