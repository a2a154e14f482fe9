"""STS: who calls, and roles of other accounts."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import unquote

from ..bridge import ask
from ..errors import AwsError
from ..hooks import operation
from ..world import Call, World


@operation("sts", "GetCallerIdentity")
def get_caller_identity(world: World, call: Call) -> dict[str, Any]:
    principal = call.principal
    return {"UserId": principal.user_id, "Account": principal.account, "Arn": principal.arn}


@operation("sts", "AssumeRole")
def assume_role(world: World, call: Call) -> dict[str, Any]:
    """Credentials of a role that is there and trusts the caller; of any account of the sandbox."""
    arn, session = call.params["RoleArn"], call.params["RoleSessionName"]
    role = _role(world, arn)
    if role is None or not trusts(role["AssumeRolePolicyDocument"], call.principal.arn, call.account):
        raise AwsError(
            "AccessDenied",
            f"User: {call.principal.arn} is not authorized to perform: sts:AssumeRole on resource: {arn}", 403,
        )
    lifetime_s = int(call.params.get("DurationSeconds", 3600))
    if not 900 <= lifetime_s <= role.get("MaxSessionDuration", 3600):
        raise AwsError(
            "ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.", 400
        )
    made = world.accounts.open_session(arn.split(":")[4], role["RoleName"], role["RoleId"], session, lifetime_s)
    return {
        "Credentials": {
            "AccessKeyId": made.access_key, "SecretAccessKey": made.secret, "SessionToken": made.token,
            "Expiration": made.expires,
        },
        "AssumedRoleUser": {"AssumedRoleId": made.user_id, "Arn": made.arn},
    }


def _role(world: World, arn: str) -> dict[str, Any] | None:
    parts = arn.split(":", 5)
    if len(parts) != 6 or parts[2] != "iam" or not parts[5].startswith("role/") or not world.accounts.knows(parts[4]):
        return None
    try:
        found: dict[str, Any] = ask((parts[4], "us-east-1"), "iam", "GetRole", RoleName=parts[5].rpartition("/")[2])
    except AwsError:
        return None
    return found["Role"] if found["Role"]["Arn"] == arn else None


def trusts(document: dict[str, Any] | str, principal_arn: str, account: str) -> bool:
    """Whether a trust policy lets `principal_arn` of `account` assume the role (Condition is not looked at)."""
    # The wire form of a policy document is URL-encoded JSON.
    policy = json.loads(unquote(document)) if isinstance(document, str) else document
    statements = policy.get("Statement", [])
    names = {"*", account, f"arn:aws:iam::{account}:root", principal_arn}
    allowed = False
    for statement in [statements] if isinstance(statements, dict) else statements:
        actions = statement.get("Action", [])
        if not any(fnmatchcase("sts:AssumeRole", a) for a in ([actions] if isinstance(actions, str) else actions)):
            continue
        principals = statement.get("Principal", {})
        who = principals if isinstance(principals, str) else principals.get("AWS", [])
        if names & set([who] if isinstance(who, str) else who):
            if statement.get("Effect") == "Deny":
                return False
            allowed = True
    return allowed
