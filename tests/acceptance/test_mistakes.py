"""Mistakes get one clear message, and nothing is touched."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.aws.testing import AwsSandbox

from .roles import STACK_ROLES, with_role
from .world import World, fresh, message

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"backend_replicas_min": "two"}, "role backend: argument 'backend_replicas_min' is of type str"),
        ({"network_cidr": ["10.0.0.0/16"]}, "cidr is a list (['10.0.0.0/16']); text is wanted."),
        ({"cluster_versoin": "1.36"}, 'role cluster has no option "cluster_versoin". Did you mean "cluster_version"?'),
        (
            {"cluster_node_groups": [{"name": "a", "min_size": 1, "max_size": 2, "capactiy": "spot"}]},
            'role cluster: cluster_node_groups[0] has no option "capactiy". Did you mean "capacity"?',
        ),
    ],
    ids=["wrong type", "wrong type in a description", "unknown variable", "unknown option"],
)
def test_a_wrong_inventory_is_told_by_role_and_option_and_calls_nothing(
    empty: World, variables: dict[str, Any], said: str
) -> None:
    ran = empty.play(**variables)
    assert (ran.code, ran.calls) == (2, 0)
    assert said in message(ran.out)
    assert len(message(ran.out).splitlines()) == 1


NOTHING = 'refers to "aws.vpc/mian", which nothing describes. Did you mean "aws.vpc/main"?'
UPPER = "  tags:\n    a: \"{{ 'aws.vpc/main' | capstan.fullstack.ref | upper }}\"\n"
CIRCLE = """
aws.security_group/x: {vpc: main, ingress: [{port: 80, security_group: y}]}
aws.security_group/y: {vpc: main, ingress: [{port: 80, security_group: z}]}
aws.security_group/z: {vpc: main, ingress: [{port: 80, security_group: x}]}
"""


@pytest.mark.parametrize(
    ("resources", "said"),
    [
        (
            "aws.security_group/x:\n  vpc: main\n  ingres: []\n",
            'templates/resources.yml.j2:1): aws.security_group has no field "ingres". Did you mean "ingress"?',
        ),
        (
            "\n\naws.securitygroup/x:\n  vpc: main\n",
            'resources.yml.j2:3): there is no kind "aws.securitygroup". Did you mean "aws.security_group"?',
        ),
        ("aws.security_group/x:\n  vpc: mian\n", NOTHING),
        (CIRCLE, " -> ".join(f"aws.security_group/{name}" for name in "xyzx")),
        (
            f"aws.security_group/x:\n  vpc: main\n{UPPER}",
            "walls/templates/resources.yml.j2:4: the reference to aws.vpc/main.id was transformed",
        ),
    ],
    ids=["unknown field", "unknown kind", "reference to nothing", "circle", "transformed marker"],
)
def test_a_wrong_description_is_told_with_file_and_line_and_calls_nothing(
    empty: World, tmp_path: Path, resources: str, said: str
) -> None:
    environment = with_role(tmp_path, resources)
    ran = empty.play(environment=environment, stack_roles=STACK_ROLES, network_clusters=[])
    assert (ran.code, ran.writes) == (2, []), ran.out
    assert said in message(ran.out)
    assert len(message(ran.out).splitlines()) == 1
    assert ran.calls == 0


def test_no_aws_api_is_said_with_its_address(empty: World) -> None:
    ran = empty.play(environment={"AWS_ENDPOINT_URL": "http://127.0.0.1:9"})
    assert (ran.code, ran.calls) == (2, 0)
    assert message(ran.out).startswith('no AWS API: Could not connect to the endpoint URL: "http://127.0.0.1:9/".')


def test_wrong_credentials_are_said_and_what_to_try(empty: World) -> None:
    ran = empty.play(environment={"AWS_SECRET_ACCESS_KEY": "wrong"})
    assert (ran.code, ran.calls, ran.writes) == (2, 1, [])
    assert message(ran.out).startswith("the AWS credentials are not accepted")
    assert "aws sts get-caller-identity" in message(ran.out)


def test_the_wrong_account_is_said_before_any_other_call(empty: World) -> None:
    ran = empty.play(stack_account_id="999999999999")
    assert (ran.code, ran.calls, ran.writes) == (2, 1, [])
    assert message(ran.out).startswith("wrong AWS account: the credentials belong to 123456789012")
    assert "account_id is 999999999999" in message(ran.out)


def test_a_kind_that_may_not_be_read_is_named_with_the_action_and_stops_check_and_run(empty: World) -> None:
    empty.aws.reset()
    empty.aws.deny(["ec2:DescribeSubnets"])
    try:
        check, ran = empty.check(), empty.play()
    finally:
        empty.aws.allow_all()
    said = "aws.subnet cannot be read: DescribeSubnets: UnauthorizedOperation."
    assert (check.code, ran.code, ran.writes) == (2, 2, [])
    assert said in message(check.out) and said in message(ran.out)
    assert "not authorized to perform: ec2:DescribeSubnets" in message(ran.out)
    assert message(ran.out).endswith("Nothing was written.")
    assert "not planned, because of that: aws.db_instance/main" in check.out
    assert "+ aws.vpc/main" in check.out
    assert "aws.subnet/public-a" not in check.changes


@pytest.fixture
def silent(tmp_path: Path) -> Iterator[World]:
    """An account whose clusters are ACTIVE while nothing answers at their endpoint."""
    world = World(fresh(tmp_path), tmp_path / "world")
    world.aws = AwsSandbox(
        kubernetes_endpoint="https://127.0.0.1:9",
        kubernetes_ca=world.gate_ca,
        registry="127.0.0.1:5000",
        postgres_listen="10.77.0.1",
    )
    with world:
        yield world


def test_a_cluster_that_does_not_answer_is_said_once_with_its_address_and_soon(silent: World) -> None:
    made = silent.play(stack_components=["network", "identity", "cluster"])
    assert made.code == 0, made.out
    check, ran = silent.check(), silent.play()
    assert (check.code, ran.code, ran.writes) == (2, 2, [])
    for out in (check.out, ran.out):
        assert message(out).count("Unreachable. https://127.0.0.1:9: [Errno 111] Connection refused.") == 1
        assert "kube.Deployment, " in message(out)
    assert "29 not planned." in check.out
    # Given up once, for all fourteen kinds together.
    assert check.seconds < 60, "each kind waited for itself"
