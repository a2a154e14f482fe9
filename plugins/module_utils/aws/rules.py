"""How errors of any AWS service are sorted: data only. Kinds add their own tables before these.

Sources: the services' "Common errors" pages, botocore's lists of transient and throttling codes.
"""

from __future__ import annotations

from ..engine.calls import Rule
from ..engine.errors import Category

_CREDENTIALS = "Check the credentials: `aws sts get-caller-identity` with the same environment has to answer."
_EXPIRED = "The credentials have expired; renew them and run again."
_PERMISSION = "Allow the caller this action; the README of each role lists all that it needs."

_THROTTLED = (
    "BandwidthLimitExceeded",
    "EC2ThrottledException",
    "PriorRequestNotComplete",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
)
_DENIED = (
    "AccessDenied",
    "AccessDeniedException",
    "AuthorizationError",
    "NotAuthorized",
    "OptInRequired",
    "UnauthorizedAccess",
    "UnauthorizedOperation",
)
NOT_WHO_THEY_SAY = (
    "AuthFailure",
    "IncompleteSignature",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "NoCredentials",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
)
TOO_OLD = ("ExpiredToken", "ExpiredTokenException", "RequestExpired")
_UNAVAILABLE = (
    "RequestTimeout",
    "RequestTimeoutException",
    "ServiceUnavailable",
    "ServiceUnavailableException",
    "Unavailable",
)

PROVIDER_RULES: tuple[Rule, ...] = (
    *(Rule(Category.RETRY, code=code) for code in _THROTTLED + _UNAVAILABLE),
    *(Rule(Category.DENIED, code=code, remedy=_PERMISSION) for code in _DENIED),
    *(Rule(Category.DENIED, code=code, remedy=_CREDENTIALS) for code in NOT_WHO_THEY_SAY),
    *(Rule(Category.DENIED, code=code, remedy=_EXPIRED) for code in TOO_OLD),
)


def rules(
    category: Category, *codes: str, operation: str = "", message: str = "", remedy: str = ""
) -> tuple[Rule, ...]:
    """One rule for each of `codes`: the short way to write a kind's table."""
    return tuple(Rule(category, code=code, operation=operation, message=message, remedy=remedy) for code in codes)
