"""Signatures, accounts, assumed roles and denied actions."""

from __future__ import annotations

import json
import stat

import pytest

from sandbox.aws.testing import Account, AwsSandbox

from .conftest import code_of, wait_for

READS = {
    "ec2": "describe_vpcs",
    "ecr": "describe_repositories",
    "eks": "list_clusters",
    "iam": "list_roles",
    "rds": "describe_db_instances",
    "route53": "list_hosted_zones",
    "secretsmanager": "list_secrets",
    "ssm": "describe_parameters",
    "sts": "get_caller_identity",
}


@pytest.mark.parametrize("service", sorted(READS))
def test_the_right_key_is_let_in(account: Account, service: str) -> None:
    assert code_of(getattr(account.client(service), READS[service])) == ""


@pytest.mark.parametrize(
    ("service", "code", "status"),
    [
        ("ec2", "AuthFailure", 401),
        ("ecr", "InvalidSignatureException", 400),
        ("eks", "InvalidSignatureException", 403),
        ("iam", "SignatureDoesNotMatch", 403),
        ("rds", "SignatureDoesNotMatch", 403),
        ("route53", "SignatureDoesNotMatch", 403),
        ("secretsmanager", "InvalidSignatureException", 400),
        ("ssm", "InvalidSignatureException", 400),
        ("sts", "SignatureDoesNotMatch", 403),
    ],
)
def test_a_wrong_secret_is_refused_in_the_words_of_the_service(
    account: Account, service: str, code: str, status: int
) -> None:
    client = account.client(service, aws_secret_access_key="wrong")
    assert code_of(getattr(client, READS[service])) == code
    assert [(c["status"], c["executed"], c["account"]) for c in account.sandbox.calls()] == [(status, False, None)]


@pytest.mark.parametrize(
    ("service", "code"),
    [
        ("ec2", "AuthFailure"),
        ("ecr", "UnrecognizedClientException"),
        ("eks", "UnrecognizedClientException"),
        ("iam", "InvalidClientTokenId"),
        ("rds", "InvalidClientTokenId"),
        ("route53", "InvalidClientTokenId"),
        ("secretsmanager", "UnrecognizedClientException"),
        ("ssm", "UnrecognizedClientException"),
        ("sts", "InvalidClientTokenId"),
    ],
)
def test_an_unknown_key_is_refused_in_the_words_of_the_service(account: Account, service: str, code: str) -> None:
    client = account.client(service, aws_access_key_id="AKIAAAAAAAAAAAAAAAAA")
    assert code_of(getattr(client, READS[service])) == code


def test_a_path_with_an_arn_verifies_too(account: Account) -> None:
    arn = f"arn:aws:eks:us-east-1:{account.id}:cluster/none"
    assert code_of(account.client("eks").list_tags_for_resource, resourceArn=arn) == "NotFoundException"


def test_accounts_do_not_see_each_other(aws: AwsSandbox) -> None:
    one, other = aws.account(), aws.account()
    one.client("ec2").create_vpc(CidrBlock="10.0.0.0/16")
    assert other.client("ec2").describe_vpcs()["Vpcs"] == []
    assert other.client("sts").get_caller_identity() | {"ResponseMetadata": None} == {
        "UserId": other.client("sts").get_caller_identity()["UserId"],
        "Account": other.id,
        "Arn": f"arn:aws:iam::{other.id}:user/operator",
        "ResponseMetadata": None,
    }


def test_the_credentials_file_is_the_owners_only_and_lists_every_account(aws: AwsSandbox) -> None:
    account = aws.account()
    path = aws.state / "credentials.json"
    document = json.loads(path.read_text())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert document["accounts"][account.id] == {
        "access_key_id": account.access_key_id, "secret_access_key": account.secret_access_key
    }
    assert document["access_key_id"] == aws.access_key_id
    assert document["endpoint_url"] == aws.url


def _trust(principal: str) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "sts:AssumeRole"}]})


def test_a_role_of_another_account_is_assumed_and_acts_there(aws: AwsSandbox, calm: AwsSandbox) -> None:
    home, other = aws.account(), aws.account()
    other.client("iam").create_role(RoleName="deploy", AssumeRolePolicyDocument=_trust(f"arn:aws:iam::{home.id}:root"))
    arn = f"arn:aws:iam::{other.id}:role/deploy"
    keys = home.client("sts").assume_role(RoleArn=arn, RoleSessionName="s1")["Credentials"]
    session = {"aws_access_key_id": keys["AccessKeyId"], "aws_secret_access_key": keys["SecretAccessKey"]}
    as_role = home.client("sts", aws_session_token=keys["SessionToken"], **session)
    assert as_role.get_caller_identity()["Arn"] == f"arn:aws:sts::{other.id}:assumed-role/deploy/s1"
    home.client("ec2", aws_session_token=keys["SessionToken"], **session).create_vpc(CidrBlock="10.9.0.0/16")
    wait_for(lambda: [v["CidrBlock"] for v in other.client("ec2").describe_vpcs()["Vpcs"]] == ["10.9.0.0/16"])
    assert code_of(home.client("sts", **session).get_caller_identity) == "InvalidClientTokenId"


def test_a_role_that_does_not_trust_the_caller_is_not_assumed(aws: AwsSandbox) -> None:
    home, other = aws.account(), aws.account()
    other.client("iam").create_role(RoleName="closed", AssumeRolePolicyDocument=_trust(f"arn:aws:iam::{other.id}:root"))
    for role in ("closed", "absent"):
        arn = f"arn:aws:iam::{other.id}:role/{role}"
        assert code_of(home.client("sts").assume_role, RoleArn=arn, RoleSessionName="s2") == "AccessDenied"


@pytest.mark.parametrize(
    ("service", "code"),
    [
        ("ec2", "UnauthorizedOperation"), ("ecr", "AccessDeniedException"), ("eks", "AccessDeniedException"),
        ("iam", "AccessDenied"), ("rds", "AccessDenied"), ("route53", "AccessDenied"),
        ("secretsmanager", "AccessDeniedException"), ("ssm", "AccessDeniedException"),
    ],
)
def test_a_denied_action_is_refused_in_the_words_of_the_service(aws: AwsSandbox, service: str, code: str) -> None:
    mine, others = aws.account(), aws.account()
    aws.deny([f"{service}:*"], access_key=mine.access_key_id)
    assert code_of(getattr(mine.client(service), READS[service])) == code
    assert code_of(getattr(others.client(service), READS[service])) == ""
    aws.allow_all()
    assert code_of(getattr(mine.client(service), READS[service])) == ""


def test_a_denial_covers_only_the_actions_it_names(aws: AwsSandbox, account: Account) -> None:
    aws.deny(["ec2:DescribeSubnets"])
    assert code_of(account.client("ec2").describe_subnets) == "UnauthorizedOperation"
    assert code_of(account.client("ec2").describe_vpcs) == ""
    assert code_of(account.client("sts").get_caller_identity) == ""
