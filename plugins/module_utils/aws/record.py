"""DNS records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypedDict

from ..engine.errors import Category, Conflict
from ..engine.fields import attr
from ..engine.resource import Live, Mark, Resource, Scope
from ..engine.values import UNSET, Unset
from . import record_registry as registry
from .api import Api
from .record_registry import Entry
from .route53 import RULES, all_zones, change_records, plain_id, plain_name
from .shapes import given

Kind = Literal["A", "AAAA", "CAA", "CNAME", "MX", "NS", "SRV", "TXT"]
_PAGE = 300


class _Target(TypedDict):
    target: str
    zone: str


class Alias(_Target, total=False):
    """`target`: DNS name of an AWS resource; `zone`: the hosted zone id that belongs to that name."""

    evaluate_target_health: bool


@dataclass(frozen=True, kw_only=True)
class Record(Resource):
    """A record set, in a zone of the stack's or one that exists; owned by the TXT record that is written beside it.

    A record that has none is somebody else's and never overwritten. Cost of reading: pages of ListHostedZones + 1 page
    of ListResourceRecordSets a zone (its registry) + 1 · owned. Source: these. Actions: route53:ListHostedZones,
    ListResourceRecordSets, ChangeResourceRecordSets.
    """

    kind = "aws.record"
    owned_by = "registry"
    replace_order = "delete_first"  # a CNAME stands alone, and the registry's entry moves with the name

    zone: str = attr("zone that it stands in", refers_to="aws.hosted_zone", create_only=True)
    name: str = attr("whole name, such as www.example.com", create_only=True, normalise=plain_name)
    type: Kind = attr("record type", create_only=True)
    ttl: int | Unset = attr(
        "seconds that answers may be kept (default 300); not with alias", cleared=300, default=UNSET
    )
    records: list[str] | Unset = attr("what it answers; not with alias", unordered=True, cleared=None, default=UNSET)
    alias: Alias | Unset = attr("an AWS resource whose addresses it answers", cleared=None, default=UNSET)
    set_identifier: str | Unset = attr(
        "tells several records of one name apart", create_only=True, cleared=None, default=UNSET
    )
    weight: int | Unset = attr("share of the answers among records of one name, 0 to 255", cleared=None, default=UNSET)
    failover: Literal["PRIMARY", "SECONDARY"] | Unset = attr("its part in a failover pair", cleared=None, default=UNSET)
    region: str | Unset = attr("region for answers by latency", cleared=None, default=UNSET)
    health_check: str | Unset = attr("id of the health check that takes it out", cleared=None, default=UNSET)

    @classmethod
    def read(cls, api: Api, scope: Scope) -> list[Live]:
        zones = all_zones(api)
        found = api.each(lambda zone: _entries(api, zone), zones)
        ours = [
            (plain_id(zone["Id"]), entry)
            for zone, entries in zip(zones, found, strict=True)
            for entry in entries
            if entry.stack in scope.stacks
        ]
        lives = api.each(lambda one: _live(api, *one), ours)
        # An entry without its record: to a description it is absent; to prune it is something left behind.
        return [live for live in lives if live.raw is not None or live.address not in scope.wanted]

    @classmethod
    def get(cls, api: Api, live_id: str, scope: Scope) -> Live | None:
        zone, name, kind, set_identifier = live_id.split("/", 3)
        domain = _domain(api, zone)
        if domain is None:
            return None
        item = _txt(api, zone, registry.registry_name(domain, name, kind, set_identifier))
        entry = registry.from_record(item) if item else None
        if entry is None:
            return None
        live = _live(api, zone, entry)
        return live if live.raw is not None or live.address not in scope.wanted else None

    def propose(self, api: Api | None, live: Live | None) -> Mapping[str, Any]:
        values = self.values()
        values["name"] = plain_name(self.name)
        if values.get("records"):
            values["records"] = [_answer(self.type, text) for text in values["records"]]
            values.setdefault("ttl", registry.TTL_S)
        if values.get("alias"):
            values["alias"] = _alias(values["alias"])
        return values

    def create(self, api: Api, mark: Mark) -> str:
        domain = _domain(api, self.zone)
        if domain is None:
            raise Conflict(self.address, f"zone {self.zone} is not there", "Correct `zone`.")
        entry = _entry_of(self, mark)
        there = _txt(api, self.zone, registry.registry_name(domain, entry.name, entry.type, entry.set_identifier))
        held = registry.from_record(there) if there else None
        if there and (held is None or (held.stack, held.address) != (mark.stack, mark.address)):
            whose = f"stack {held.stack} ({held.address})" if held else "somebody else"
            raise Conflict(self.address, f"the record {entry.name} {entry.type} belongs to {whose}", "Choose another.")
        changes = [
            ("CREATE", _record_set(dict(self.propose(api, None)))),
            ("UPSERT" if there else "CREATE", registry.to_record(domain, entry)),
        ]
        change_records(api, self.zone, changes, repeatable=False)
        return _id(self.zone, entry)

    def update(self, api: Api, live: Live, change: Any) -> None:
        zone, domain = live.fields["zone"], _domain(api, live.fields["zone"])
        changes: list[tuple[str, Mapping[str, Any]]] = []
        if change.fields.keys() - {"marks"}:
            wanted = {**live.fields, **{name: after for name, (_before, after) in change.fields.items()}}
            if "records" in change.fields:
                wanted["alias"] = None
            changes.append(("UPSERT", _record_set(wanted)))
        if "marks" in change.fields and domain is not None:
            changes.append(("UPSERT", registry.to_record(domain, _entry_of(self, change.mark))))
        change_records(api, zone, changes)

    @classmethod
    def delete(cls, api: Api, live: Live) -> None:
        """Both records in one batch, as they are now: a delete has to quote what it deletes."""
        zone, name, kind, set_identifier = live.id.split("/", 3)
        domain = _domain(api, zone)
        if domain is None:
            return
        found = [
            _find(api, zone, name, kind, set_identifier),
            _txt(api, zone, registry.registry_name(domain, name, kind, set_identifier)),
        ]
        change_records(api, zone, [("DELETE", item) for item in found if item], done=Category.ABSENT)

    def problems(self) -> Iterable[str]:
        records, alias = given(self.records), given(self.alias)
        if self.meta.existing:
            yield "a record cannot be used as existing."
        elif (records is None) == (alias is None):
            yield "exactly one of records and alias is needed."
        if alias is not None and given(self.ttl) is not None:
            yield "ttl does not go with alias: the target's own counts."
        routed = [name for name in ("weight", "failover", "region") if given(getattr(self, name)) is not None]
        if len(routed) > 1:
            yield f"{', '.join(routed)} exclude each other."
        if bool(routed) != (given(self.set_identifier) is not None):
            yield "set_identifier goes with one of weight, failover and region."


def _entry_of(record: Record, mark: Mark) -> Entry:
    return Entry(
        name=plain_name(record.name),
        type=record.type,
        set_identifier=given(record.set_identifier, ""),
        stack=mark.stack,
        address=mark.address,
        component=mark.component,
        protect=mark.protect,
    )


def _id(zone: str, entry: Entry) -> str:
    return f"{zone}/{entry.name}/{entry.type}/{entry.set_identifier}"


def _domain(api: Api, zone: str) -> str | None:
    answer = api.call("route53", "GetHostedZone", Id=zone, rules=RULES, done=Category.ABSENT)
    return str(plain_name(answer["HostedZone"]["Name"])) if answer else None


def _entries(api: Api, zone: Mapping[str, Any]) -> list[Entry]:
    """The registry of one zone: it stands together, so reading ends where another name begins."""
    root = registry.registry_root(plain_name(zone["Name"]))
    entries: list[Entry] = []
    start: dict[str, Any] = {"StartRecordName": root}
    while True:
        answer = api.call(
            "route53",
            "ListResourceRecordSets",
            HostedZoneId=plain_id(zone["Id"]),
            MaxItems=str(_PAGE),
            rules=RULES,
            done=Category.ABSENT,
            **start,
        )
        found = answer.get("ResourceRecordSets", ())
        inside = [item for item in found if plain_name(item["Name"]).endswith(f".{root}")]
        entries += [entry for item in inside if (entry := registry.from_record(item))]
        if len(inside) < len(found) or not answer.get("IsTruncated"):
            return entries
        start = {"StartRecordName": answer["NextRecordName"], "StartRecordType": answer["NextRecordType"]}


def _txt(api: Api, zone: str, name: str) -> Mapping[str, Any] | None:
    return _find(api, zone, name, "TXT", "")


def _find(api: Api, zone: str, name: str, kind: str, set_identifier: str) -> Mapping[str, Any] | None:
    """One record set, exactly; None when it is not there."""
    answer = api.call(
        "route53",
        "ListResourceRecordSets",
        HostedZoneId=zone,
        StartRecordName=name,
        StartRecordType=kind,
        StartRecordIdentifier=set_identifier or None,
        MaxItems="100",  # records of one name and type stand together; a name has at most as many
        rules=RULES,
        done=Category.ABSENT,
    )
    wanted = (plain_name(name), kind, set_identifier)
    for item in answer.get("ResourceRecordSets", ()):
        if (plain_name(item["Name"]), item["Type"], item.get("SetIdentifier", "")) == wanted:
            found: Mapping[str, Any] = item
            return found
    return None


def _live(api: Api, zone: str, entry: Entry) -> Live:
    item = _find(api, zone, entry.name, entry.type, entry.set_identifier)
    return record_from_api(zone, entry, item)


def _answer(kind: str, text: str) -> str:
    """One answer as Route 53 holds it: TXT in quotes, host names without a dot at their end."""
    if kind == "TXT":
        return text if text.startswith('"') else f'"{text}"'
    return str(plain_name(text)) if kind in ("CNAME", "NS") else text


def _alias(alias: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "target": plain_name(alias["target"]),
        "zone": alias["zone"],
        "evaluate_target_health": alias.get("evaluate_target_health", False),
    }


_ROUTING = {
    "weight": "Weight",
    "failover": "Failover",
    "region": "Region",
    "set_identifier": "SetIdentifier",
    "health_check": "HealthCheckId",
}


def _record_set(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The record set that `fields` describe."""
    item: dict[str, Any] = {"Name": fields["name"], "Type": fields["type"]}
    item |= {theirs: fields[ours] for ours, theirs in _ROUTING.items() if fields.get(ours) is not None}
    if alias := fields.get("alias"):
        return item | {
            "AliasTarget": {
                "DNSName": alias["target"],
                "HostedZoneId": alias["zone"],
                "EvaluateTargetHealth": alias["evaluate_target_health"],
            }
        }
    answers = [{"Value": text} for text in fields["records"]]
    return item | {"TTL": fields.get("ttl") or registry.TTL_S, "ResourceRecords": answers}


def record_from_api(zone: str, entry: Entry, item: Mapping[str, Any] | None) -> Live:
    """A record as its entry and ListResourceRecordSets show it. `raw`: the record set, None when there is none."""
    fields: dict[str, Any] = {"zone": zone, "name": entry.name, "type": entry.type}
    if item is not None:
        fields |= {ours: item.get(theirs) for ours, theirs in _ROUTING.items()}
        target = item.get("AliasTarget")
        fields |= {
            "ttl": item.get("TTL"),
            "records": [_answer(entry.type, one["Value"]) for one in item.get("ResourceRecords", ())] or None,
            "alias": target
            and _alias(
                {
                    "target": target["DNSName"],
                    "zone": target["HostedZoneId"],
                    "evaluate_target_health": target["EvaluateTargetHealth"],
                }
            ),
        }
    return Live(
        id=_id(zone, entry),
        address=entry.address,
        fields=fields,
        refs=frozenset({zone}),
        owner=entry.stack,
        component=entry.component,
        protect=entry.protect,
        raw=item,
    )
