"""IAM is eventually consistent, and each consumer notices at its own time."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import unquote

from ..bridge import ask
from ..errors import AwsError
from ..hooks import after, before
from ..world import Call, World
from .catalogue import quirk

ROLES = quirk(
    "iam-role-propagation",
    "IAM User Guide, troubleshooting, 'Changes that I make are not always immediately visible'",
    "A fresh role is unknown to EKS for about a second: InvalidParameterException, 'Role provided in the request "
    "does not exist'.",
)
PRINCIPALS = quirk(
    "iam-principal-propagation",
    "IAM User Guide, JSON policy elements: Principal, and troubleshooting of eventual consistency",
    "A trust policy that names a fresh or absent role as principal is refused: MalformedPolicyDocument, "
    "'Invalid principal in policy'.",
)
_ROLE_ARN = re.compile(r"arn:aws:iam::(\d{12}):role/(?:[^/]+/)*([^/]+)")


class RoleAges:
    """When each role was created, in seconds of the world's clock."""

    def __init__(self, world: World) -> None:
        self.created: dict[tuple[str, str], float] = {}


@after("iam", "CreateRole")
def remember_creation(world: World, call: Call, result: dict[str, Any]) -> dict[str, Any]:
    world.store(RoleAges).created[call.account, call.params["RoleName"]] = world.clock.now()
    return result


def find_role(world: World, arn: str, quirk_name: str = ROLES) -> dict[str, Any] | None:
    """The role behind `arn` as another service sees it: None while it is absent or too fresh to be known.

    Shape: the Role of GetRole, its AssumeRolePolicyDocument decoded.
    """
    match = _ROLE_ARN.fullmatch(arn or "")
    if match is None or not world.accounts.knows(match[1]):
        return None
    account, name = match[1], match[2]
    created = world.store(RoleAges).created.get((account, name), float("-inf"))
    if world.quirk(quirk_name) and world.clock.now() - created < world.clock.duration("iam.propagation"):
        return None
    try:
        role: dict[str, Any] = ask((account, "us-east-1"), "iam", "GetRole", RoleName=name)["Role"]
    except AwsError:
        return None
    document = role["AssumeRolePolicyDocument"]
    trust = json.loads(unquote(document)) if isinstance(document, str) else document
    return {**role, "AssumeRolePolicyDocument": trust} if role["Arn"] == arn else None


def trusts_service(role: dict[str, Any], service: str) -> bool:
    """Whether the role's trust policy lets `service` ("eks.amazonaws.com") assume it."""
    statements = role["AssumeRolePolicyDocument"].get("Statement", [])
    for statement in [statements] if isinstance(statements, dict) else statements:
        principal = statement.get("Principal", {})
        who = principal.get("Service", []) if isinstance(principal, dict) else []
        if statement.get("Effect") == "Allow" and service in ([who] if isinstance(who, str) else who):
            return True
    return False


@before("iam", "CreateRole", quirk=PRINCIPALS)
def trusted_roles_exist(world: World, call: Call) -> None:
    _check_principals(world, call.params.get("AssumeRolePolicyDocument", ""))


@before("iam", "UpdateAssumeRolePolicy", quirk=PRINCIPALS)
def newly_trusted_roles_exist(world: World, call: Call) -> None:
    _check_principals(world, call.params.get("PolicyDocument", ""))


def _check_principals(world: World, document: str) -> None:
    try:
        statements = json.loads(document).get("Statement", [])
    except (ValueError, AttributeError):
        return  # not JSON: the operation itself refuses it
    for statement in [statements] if isinstance(statements, dict) else statements:
        principal = statement.get("Principal", {}) if isinstance(statement, dict) else {}
        who = principal.get("AWS", []) if isinstance(principal, dict) else []
        for arn in [who] if isinstance(who, str) else who:
            match = _ROLE_ARN.fullmatch(arn)
            if match and world.accounts.knows(match[1]) and find_role(world, arn, PRINCIPALS) is None:
                raise AwsError("MalformedPolicyDocument", f'Invalid principal in policy: "AWS":"{arn}"', 400)
