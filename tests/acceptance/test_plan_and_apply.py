"""The plan where nothing exists, the apply that does exactly that, and the run after it that does nothing."""

from __future__ import annotations

from collections import Counter

import pytest

from .conftest import FirstRuns
from .world import World

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

CREATE_CALL = {
    "aws.vpc": "CreateVpc",
    "aws.internet_gateway": "CreateInternetGateway",
    "aws.subnet": "CreateSubnet",
    "aws.route_table": "CreateRouteTable",
    "aws.security_group": "CreateSecurityGroup",
    "aws.iam_role": "CreateRole",
    "aws.eks_nodegroup": "CreateNodegroup",
    "aws.ecr_repository": "CreateRepository",
    "aws.db_subnet_group": "CreateDBSubnetGroup",
    "aws.db_instance": "CreateDBInstance",
    "aws.hosted_zone": "CreateHostedZone",
}


def test_check_where_nothing_exists_shows_everything_from_the_network_to_the_pods(first: FirstRuns) -> None:
    assert first.check.code == 0, first.check.out
    assert set(first.check.changes.values()) == {"create"}
    kinds = Counter(address.partition("/")[0] for address in first.check.changes)
    assert (kinds["aws.vpc"], kinds["aws.subnet"], kinds["aws.eks_cluster"], kinds["aws.db_instance"]) == (1, 9, 1, 1)
    assert (kinds["kube.Deployment"], kinds["kube.StatefulSet"], kinds["kube.Namespace"]) == (2, 1, 1)
    assert "+vpc: (known after apply)" in first.check.out
    assert f"Plan: {len(first.check.changes)} to create, 0 to update" in first.check.out
    order = list(first.check.changes)
    assert order.index("aws.vpc/main") < order.index("aws.eks_cluster/main")
    assert order[order.index("aws.eks_cluster/main") :][-1].startswith("kube.")


def test_the_apply_after_it_does_exactly_that_list(first: FirstRuns) -> None:
    assert first.apply.changes == first.check.changes
    assert first.there == set(first.check.changes)
    planned = Counter(address.partition("/")[0] for address in first.check.changes)
    called = Counter(first.apply.aws)
    assert {kind: called[call] for kind, call in CREATE_CALL.items()} == {kind: planned[kind] for kind in CREATE_CALL}
    objects = {address for address in first.check.changes if address.startswith("kube.")}
    assert len(first.apply.kube) == len(set(first.apply.kube)) == len(objects)


def test_the_second_run_changes_nothing_and_writes_nothing(world: World, first: FirstRuns) -> None:
    again = world.play()
    assert (again.code, again.writes, again.changes) == (0, [], {}), again.out
    assert "changed=0" in again.out
    assert f"No changes: all {len(first.there)} resources are as described." in again.out
    assert "foreign" not in again.out  # such as the access entries that EKS makes by itself
    assert 0 < again.calls < 120
    print(f"\nthe run that changes nothing took {again.seconds:.1f} s and {again.calls} calls")


def test_a_missing_namespace_is_planned_with_all_its_objects_on_the_cluster_that_is_there(
    world: World, first: FirstRuns
) -> None:
    world.kubectl("delete", "namespace", world.stack)
    check = world.check()
    assert check.code == 0, check.out
    assert check.changes == {each: "create" for each in first.there if each.startswith("kube.")}
    mended = world.play()
    assert mended.code == 0, mended.out
    assert (mended.changes, world.addresses()) == (check.changes, first.there)
