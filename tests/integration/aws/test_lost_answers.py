"""A create whose answer is lost, or that never arrives: one resource in the end, whatever its API offers against it."""

from __future__ import annotations

import pytest

from sandbox.aws.testing import AwsSandbox

from .contract import Sample
from .harness import World, differences
from .samples import SAMPLES

CREATES = {
    "aws.vpc": "CreateVpc",
    "aws.subnet": "CreateSubnet",
    "aws.internet_gateway": "CreateInternetGateway",
    "aws.route_table": "CreateRouteTable",
    "aws.security_group": "CreateSecurityGroup",
    "aws.iam_role": "CreateRole",
    "aws.eks_cluster": "CreateCluster",
    "aws.eks_nodegroup": "CreateNodegroup",
    "aws.db_subnet_group": "CreateDBSubnetGroup",
    "aws.db_instance": "CreateDBInstance",
    "aws.hosted_zone": "CreateHostedZone",
    "aws.record": "ChangeResourceRecordSets",
    "aws.ecr_repository": "CreateRepository",
}
ONE_A_KIND = [next(sample for sample in SAMPLES if sample.kind == kind) for kind in CREATES]


@pytest.mark.parametrize("fault", ["drop_after", "drop_before"])
@pytest.mark.parametrize("sample", ONE_A_KIND, ids=lambda sample: sample.kind)
def test_a_lost_create_leaves_one_resource(sandbox: AwsSandbox, world: World, sample: Sample, fault: str) -> None:
    if sample.before is not None:
        sample.before(world.account)
    operation = CREATES[sample.kind]
    rule = sandbox.fault(fault, {"operation": operation, "access_key": world.account.access_key_id})

    world.converge(sample.description)

    assert len(sandbox.fault_hits(rule)) == 1
    # A second one would be shown here: as a leftover to be deleted.
    assert differences(world.plan(sample.description)) == {}
