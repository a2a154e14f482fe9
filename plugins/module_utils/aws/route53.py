"""What the Route 53 kinds share: errors, names, zones. Source: Route 53 API reference, "DNS domain name format"."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ..engine.calls import Rule
from ..engine.errors import Category
from .api import Api
from .rules import rules

RULES: tuple[Rule, ...] = (
    *rules(Category.EXISTS, "HostedZoneAlreadyExists"),
    *rules(Category.EXISTS, "InvalidChangeBatch", message="already exists"),
    *rules(Category.ABSENT, "InvalidChangeBatch", message="was not found"),
    *rules(Category.ABSENT, "NoSuchHostedZone"),
    *rules(Category.EXISTS, "ConflictingDomainExists", operation="AssociateVPCWithHostedZone"),
    *rules(Category.ABSENT, "VPCAssociationNotFound"),
    *rules(Category.WAIT, "InvalidVPCId", operation="CreateHostedZone"),
    *rules(
        Category.FATAL,
        "HostedZoneNotEmpty",
        remedy="It holds records that are not the stack's: move or remove them first.",
    ),
    *rules(Category.FATAL, "TooManyHostedZones", remedy="A quota is used up: ask for a higher one."),
)


def plain_name(name: Any) -> Any:
    """A domain name in one form: lower case, no dot at its end, escapes (\\052 for *) undone."""
    if not isinstance(name, str):
        return name
    return re.sub(r"\\([0-7]{3})", lambda escape: chr(int(escape[1], 8)), name.rstrip(".").lower())


def plain_id(zone: str) -> str:
    """A zone's id without the path that some answers put before it."""
    return zone.rpartition("/")[2]


def all_zones(api: Api) -> list[Mapping[str, Any]]:
    """Every hosted zone of the account: pages of ListHostedZones."""
    return list(api.pages("route53", "ListHostedZones", "HostedZones", rules=RULES))


def change_records(api: Api, zone: str, changes: Iterable[tuple[str, Mapping[str, Any]]], **how: Any) -> None:
    """All of `changes` ((action, record set), …) or none of them, in one batch."""
    batch = {"Changes": [{"Action": action, "ResourceRecordSet": dict(each)} for action, each in changes]}
    if batch["Changes"]:
        api.call("route53", "ChangeResourceRecordSets", HostedZoneId=zone, ChangeBatch=batch, rules=RULES, **how)
