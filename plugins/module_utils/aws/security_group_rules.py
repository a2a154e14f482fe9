"""Rules of security groups: how a description writes them, how the API does, and how the two are compared. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypedDict

from ..engine.resource import link_name
from .ec2 import canonical_cidr, cidr_problems

ITSELF = "self"
_SOURCES = ("cidr", "security_group", "prefix_list", "self")


class Rule(TypedDict, total=False):
    """One rule as a description writes it. The other side is exactly one of cidr, security_group, prefix_list, self."""

    protocol: str  # tcp (unset), udp, icmp, icmpv6, all, or a number
    port: int  # one port; or
    from_port: int  # a range (ICMP: the type)
    to_port: int  # … (ICMP: the code)
    cidr: str  # an IPv4 or IPv6 block
    security_group: str  # another group: of the stack by name, or an id
    prefix_list: str  # a prefix list's id
    self: bool  # the group itself
    description: str


Canonical = dict[str, Any]  # protocol, from_port, to_port, other (the other side), description


def link_rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    """`rule` with the name of a group turned into a reference; ids and markers stay as they are."""
    group = rule.get("security_group")
    if not isinstance(group, str) or group.startswith("sg-"):
        return dict(rule)
    return {**rule, "security_group": link_name(group, ("aws.security_group",))}


def canonical(rule: Mapping[str, Any], group: str) -> Canonical:
    """`rule` of a description as EC2 would show it. `group`: the group's own id, "self" while it has none."""
    protocol = _protocol(rule.get("protocol", "tcp"))
    low = rule.get("port", rule.get("from_port"))
    high = rule.get("port", rule.get("to_port", low))
    if protocol == "-1":
        low = high = None
    other = group if rule.get("self") else rule.get("security_group") or rule.get("prefix_list")
    return {
        "protocol": protocol,
        "from_port": low,
        "to_port": high,
        "other": other if other is not None else canonical_cidr(rule.get("cidr")),
        "description": rule.get("description", ""),
    }


def from_api(item: Mapping[str, Any]) -> Canonical:
    """A rule as DescribeSecurityGroupRules shows it."""
    protocol = _protocol(item["IpProtocol"])
    other = item.get("CidrIpv4") or item.get("CidrIpv6") or item.get("PrefixListId")
    ranged = protocol != "-1"
    return {
        "protocol": protocol,
        "from_port": item.get("FromPort") if ranged else None,
        "to_port": item.get("ToPort") if ranged else None,
        "other": other or item.get("ReferencedGroupInfo", {}).get("GroupId", ""),
        "description": item.get("Description") or "",
    }


def to_permission(rule: Canonical) -> dict[str, Any]:
    """One element of IpPermissions."""
    permission: dict[str, Any] = {"IpProtocol": rule["protocol"]}
    if rule["from_port"] is not None:
        permission |= {"FromPort": rule["from_port"], "ToPort": rule["to_port"]}
    field, key = _peer(rule["other"])
    peer = {key: rule["other"]} | ({"Description": rule["description"]} if rule["description"] else {})
    return permission | {field: [peer]}


def to_request(rule: Canonical) -> dict[str, Any]:
    """The form that ModifySecurityGroupRules takes."""
    names = {
        "IpRanges": "CidrIpv4",
        "Ipv6Ranges": "CidrIpv6",
        "PrefixListIds": "PrefixListId",
        "UserIdGroupPairs": "ReferencedGroupId",
    }
    request = {"IpProtocol": rule["protocol"], names[_peer(rule["other"])[0]]: rule["other"]}
    if rule["from_port"] is not None:
        request |= {"FromPort": rule["from_port"], "ToPort": rule["to_port"]}
    return request | {"Description": rule["description"]}


def identity(rule: Canonical) -> tuple[Any, ...]:
    """What makes two rules the same for EC2: everything but the description."""
    return (rule["protocol"], rule["from_port"], rule["to_port"], rule["other"])


def is_default_egress(rule: Canonical) -> bool:
    """The rule that EC2 gives every new group: everything may go out."""
    return rule["protocol"] == "-1" and rule["other"] == "0.0.0.0/0" and not rule["description"]


def rule_problems(where: str, rule: Mapping[str, Any]) -> Iterable[str]:
    """What is wrong with a rule beyond its types."""
    given = [name for name in _SOURCES if rule.get(name)]
    if len(given) != 1:
        yield f"{where} needs exactly one of {', '.join(_SOURCES)}; it has {', '.join(given) or 'none'}."
    yield from cidr_problems(f"{where}.cidr", rule.get("cidr"))
    if "port" in rule and ("from_port" in rule or "to_port" in rule):
        yield f"{where} has both port and a range; one of them is wanted."
    if _protocol(rule.get("protocol", "tcp")) in ("tcp", "udp") and not {"port", "from_port"} & rule.keys():
        yield f"{where} needs port, or from_port and to_port."


def _protocol(name: Any) -> str:
    known = {"all": "-1", "6": "tcp", "17": "udp", "1": "icmp", "58": "icmpv6"}
    return known.get(str(name).lower(), str(name).lower())


def _peer(other: str) -> tuple[str, str]:
    """The list in IpPermissions that the other side goes into, and the key of its element."""
    if other.startswith("pl-"):
        return "PrefixListIds", "PrefixListId"
    if "/" not in other:
        return "UserIdGroupPairs", "GroupId"
    return ("Ipv6Ranges", "CidrIpv6") if ":" in other else ("IpRanges", "CidrIp")
