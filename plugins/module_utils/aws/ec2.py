"""What the EC2 kinds share: filters, tags and the table of errors. Sources: EC2 "Error codes", "CreateTags"."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from ..engine.calls import Rule
from ..engine.errors import Category
from ..engine.resource import Live, Mark, Scope
from .api import Api
from .marks import STACK, Tags, all_tags, pairs, tag_changes
from .rules import rules

_GONE = (
    "Gateway.NotAttached",
    "InvalidAssociationID.NotFound",
    "InvalidGroup.NotFound",
    "InvalidInternetGatewayID.NotFound",
    "InvalidPermission.NotFound",
    "InvalidRoute.NotFound",
    "InvalidRouteTableID.NotFound",
    "InvalidSecurityGroupRuleId.NotFound",
    "InvalidSubnetID.NotFound",
    "InvalidVpcID.NotFound",
)
_TAKEN = (
    "InvalidGroup.Duplicate",
    "InvalidPermission.Duplicate",
    "InvalidSubnet.Conflict",
    "Resource.AlreadyAssociated",
    "RouteAlreadyExists",
)
# EC2 is eventually consistent: what was made a moment ago may not be known yet to the call that uses it.
_NEW_IDS = (
    "InvalidGatewayID.NotFound",
    "InvalidGroup.NotFound",
    "InvalidInternetGatewayID.NotFound",
    "InvalidNatGatewayID.NotFound",
    "InvalidRouteTableID.NotFound",
    "InvalidSubnetID.NotFound",
    "InvalidSubnetId.NotFound",
    "InvalidVpcID.NotFound",
    "NatGatewayNotFound",
)
_USERS_OF_NEW_IDS = (
    "AssociateRouteTable",
    "AttachInternetGateway",
    "AuthorizeSecurityGroupEgress",
    "AuthorizeSecurityGroupIngress",
    "CreateRoute",
    "CreateRouteTable",
    "CreateSecurityGroup",
    "CreateSubnet",
    "CreateTags",
    "ModifySubnetAttribute",
    "ModifyVpcAttribute",
    "ReplaceRoute",
    "ReplaceRouteTableAssociation",
)
RULES: tuple[Rule, ...] = (
    *(rule for operation in _USERS_OF_NEW_IDS for rule in rules(Category.WAIT, *_NEW_IDS, operation=operation)),
    *rules(Category.WAIT, "InvalidParameterValue", operation="CreateRoute", message="belong to different networks"),
    *rules(Category.WAIT, "DependencyViolation", remedy="Something that is not part of the stack still uses it."),
    *rules(Category.WAIT, "IncorrectState", "OperationInProgress"),
    *rules(Category.ABSENT, *_GONE),
    *rules(Category.EXISTS, *_TAKEN),
    *rules(Category.FATAL, "VpcLimitExceeded", "InternetGatewayLimitExceeded", "SubnetLimitExceeded",
           "RouteTableLimitExceeded", "SecurityGroupLimitExceeded", "RulesPerSecurityGroupLimitExceeded",
           remedy="A quota of the account is used up: ask for a higher one, or remove what is no longer needed."),
)  # fmt: skip


def owned_by(scope: Scope) -> list[dict[str, Any]]:
    """The filter for what carries the marks of the scope's stacks."""
    return [{"Name": f"tag:{STACK}", "Values": sorted(scope.stacks)}]


def tag_specifications(resource_type: str, mark: Mark, tags: Any) -> list[dict[str, Any]]:
    """Tags that go in with the creation."""
    return [{"ResourceType": resource_type, "Tags": pairs(all_tags(mark, tags))}]


def retag(api: Api, live: Live, change: Any) -> None:
    """Writes what `change` says about tags and marks."""
    write, remove = tag_changes(change)
    if write:
        api.call("ec2", "CreateTags", Resources=[live.id], Tags=pairs(write), rules=RULES)
    if remove:
        api.call("ec2", "DeleteTags", Resources=[live.id], Tags=[{"Key": key} for key in remove], rules=RULES)


def exactly(fields: Mapping[str, Any], tags: Tags | Any) -> list[dict[str, Any]]:
    """Filters for an existing thing: filter name -> value (without unset and not yet known ones), and every tag."""
    filters = [{"Name": name, "Values": [value]} for name, value in fields.items() if isinstance(value, str)]
    return filters + [{"Name": f"tag:{key}", "Values": [value]} for key, value in (tags or {}).items()]


def canonical_cidr(value: Any) -> Any:
    """An IP block as EC2 stores it: host bits cleared. Anything else is returned as it is."""
    try:
        return str(ipaddress.ip_network(value, strict=False))
    except (ValueError, TypeError):
        return value


def cidr_problems(where: str, value: Any, version: int | None = None) -> list[str]:
    """What is wrong with a block that is known already."""
    if not isinstance(value, str) or "capstan-ref(" in value:
        return []
    try:
        network = ipaddress.ip_network(value, strict=False)
    except ValueError:
        return [f'{where} is "{value}"; an IP block such as 10.0.0.0/16 is wanted.']
    if version and network.version != version:
        return [f'{where} is "{value}"; an IPv{version} block is wanted.']
    return []
