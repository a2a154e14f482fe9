"""Parameters of Systems Manager and secrets of Secrets Manager."""

from __future__ import annotations

from ..bridge import ask
from ..errors import AwsError
from ..hooks import before
from ..world import Call, World
from .catalogue import quirk

PENDING = quirk(
    "secrets-pending-deletion",
    "AWS Secrets Manager User Guide, 'Delete an AWS Secrets Manager secret'",
    "The name of a deleted secret stays taken for the recovery window of 7 to 30 days: InvalidRequestException.",
)
SIZE = quirk(
    "ssm-standard-tier-size",
    "AWS Systems Manager User Guide, 'Managing parameter tiers'",
    "A standard parameter holds 4 KB at most: ValidationException.",
)


@before("secretsmanager", "CreateSecret", quirk=PENDING)
def name_is_not_pending(world: World, call: Call) -> None:
    name = call.params["Name"]
    try:
        found = ask(call, "secretsmanager", "DescribeSecret", SecretId=name)
    except AwsError:
        return
    if found.get("DeletedDate"):
        raise AwsError(
            "InvalidRequestException", "You can't create this secret because a secret with this name is already "
            "scheduled for deletion.", 400,
        )


@before("ssm", "PutParameter", quirk=SIZE)
def standard_parameters_are_small(world: World, call: Call) -> None:
    params = call.params
    size = len(str(params.get("Value", "")).encode())
    limit = 8192 if params.get("Tier") in ("Advanced", "Intelligent-Tiering") else 4096
    if size > limit:
        raise AwsError(
            "ValidationException", "Standard tier parameters support a maximum parameter value of 4096 characters. "
            "To create a larger parameter value, upgrade the parameter to use the advanced-parameter tier.", 400,
        )
