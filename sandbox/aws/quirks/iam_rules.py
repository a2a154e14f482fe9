"""What IAM refuses."""

from __future__ import annotations

import json

from ..bridge import backend
from ..errors import AwsError
from ..hooks import before
from ..world import Call, World
from .catalogue import quirk

NAMES = quirk(
    "iam-names",
    "IAM User Guide, 'IAM and AWS STS quotas': name requirements and limits",
    "Role names differ by more than case (EntityAlreadyExists) and have at most 64 characters (ValidationError).",
)
TRUST = quirk(
    "iam-trust-policy-syntax",
    "IAM API Reference, CreateRole: MalformedPolicyDocument",
    "A trust policy without statements, or with a statement without a principal, is refused.",
)


@before("iam", "CreateRole", quirk=NAMES)
def role_names_are_unique_in_any_case(world: World, call: Call) -> None:
    name = call.params["RoleName"]
    if len(name) > 64:
        raise AwsError(
            "ValidationError", f"1 validation error detected: Value '{name}' at 'roleName' failed to satisfy "
            "constraint: Member must have length less than or equal to 64", 400,
        )
    roles = backend("iam", call.place).roles.values()
    if any(role.name.lower() == name.lower() for role in roles):
        raise AwsError("EntityAlreadyExists", f"Role with name {name} already exists.", 409)


@before("iam", "CreateRole", quirk=TRUST)
def trust_policy_has_principals(world: World, call: Call) -> None:
    _check_trust(call.params.get("AssumeRolePolicyDocument", ""))


@before("iam", "UpdateAssumeRolePolicy", quirk=TRUST)
def new_trust_policy_has_principals(world: World, call: Call) -> None:
    _check_trust(call.params.get("PolicyDocument", ""))


def _check_trust(document: str) -> None:
    try:
        parsed = json.loads(document)
    except ValueError as error:
        raise AwsError("MalformedPolicyDocument", "This policy contains invalid Json", 400) from error
    statements = parsed.get("Statement") if isinstance(parsed, dict) else None
    listed = [statements] if isinstance(statements, dict) else statements or []
    if not listed:
        raise AwsError("MalformedPolicyDocument", "Syntax errors in policy.", 400)
    for statement in listed:
        if not statement.get("Principal"):
            raise AwsError("MalformedPolicyDocument", "Missing required field Principal", 400)
