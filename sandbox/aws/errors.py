"""Errors as each AWS protocol shapes them: one exception class and the tables of the common codes."""

from __future__ import annotations

from dataclasses import dataclass


class AwsError(Exception):
    """An answer of the API that is an error.

    `code` is the error code a client sees in `ClientError.response["Error"]["Code"]`; `status` the HTTP status, or
    None for the one that the service's model gives this code (400 where the model says nothing).
    """

    def __init__(self, code: str, message: str, status: int | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


@dataclass(frozen=True)
class CommonErrors:
    """The codes that one protocol family uses for what goes wrong before an operation is looked at."""

    unknown_key: tuple[str, int]
    bad_signature: tuple[str, int]
    expired_token: tuple[str, int]
    missing_token: tuple[str, int]
    denied: tuple[str, int]
    throttled: tuple[str, int]


_QUERY = CommonErrors(
    unknown_key=("InvalidClientTokenId", 403),
    bad_signature=("SignatureDoesNotMatch", 403),
    expired_token=("ExpiredToken", 403),
    missing_token=("MissingAuthenticationToken", 403),
    denied=("AccessDenied", 403),
    throttled=("Throttling", 400),
)
_EC2 = CommonErrors(
    unknown_key=("AuthFailure", 401),
    bad_signature=("AuthFailure", 401),
    expired_token=("RequestExpired", 400),
    missing_token=("MissingAuthenticationToken", 403),
    denied=("UnauthorizedOperation", 403),
    throttled=("RequestLimitExceeded", 503),
)
_JSON = CommonErrors(
    unknown_key=("UnrecognizedClientException", 400),
    bad_signature=("InvalidSignatureException", 400),
    expired_token=("ExpiredTokenException", 400),
    missing_token=("MissingAuthenticationTokenException", 400),
    denied=("AccessDeniedException", 400),
    throttled=("ThrottlingException", 400),
)
_REST_JSON = CommonErrors(
    unknown_key=("UnrecognizedClientException", 403),
    bad_signature=("InvalidSignatureException", 403),
    expired_token=("ExpiredTokenException", 403),
    missing_token=("MissingAuthenticationTokenException", 403),
    denied=("AccessDeniedException", 403),
    throttled=("ThrottlingException", 429),
)
_FAMILIES = {"ec2": _EC2, "query": _QUERY, "json": _JSON, "rest-json": _REST_JSON, "rest-xml": _QUERY}

_MESSAGES = {
    "unknown_key": "The security token included in the request is invalid.",
    "bad_signature": (
        "The request signature we calculated does not match the signature you provided. "
        "Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
    ),
    "expired_token": "The security token included in the request is expired",
    "missing_token": "Request is missing Authentication Token",
    "throttled": "Rate exceeded",
}
_EC2_MESSAGES = {
    "unknown_key": "AWS was not able to validate the provided access credentials",
    "bad_signature": "AWS was not able to validate the provided access credentials",
    "expired_token": "Request has expired.",
    "throttled": "Request limit exceeded.",
}


def common_error(protocol: str, what: str, message: str | None = None) -> AwsError:
    """The error `what` (a field of CommonErrors) in the words of `protocol` (a botocore protocol name)."""
    code, status = getattr(_FAMILIES.get(protocol, _QUERY), what)
    if message is None:
        message = (_EC2_MESSAGES if protocol == "ec2" else _MESSAGES).get(what) or _MESSAGES[what]
    return AwsError(code, message, status)


def denied_error(protocol: str, principal_arn: str, action: str) -> AwsError:
    """The answer to a principal that may not do `action` ("eks:CreateCluster")."""
    if protocol == "ec2":
        return common_error(
            protocol, "denied", f"You are not authorized to perform this operation. User: {principal_arn} "
            f"is not authorized to perform: {action}"
        )
    return common_error(protocol, "denied", f"User: {principal_arn} is not authorized to perform: {action}")
