"""Secrets that Secrets Manager keeps, as they are used, not managed, by a stack.

Cost: one GetSecretValue for each secret and staging label, side by side. Actions: secretsmanager:GetSecretValue, and
kms:Decrypt on the key of a secret that has one of its own. Source: Secrets Manager GetSecretValue.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..engine.errors import ApiError, Category
from ..engine.values import Secret
from .api import Api
from .rules import rules

_RULES = rules(Category.ABSENT, "ResourceNotFoundException")
_STAGE = "staging label"  # AWS's own words when the secret is there, but not in this version


def read_secrets(api: Api, wanted: Sequence[tuple[str, str]]) -> list[Secret | str]:
    """For each (name or ARN, staging label) the secret, its VersionId as its version; or why there is none.

    The reason is one sentence. Raises ApiError when the API does not answer at all.
    """
    return api.each(lambda one: _read(api, *one), wanted)


def _read(api: Api, name: str, stage: str) -> Secret | str:
    try:
        answer = api.call("secretsmanager", "GetSecretValue", SecretId=name, VersionStage=stage, rules=_RULES)
    except ApiError as error:
        reason = _reason(api, name, stage, error)
        if not reason:
            raise
        return reason
    if "SecretString" not in answer:
        return f"Secrets Manager's {name} is binary; text is wanted."
    return Secret(answer["SecretString"], answer["VersionId"], shown=f"{stage} {answer['VersionId']}")


def _reason(api: Api, name: str, stage: str, error: ApiError) -> str:
    """What the API's refusal means for this secret, "" when it says nothing about it."""
    if error.category is Category.ABSENT and _STAGE in error.message:
        return f"Secrets Manager's {name} has no version {stage}."
    if error.category is Category.ABSENT:
        version = "" if stage == "AWSCURRENT" else f" with a version {stage}"
        return f"Secrets Manager of account {api.account_id} in {api.region} has no secret {name}{version}."
    if error.code == "InvalidRequestException" and "marked" in error.message:  # "marked for deletion"
        return f"Secrets Manager's {name} is scheduled for deletion; restore it, or name another."
    if error.code in ("AccessDenied", "AccessDeniedException"):
        return (
            f"Secrets Manager's {name} may not be read ({error.code}); allow secretsmanager:GetSecretValue on it to "
            "the caller, and kms:Decrypt on its key if it has one of its own."
        )
    if error.category is Category.FATAL:
        return f"Secrets Manager's {name} cannot be read ({error.code}: {error.message.strip().rstrip('.')})."
    return ""
