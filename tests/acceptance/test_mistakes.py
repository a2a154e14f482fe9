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
    assert message(ran.out) == (
        'no AWS API: Could not connect to the endpoint URL: "http://127.0.0.1:9/". Check the network, and '
        "AWS_ENDPOINT_URL if it is set."
    )


def test_something_else_at_the_address_of_the_aws_api_is_said(empty: World) -> None:
    ran = empty.check(environment={"AWS_ENDPOINT_URL": "http://127.0.0.1:5000"})  # a registry
    assert (ran.code, ran.calls) == (2, 0)
    assert message(ran.out) == (
        "no AWS API: http://127.0.0.1:5000 answers like something else (Garbled). Check the network, and "
        "AWS_ENDPOINT_URL if it is set."
    )


TRY = "`aws sts get-caller-identity` with the same environment has to answer."
NO_KEYS = {
    "AWS_ACCESS_KEY_ID": "",
    "AWS_SECRET_ACCESS_KEY": "",
    "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
    "AWS_CONFIG_FILE": "/nonexistent",
}


@pytest.mark.parametrize(
    ("environment", "calls", "said"),
    [
        (
            {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE"},
            1,
            "the AWS credentials are not accepted: AWS does not know the access key (InvalidClientTokenId). Correct "
            f"it, and its session token if it has one; {TRY}",
        ),
        (
            {"AWS_SECRET_ACCESS_KEY": "wrong"},
            1,
            "the AWS credentials are not accepted: the secret access key does not belong to the access key "
            f"(SignatureDoesNotMatch). Set both anew; {TRY}",
        ),
        (
            NO_KEYS,
            0,
            f"there are no AWS credentials. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE; {TRY}",
        ),
        (
            {**NO_KEYS, "AWS_PROFILE": "work"},
            0,
            'there is no AWS profile "work". Correct AWS_PROFILE, or write the profile into ~/.aws/config.',
        ),
        (
            {**NO_KEYS, "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE"},
            0,
            "the AWS credentials are not complete: AWS_SECRET_ACCESS_KEY is missing. Set it, or AWS_PROFILE instead; "
            f"{TRY}",
        ),
        (
            {"AWS_ENDPOINT_URL": "localhost"},
            0,
            "the AWS endpoint is no URL (Invalid endpoint: localhost). Correct AWS_ENDPOINT_URL, or endpoint_url in "
            "the profile.",
        ),
    ],
    ids=["unknown key", "wrong secret", "no credentials", "no such profile", "half of the credentials", "no URL"],
)
def test_wrong_credentials_are_said_and_what_to_do(
    empty: World, environment: dict[str, str], calls: int, said: str
) -> None:
    ran = empty.check(environment=environment)
    assert (ran.code, ran.calls, message(ran.out)) == (2, calls, said)


def test_expired_credentials_are_said(empty: World) -> None:
    told = "The security token included in the request is expired"
    empty.aws.fault("error", {"service": "sts", "count": 0}, code="ExpiredToken", message=told, status=403)
    try:
        ran = empty.check()
    finally:
        empty.aws.clear_faults()
    assert (ran.code, ran.calls) == (2, 1)
    assert message(ran.out) == (
        "the AWS credentials are not accepted: they have expired (ExpiredToken). Renew them and run again."
    )


def test_the_wrong_account_is_said_before_any_other_call(empty: World) -> None:
    ran = empty.play(stack_account_id="999999999999")
    assert (ran.code, ran.calls, ran.writes) == (2, 1, [])
    assert message(ran.out) == (
        "wrong AWS account: the credentials belong to 123456789012 (arn:aws:iam::123456789012:user/operator), but "
        "account_id is 999999999999. Use the credentials of 999999999999, or correct account_id."
    )


def test_a_kind_that_may_not_be_read_is_named_with_the_action_and_stops_check_and_run(empty: World) -> None:
    empty.aws.reset()
    empty.aws.deny(["ec2:DescribeSubnets"])
    try:
        check, ran = empty.check(), empty.play()
    finally:
        empty.aws.allow_all()
    said = (
        "aws.subnet cannot be read: DescribeSubnets: UnauthorizedOperation. User: "
        "arn:aws:iam::123456789012:user/operator is not authorized to perform: ec2:DescribeSubnets. Allow the caller "
        "this action; the README of each role lists all that it needs.\n"
    )
    assert (check.code, ran.code, ran.writes) == (2, 2, [])
    assert said in message(check.out) and said in message(ran.out)
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
    assert "30 not planned." in check.out
    # Given up once, for all fourteen kinds together.
    assert check.seconds < 60, "each kind waited for itself"
