"""Route 53 records: the sandbox's own, since moto neither applies a batch as a whole nor orders and checks records.

Source: Amazon Route 53 API Reference, ChangeResourceRecordSets and ListResourceRecordSets; Developer Guide,
"Supported DNS record types" and "DNS domain name format".
"""

from __future__ import annotations

import ipaddress
import random
import re
import string
from datetime import UTC, datetime
from typing import Any

from ..bridge import ask
from ..errors import AwsError
from ..hooks import after, before, operation
from ..quirks.catalogue import quirk
from ..world import Call, World

RecordSet = dict[str, Any]
Key = tuple[str, str, str]  # name, type, set identifier

PENDING = quirk(
    "route53-change-pending",
    "Amazon Route 53 API Reference, GetChange: PENDING and INSYNC",
    "A change is PENDING for a moment before it is INSYNC.",
)
_TYPES_AT_APEX_ONLY = frozenset({"SOA", "NS"})


class Zones:
    """The records of all zones, by (account, zone id), and when each change was made."""

    def __init__(self, world: World) -> None:
        self.records: dict[tuple[str, str], dict[Key, RecordSet]] = {}
        self.changes: dict[tuple[str, str], tuple[float, RecordSet]] = {}


def zone_id(text: str) -> str:
    return text.rpartition("/")[2]


def normal_name(name: str) -> str:
    """Lower case, with the final dot, and what is no letter, digit, hyphen or underscore as an octal escape."""
    plain = re.sub(r"\\(\d{3})", lambda match: chr(int(match[1], 8)), name.lower().rstrip("."))
    return re.sub(r"[^a-z0-9._-]", lambda match: f"\\{ord(match[0]):03o}", plain) + "."


def order(record: RecordSet) -> tuple[list[str], str, str]:
    """Records are listed by the labels of their names from the right, then by type."""
    return list(reversed(record["Name"].rstrip(".").split("."))), record["Type"], record.get("SetIdentifier", "")


def _zone(world: World, call: Call, key: str = "HostedZoneId") -> tuple[str, dict[Key, RecordSet]]:
    """The name and records of the zone that the parameter `key` names. Raises NoSuchHostedZone."""
    number = zone_id(call.params[key])
    found = ask(call, "route53", "GetHostedZone", Id=number)
    name, records = found["HostedZone"]["Name"], world.store(Zones).records
    if (call.account, number) not in records:
        records[call.account, number] = _first_records(name, found.get("DelegationSet", {}).get("NameServers", []))
    return name, records[call.account, number]


def _first_records(zone: str, servers: list[str]) -> dict[Key, RecordSet]:
    listed = [server.rstrip(".") + "." for server in servers] or ["ns-1.awsdns-01.org."]
    soa = f"{listed[0]} awsdns-hostmaster.amazon.com. 1 7200 900 1209600 86400"
    made = [
        {"Name": zone, "Type": "NS", "TTL": 172800, "ResourceRecords": [{"Value": s} for s in listed]},
        {"Name": zone, "Type": "SOA", "TTL": 900, "ResourceRecords": [{"Value": soa}]},
    ]
    return {_key(record): record for record in made}


def _key(record: RecordSet) -> Key:
    return record["Name"], record["Type"], record.get("SetIdentifier", "")


@operation("route53", "ChangeResourceRecordSets")
def change_records(world: World, call: Call) -> dict[str, Any]:
    """All changes of a batch, or none: every one that cannot be done is named."""
    zone, records = _zone(world, call)
    after_batch, wrong = dict(records), list[str]()
    changes = call.params["ChangeBatch"]["Changes"]
    if len(changes) > 1000:
        raise _invalid(["Number of records limit of 1000 exceeded."])
    for change in changes:
        record = _normal(change["ResourceRecordSet"])
        problem = _check_form(record, zone) or _apply(after_batch, change["Action"], record, zone)
        if problem:
            wrong.append(problem)
    if wrong:
        raise _invalid(wrong)
    records.clear()
    records.update(after_batch)
    return {"ChangeInfo": note_change(world, call, call.params["ChangeBatch"].get("Comment"))}


def _invalid(problems: list[str]) -> AwsError:
    return AwsError("InvalidChangeBatch", f"[{', '.join(problems)}]", 400)


def _normal(record: RecordSet) -> RecordSet:
    made = {k: v for k, v in record.items() if v not in (None, [])}
    made["Name"] = normal_name(record["Name"])
    if made.get("AliasTarget"):
        target = made["AliasTarget"]
        made["AliasTarget"] = {**target, "DNSName": normal_name(target["DNSName"])}
    return made


def _check_form(record: RecordSet, zone: str) -> str:
    """What is wrong with the record by itself; "" when nothing is."""
    name, kind = record["Name"], record["Type"]
    if name != zone and not name.endswith(f".{zone}"):
        return f"RRSet with DNS name {name} is not permitted in zone {zone}"
    if ("AliasTarget" in record) == ("ResourceRecords" in record):
        return f"Invalid request: Expected exactly one of [AliasTarget, all of [TTL, and ResourceRecords]] in {name}"
    if "ResourceRecords" in record and "TTL" not in record:
        return f"Missing field 'TTL' in Change with [Name={name}, Type={kind}]"
    for value in (each["Value"] for each in record.get("ResourceRecords", [])):
        fault = value_fault(kind, value)
        if fault:
            return f"Invalid Resource Record: 'FATAL problem: {fault} encountered with '{value}''"
    return ""


def value_fault(kind: str, value: str) -> str:
    """What Route 53 finds wrong with a value of a record of type `kind`; "" when nothing is."""
    if kind == "TXT":
        strings = re.findall(r'"((?:[^"\\]|\\.)*)"', value)
        if re.sub(r'"(?:[^"\\]|\\.)*"', "", value).strip() or not strings:
            return "InvalidCharacterString (Value should be enclosed in quotation marks)"
        if any(len(each) > 255 for each in strings):
            return "CharacterStringTooLong (Value is too long)"
    if kind in ("A", "AAAA"):
        version = 4 if kind == "A" else 6
        try:
            fits = ipaddress.ip_address(value).version == version
        except ValueError:
            fits = False
        if not fits:
            return f"{'ARRDATA' if version == 4 else 'AAAARRDATA'}IllegalIPv{version}Address (Value is not a valid " \
                   f"IPv{version} address)"
    if kind == "CNAME" and not re.fullmatch(r"[A-Za-z0-9._\\-]+", value):
        return "DomainLabelEmpty (Domain label is not valid)"
    return ""


def _apply(records: dict[Key, RecordSet], action: str, record: RecordSet, zone: str) -> str:
    """Does one change to `records`; what keeps it from being done, or ""."""
    key, live = _key(record), records.get(_key(record))
    shown = f"[name='{record['Name']}', type='{record['Type']}'" + (f", set-identifier='{key[2]}']" if key[2] else "]")
    if action == "DELETE":
        if live is None:
            return f"Tried to delete resource record set {shown} but it was not found"
        if not _same(live, record):
            reason = "the values provided do not match the current values"
            return f"Tried to delete resource record set {shown} but {reason}"
        if record["Name"] == zone and record["Type"] in _TYPES_AT_APEX_ONLY:
            return f"A HostedZone must contain at least one NS record and exactly one SOA record: {shown}"
        del records[key]
        return ""
    if action == "CREATE" and live is not None:
        return f"Tried to create resource record set {shown} but it already exists"
    others = [other for other in records.values() if other["Name"] == record["Name"] and _key(other) != key]
    if any((other["Type"] == "CNAME") != (record["Type"] == "CNAME") for other in others):
        return (
            f"RRSet of type {record['Type']} with DNS name {record['Name']} is not permitted as it conflicts with "
            f"other records with the same DNS name in zone {zone}"
        )
    if record["Type"] == "CNAME" and record["Name"] == zone:
        return f"RRSet of type CNAME with DNS name {zone} is not permitted at apex in zone {zone}"
    records[key] = record
    return ""


def _same(live: RecordSet, given: RecordSet) -> bool:
    def comparable(record: RecordSet) -> RecordSet:
        values = sorted(each["Value"] for each in record.get("ResourceRecords", []))
        return {**record, "ResourceRecords": values}

    return comparable(live) == comparable(given)


def note_change(world: World, call: Call, comment: str | None) -> RecordSet:
    number = "C" + "".join(random.choices(string.ascii_uppercase + string.digits, k=20))
    info = {
        "Id": f"/change/{number}", "Status": "PENDING" if world.quirk(PENDING) else "INSYNC",
        "SubmittedAt": datetime.now(UTC), **({"Comment": comment} if comment else {}),
    }
    world.store(Zones).changes[call.account, number] = (world.clock.now(), info)
    return info


@operation("route53", "GetChange")
def get_change(world: World, call: Call) -> dict[str, Any]:
    made, info = world.store(Zones).changes.get((call.account, zone_id(call.params["Id"])), (0.0, {}))
    if not info:
        raise AwsError("NoSuchChange", f"A change with id {call.params['Id']} does not exist", 404)
    if world.clock.now() - made >= world.clock.duration("route53.change"):
        info["Status"] = "INSYNC"
    return {"ChangeInfo": info}


@operation("route53", "ListResourceRecordSets")
def list_records(world: World, call: Call) -> dict[str, Any]:
    """Up to 300 records, from StartRecordName and StartRecordType on, those included."""
    _, records = _zone(world, call)
    params = call.params
    listed = sorted(records.values(), key=order)
    if params.get("StartRecordName"):
        name = normal_name(params["StartRecordName"])
        start = {"Name": name, "Type": params.get("StartRecordType") or "",
                 "SetIdentifier": params.get("StartRecordIdentifier") or ""}
        listed = [record for record in listed if order(record) >= order(start)]
    limit = min(int(params.get("MaxItems") or 300), 300)
    shown, rest = listed[:limit], listed[limit:]
    following = {}
    if rest:
        following = {"NextRecordName": rest[0]["Name"], "NextRecordType": rest[0]["Type"]}
        if rest[0].get("SetIdentifier"):
            following["NextRecordIdentifier"] = rest[0]["SetIdentifier"]
    return {"ResourceRecordSets": shown, "IsTruncated": bool(rest), "MaxItems": str(limit), **following}


@after("route53", "GetHostedZone")
def count_records(world: World, call: Call, result: dict[str, Any]) -> dict[str, Any]:
    _, records = _zone(world, call, "Id")
    return {**result, "HostedZone": {**result["HostedZone"], "ResourceRecordSetCount": len(records)}}


@after("route53", "ListHostedZones", "ListHostedZonesByName")
def count_records_of_each(world: World, call: Call, result: dict[str, Any]) -> dict[str, Any]:
    known = world.store(Zones).records
    zones = [
        {**zone, "ResourceRecordSetCount": len(known.get((call.account, zone_id(zone["Id"])), (1, 2)))}
        for zone in result["HostedZones"]
    ]
    return {**result, "HostedZones": zones}


@before("route53", "DeleteHostedZone")
def zone_is_empty(world: World, call: Call) -> None:
    zone, records = _zone(world, call, "Id")
    if any(not (r["Name"] == zone and r["Type"] in _TYPES_AT_APEX_ONLY) for r in records.values()):
        raise AwsError(
            "HostedZoneNotEmpty", "The specified hosted zone contains non-required resource record sets and so "
            "cannot be deleted.", 400,
        )


@after("route53", "DeleteHostedZone")
def forget_records(world: World, call: Call, result: dict[str, Any]) -> dict[str, Any]:
    world.store(Zones).records.pop((call.account, zone_id(call.params["Id"])), None)
    return {**result, "ChangeInfo": note_change(world, call, None)}
