"""Why the way to an AWS account does not work: a sentence that says what, and one that says what to do. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..engine.errors import ApiError
from .rules import NOT_WHO_THEY_SAY, TOO_OLD

_TRY = "`aws sts get-caller-identity` with the same environment has to answer."
_NETWORK = "Check the network, and AWS_ENDPOINT_URL if it is set."
_UNKNOWN_KEYS = frozenset({"AuthFailure", "InvalidAccessKeyId", "InvalidClientTokenId", "UnrecognizedClientException"})
_WRONG_SECRETS = frozenset({"InvalidSignatureException", "SignatureDoesNotMatch"})
_OTHER_TIME = ("signature expired", "signature not yet current")  # the same codes, when the clocks differ


def refusal(error: ApiError, endpoint: str, role_arn: str) -> str:
    """Why the caller's identity is not known. `endpoint`: URL that was asked; `role_arn`: to be assumed, or ""."""
    told = error.message.strip().rstrip(".")
    if error.code == "Unreachable":
        return f"no AWS API: {told}. {_NETWORK}"
    if error.code == "NoAnswer":
        return f"no AWS API: {endpoint} gives no answer ({told}). {_NETWORK}"
    if error.code == "Garbled" or error.code.startswith("HTTP "):
        return f"no AWS API: {endpoint} answers like something else ({error.code}). {_NETWORK}"
    if error.code == "NoCredentials":
        return _without(told)
    if error.code in NOT_WHO_THEY_SAY + TOO_OLD:
        return f"the AWS credentials are not accepted: {_not_accepted(error.code, told)}"
    if error.operation == "AssumeRole":
        return (
            f"the role {role_arn} cannot be assumed ({error.code}: {told}). Its trust policy has to admit the caller, "
            "and the caller needs sts:AssumeRole on it."
        )
    return str(error)


def _without(told: str) -> str:
    if told == "Unable to locate credentials":
        return f"there are no AWS credentials. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE; {_TRY}"
    return f"there are no AWS credentials: {told}. Sign in again; {_TRY}"


def _not_accepted(code: str, told: str) -> str:
    if code in TOO_OLD:
        return f"they have expired ({code}). Renew them and run again."
    if any(words in told.lower() for words in _OTHER_TIME):
        return f"the request's time is not AWS's ({code}: {told}). Set this machine's clock."
    if code in _UNKNOWN_KEYS:
        return f"AWS does not know the access key ({code}). Correct it, and its session token if it has one; {_TRY}"
    if code in _WRONG_SECRETS:
        return f"the secret access key does not belong to the access key ({code}). Set both anew; {_TRY}"
    return f"{code}: {told}. Set them anew; {_TRY}"


def unusable(error: Exception) -> str:
    """What is wrong with the settings from which botocore could not even make a client."""
    name, told = type(error).__name__, str(error).strip().rstrip(".")
    about: Mapping[str, Any] = getattr(error, "kwargs", {})
    if name == "ProfileNotFound":
        profile = about.get("profile", "")
        return f'there is no AWS profile "{profile}". Correct AWS_PROFILE, or write the profile into ~/.aws/config.'
    if name == "PartialCredentialsError":
        missing = about.get("cred_var", "a part")
        return f"the AWS credentials are not complete: {missing} is missing. Set it, or AWS_PROFILE instead; {_TRY}"
    if name == "ValueError" and told.startswith("Invalid endpoint"):
        return f"the AWS endpoint is no URL ({told}). Correct AWS_ENDPOINT_URL, or endpoint_url in the profile."
    return f"the AWS settings cannot be used: {told}. Correct the AWS_ variables, or ~/.aws/config."
