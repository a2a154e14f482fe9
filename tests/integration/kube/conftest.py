"""Namespaces in the sandbox's cluster, each gone with its test."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest

from .harness import Cluster


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A stack of the test's own; its namespace is described by the test itself."""
    name = f"kube-test-{uuid4().hex[:6]}"
    made = Cluster(namespace=name, stack=name)
    yield made
    selector = f"--selector=capstan.dev/stack={made.stack}"
    made.kubectl("delete", "clusterroles,clusterrolebindings,customresourcedefinitions", selector, "--wait=false")
    made.kubectl("delete", "configmaps", "--namespace=default", selector)
    made.kubectl("delete", "namespace", made.namespace, "--ignore-not-found", "--wait=false")
