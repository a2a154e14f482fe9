"""The way to the AWS API: whose account, with which credentials, and what an error means."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from ansible_collections.capstan.fullstack.plugins.module_utils.aws.api import Api
from ansible_collections.capstan.fullstack.plugins.module_utils.aws.provider import AwsProvider, Location
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.calls import Calls, Patience
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.errors import (
    ApiError,
    CapstanError,
    Category,
    InvalidDescription,
    Unreadable,
)
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.runtime import Threads
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.values import Unknown

from sandbox.aws.testing import AwsSandbox

from .harness import World, environment


def opened(world: World, variables: dict[str, str], location: Location | None = None) -> Any:
    """What opening the provider with these variables raises; None when it works."""
    provider = AwsProvider({"main": location or Location(world.account.id, "us-east-1")})
    with environment(variables):
        try:
            provider.open("main", None, Calls(world.runtime, lambda: None, Patience(retry_s=2.0)))
        except CapstanError as error:
            return error
    return None


@contextmanager
def page_instead_of_an_api(asked: list[str]) -> Iterator[str]:
    """The URL of a server that answers everything with a page; `asked` gets a line for each request."""

    class Page(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked.append(self.requestline)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>a proxy's page")

        def log_message(self, format: str, *arguments: Any) -> None:
            """Nobody reads it."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_the_account_is_compared_before_anything_else_is_called(world: World) -> None:
    world.account.sandbox.mark()
    error = opened(world, world.account.environment(), Location("999999999999", "us-east-1"))
    assert "wrong AWS account" in str(error)
    assert world.account.id in str(error)
    assert "999999999999" in str(error)
    assert [call["operation"] for call in world.account.calls()] == ["GetCallerIdentity"]


def test_wrong_credentials_get_one_message_without_the_secret(world: World) -> None:
    variables = {**world.account.environment(), "AWS_SECRET_ACCESS_KEY": "not-the-right-secret"}
    error = opened(world, variables)
    assert "credentials are not accepted" in str(error)
    assert "not-the-right-secret" not in str(error)


def test_no_credentials_at_all_get_one_message(world: World, tmp_path: Any) -> None:
    variables = {
        "AWS_ENDPOINT_URL": world.account.sandbox.url,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
    }
    assert str(opened(world, variables)).startswith("there are no AWS credentials. Set AWS_ACCESS_KEY_ID")
    through = Location(world.account.id, "us-east-1", "arn:aws:iam::111122223333:role/deployer")
    assert str(opened(world, variables, through)).startswith("there are no AWS credentials to assume arn:aws:iam::1111")


def test_one_service_whose_endpoint_is_no_url_is_said_without_a_traceback(world: World) -> None:
    variables = {**world.account.environment(), "AWS_ENDPOINT_URL_EC2": "localhost"}
    with environment(variables):
        api = world.provider.open("main", None, Calls(world.runtime, lambda: None))
        with pytest.raises(CapstanError, match=r"^the AWS endpoint is no URL \(Invalid endpoint: localhost\)"):
            api.call("ec2", "DescribeVpcs")


def test_a_role_that_does_not_admit_the_caller_is_named(sandbox: AwsSandbox, world: World) -> None:
    other = sandbox.account()
    trust = (
        '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole",'
        '"Principal":{"Service":"ec2.amazonaws.com"}}]}'
    )
    role = other.client("iam").create_role(RoleName="closed", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    sandbox.deny(["sts:AssumeRole"], world.account.access_key_id)
    error = opened(world, world.account.environment(), Location(other.id, "us-east-1", role))
    assert str(error).startswith(f"the role {role} cannot be assumed (AccessDenied: ")


def test_no_api_at_the_endpoint_is_said_at_once(world: World) -> None:
    variables = {**world.account.environment(), "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}
    began = time.monotonic()
    error = opened(world, variables)
    assert "no AWS API" in str(error)
    assert time.monotonic() - began < 5


def test_an_unknown_location_names_the_nearest(world: World) -> None:
    provider = AwsProvider({"main": Location(world.account.id, "us-east-1")})
    with pytest.raises(InvalidDescription, match='Did you mean "main"'):
        provider.open("mian", None, Calls(world.runtime, lambda: None))


def test_a_location_in_another_account_is_reached_through_its_role(sandbox: AwsSandbox, world: World) -> None:
    other = sandbox.account()
    trust = (
        '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"AWS":"*"}}]}'
    )
    role = other.client("iam").create_role(RoleName="deployer", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    provider = AwsProvider({"main": Location(other.id, "us-east-1", role)})
    with environment(world.account.environment()):
        api = provider.open("main", None, Calls(world.runtime, lambda: None, Patience(retry_s=5.0)))
        assert api.call("sts", "GetCallerIdentity")["Arn"].startswith(f"arn:aws:sts::{other.id}:assumed-role/deployer/")


def test_every_call_carries_our_name(world: World) -> None:
    calls = world.watch(lambda: world.with_api(lambda api: api.call("ec2", "DescribeVpcs")))
    assert [call["user_agent"].split()[0] for call in calls] == ["capstan/0.1.0"]


def test_a_denied_read_is_unreadable_never_absent(sandbox: AwsSandbox, world: World) -> None:
    sandbox.deny(["ec2:DescribeVpcs"], world.account.access_key_id)

    def read(api: Api) -> Unreadable:
        with pytest.raises(Unreadable) as caught:
            list(api.pages("ec2", "DescribeVpcs", "Vpcs"))
        return caught.value

    error = world.with_api(read)
    assert (error.operation, error.code, error.category) == ("DescribeVpcs", "UnauthorizedOperation", Category.DENIED)


def test_a_kind_that_cannot_be_read_stops_the_run_before_any_write(sandbox: AwsSandbox, world: World) -> None:
    sandbox.deny(["ec2:DescribeSubnets"], world.account.access_key_id)
    description = {
        "aws.vpc/main": {"cidr": "10.0.0.0/16"},
        "aws.subnet/a": {"vpc": "main", "cidr": "10.0.1.0/24", "zone": "us-east-1a"},
    }
    plan = world.plan(description)
    assert list(plan.unreadable) == ["aws.subnet"]
    assert plan.unplanned == ("aws.subnet/a",)

    def refused() -> None:
        with pytest.raises(Unreadable, match="DescribeSubnets"):
            world.converge(description)

    assert world.writes(refused) == []


def test_an_answer_that_is_none_of_the_api_s_is_asked_for_again_when_it_was_a_read(world: World) -> None:
    asked: list[str] = []
    with page_instead_of_an_api(asked) as url:
        variables = {**world.account.environment(), "AWS_ENDPOINT_URL_EC2": url}
        with environment(variables):
            api = world.provider.open("main", None, Calls(world.runtime, lambda: None, Patience(retry_s=1.0)))
            with pytest.raises(Unreadable) as read:
                api.call("ec2", "DescribeVpcs")
            reads = len(asked)
            with pytest.raises(ApiError) as written:
                api.call("ec2", "CreateVpc", CidrBlock="10.0.0.0/16", repeatable=False)
    assert (read.value.code, read.value.category) == ("Garbled", Category.RETRY)
    assert (written.value.code, written.value.category) == ("Garbled", Category.LOST)
    assert reads > 1 and len(asked) == reads + 1


def test_a_throttled_call_is_sent_again(sandbox: AwsSandbox, world: World) -> None:
    rule = sandbox.fault(
        "throttle", {"operation": "DescribeVpcs", "access_key": world.account.access_key_id, "count": 3}
    )
    assert world.with_api(lambda api: list(api.pages("ec2", "DescribeVpcs", "Vpcs"))) == []
    assert len(sandbox.fault_hits(rule)) == 3


def test_a_write_whose_answer_was_lost_is_not_sent_twice_unless_that_is_harmless(
    sandbox: AwsSandbox, world: World
) -> None:
    sandbox.fault("drop_after", {"operation": "CreateVpc", "access_key": world.account.access_key_id})

    def create(api: Api) -> ApiError:
        with pytest.raises(ApiError) as caught:
            api.call("ec2", "CreateVpc", CidrBlock="10.0.0.0/16", repeatable=False)
        return caught.value

    assert world.with_api(create).category is Category.LOST
    assert len(world.account.client("ec2").describe_vpcs()["Vpcs"]) == 1


def test_what_is_unknown_never_reaches_the_api(world: World) -> None:
    def call(api: Api) -> None:
        with pytest.raises(AssertionError, match="unknown value"):
            api.call("ec2", "CreateSubnet", VpcId=Unknown("aws.vpc/main.id"))

    assert world.watch(lambda: world.with_api(call)) == []


def test_side_by_side_work_does_not_starve_however_many_do_it_at_once(world: World) -> None:
    narrow = Threads(2)
    with environment(world.account.environment()):
        api = world.provider.open("main", None, Calls(narrow, lambda: None))
        answers = api.each(lambda outer: api.each(lambda inner: (outer, inner), [1, 2, 3]), [1, 2, 3, 4])
    narrow.close()
    assert answers == [[(outer, inner) for inner in (1, 2, 3)] for outer in (1, 2, 3, 4)]


def test_the_first_error_of_side_by_side_work_is_raised_when_all_have_ended(world: World) -> None:
    ended: list[int] = []

    def work(item: int) -> None:
        if item == 2:
            raise ValueError("two")
        ended.append(item)

    with environment(world.account.environment()):
        api = world.provider.open("main", None, Calls(world.runtime, lambda: None))
        with pytest.raises(ValueError, match="two"):
            api.each(work, [1, 2, 3, 4])
    assert sorted(ended) == [1, 3, 4]


def test_an_eks_token_tells_the_cluster_who_asks(world: World) -> None:
    import base64
    import urllib.request

    with environment(world.account.environment()):
        token, seconds = world.provider.eks_token("main", "shop-main")
    assert token.startswith("k8s-aws-v1.")
    assert seconds < 15 * 60
    encoded = token.removeprefix("k8s-aws-v1.")
    url = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
    request = urllib.request.Request(url, headers={"x-k8s-aws-id": "shop-main"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert world.account.id in answer.read().decode()
