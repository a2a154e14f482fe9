"""Every inventory's plan: on an empty account, while the cluster is being made, on a platform that is there."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from tests.torture.arena import processes_of

from .world import World, until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

PLATFORM = ["network", "identity", "cluster", "registry"]
SECRETS = {"DATABASE_PASSWORD": "not-used", "REDIS_PASSWORD": "not-used", "AUTH_KEYS": "not-used"}
WHOLE = {"production": 62, "development": 36, "staging": 36}


def plan(world: World, name: str, **more: Any) -> dict[str, str]:
    """The changes that a check of inventory `name` shows; it succeeds and writes nothing."""
    ran = world.check("--diff", inventory=f"inventories/{name}", **more)
    assert ran.code == 0, ran.out
    assert "cannot be read" not in ran.out
    return ran.changes


@pytest.mark.parametrize("name", ["production", "development", "staging"])
def test_on_an_empty_account_the_plan_is_complete(empty: World, name: str) -> None:
    empty.aws.reset()
    changes = plan(empty, name)
    assert (len(changes), set(changes.values())) == (WHOLE[name], {"create"})
    assert {f"kube.Deployment/{name}/backend", f"kube.Deployment/{name}/frontend"} < changes.keys()
    assert ("aws.vpc/main" in changes) == (name == "production")
    missing = "note: the shared platform production-platform has no aws.ecr_repository/backend"
    assert (missing in empty.output()) == (name != "production")
    assert empty.output().count("note: the shared platform") == (name != "production")


def test_while_the_cluster_is_being_made_the_plan_is_complete(empty: World) -> None:
    empty.aws.reset()
    empty.aws.durations(eks__cluster__creating=3600)
    run = empty.start(inventory="inventories/production", variables={"stack_components": PLATFORM}, environment=SECRETS)
    eks = empty.aws.client("eks")
    until(lambda: eks.list_clusters()["clusters"])
    for pid in processes_of(empty.run_name):
        os.kill(pid, signal.SIGKILL)
    run.wait(10)
    (cluster,) = eks.list_clusters()["clusters"]
    assert eks.describe_cluster(name=cluster)["cluster"]["status"] == "CREATING"

    changes = plan(empty, "production")
    assert changes["aws.eks_nodegroup/on-demand"] == "create"
    assert changes["kube.Deployment/production/backend"] == "create"
    assert not {"aws.eks_cluster/main", "aws.vpc/main"} & changes.keys()
    changes = plan(empty, "development")
    assert (len(changes), set(changes.values())) == (WHOLE["development"], {"create"})


def test_on_the_platform_that_they_share_environments_plan_their_own_and_know_its_values(empty: World) -> None:
    empty.aws.reset()
    empty.aws.durations(eks__cluster__creating=0.3)
    made = empty.play(inventory="inventories/production", stack_components=PLATFORM, environment=SECRETS)
    assert made.code == 0, made.out
    assert not any(address.startswith("kube.") for address in made.changes)
    for name in ("development", "staging"):
        changes = plan(empty, name)
        assert (len(changes), set(changes.values())) == (WHOLE[name], {"create"})
        assert "has no aws." not in empty.output()
        assert "containers[backend].image: 127.0.0.1:5000/" in empty.output()


def test_a_real_run_refuses_while_the_shared_platform_is_not_there(empty: World) -> None:
    empty.aws.reset()
    ran = empty.play(inventory="inventories/staging", environment=SECRETS)
    assert (ran.code, ran.lasting) == (2, []), ran.out
    assert "production-platform" in ran.out
