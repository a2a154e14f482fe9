"""What is said when the way to an account does not work."""

from __future__ import annotations

import pytest
from ansible_collections.capstan.fullstack.plugins.module_utils.aws.sign_in import refusal, unusable
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.errors import ApiError
from botocore.exceptions import ConfigParseError, PartialCredentialsError, ProfileNotFound

ROLE = "arn:aws:iam::111122223333:role/deployer"


@pytest.mark.parametrize(
    ("operation", "code", "told", "said"),
    [
        (
            "GetCallerIdentity",
            "SignatureDoesNotMatch",
            "Signature expired: 20261122T100000Z is now earlier than 20261122T110000Z",
            "the AWS credentials are not accepted: the request's time is not AWS's (SignatureDoesNotMatch: Signature "
            "expired: 20261122T100000Z is now earlier than 20261122T110000Z). Set this machine's clock.",
        ),
        (
            "GetCallerIdentity",
            "NoCredentials",
            "Error loading SSO Token: Token for work does not exist",
            "there are no AWS credentials: Error loading SSO Token: Token for work does not exist. Sign in again; "
            "`aws sts get-caller-identity` with the same environment has to answer.",
        ),
        (
            "GetCallerIdentity",
            "NoAnswer",
            "ReadTimeoutError",
            "no AWS API: https://sts.example.com gives no answer (ReadTimeoutError). Check the network, and "
            "AWS_ENDPOINT_URL if it is set.",
        ),
        (
            "AssumeRole",
            "AccessDenied",
            "ann may not.",
            f"the role {ROLE} cannot be assumed (AccessDenied: ann may not). Its trust policy has to admit the caller, "
            "and the caller needs sts:AssumeRole on it.",
        ),
        (
            "AssumeRole",
            "ExpiredToken",
            "The security token included in the request is expired",
            "the AWS credentials are not accepted: they have expired (ExpiredToken). Renew them and run again.",
        ),
        ("GetCallerIdentity", "Unforeseen", "Something.", "GetCallerIdentity: Unforeseen. Something."),
    ],
)
def test_a_refusal_says_what_and_what_to_do(operation: str, code: str, told: str, said: str) -> None:
    assert refusal(ApiError(operation, code, told), "https://sts.example.com", ROLE) == said


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            ProfileNotFound(profile="work"),
            'there is no AWS profile "work". Correct AWS_PROFILE, or write the profile into ~/.aws/config.',
        ),
        (
            PartialCredentialsError(provider="env", cred_var="AWS_SECRET_ACCESS_KEY"),
            "the AWS credentials are not complete: AWS_SECRET_ACCESS_KEY is missing. Set it, or AWS_PROFILE instead; "
            "`aws sts get-caller-identity` with the same environment has to answer.",
        ),
        (
            ConfigParseError(path="/home/ann/.aws/config"),
            "the AWS settings cannot be used: Unable to parse config file: /home/ann/.aws/config. Correct the AWS_ "
            "variables, or ~/.aws/config.",
        ),
        (
            ValueError("Invalid endpoint: localhost:4566"),
            "the AWS endpoint is no URL (Invalid endpoint: localhost:4566). Correct AWS_ENDPOINT_URL, or endpoint_url "
            "in the profile.",
        ),
    ],
)
def test_unusable_settings_are_named(error: Exception, said: str) -> None:
    assert unusable(error) == said
