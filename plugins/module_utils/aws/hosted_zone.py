"""Hosted zones of Route 53."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from ..engine.errors import Category, InvalidDescription
from ..engine.fields import attr
from ..engine.resource import Live, Mark, Resource, Scope
from ..engine.values import UNSET, Unset
from .api import Api
from .marks import STACK, all_tags, from_pairs, marks_of, own_tags, pairs, tag_changes
from .route53 import RULES, all_zones, plain_id, plain_name
from .shapes import given

_REFERENCE = "capstan"
_TAGS_A_CALL = 10


@dataclass(frozen=True, kw_only=True)
class HostedZone(Resource):
    """A hosted zone, found by its caller reference, which holds the stack; an existing one by its domain.

    CreateHostedZone takes no tags; the caller reference says whose it is until they are there (then it is adopted).
    Cost of reading: pages of ListHostedZones + 1 for every 10 owned (ListTagsForResources) + 1 · owned (GetHostedZone).
    Source: these. Actions: route53:ListHostedZones, ListHostedZonesByName, ListTagsForResources, GetHostedZone,
    CreateHostedZone, UpdateHostedZoneComment, AssociateVPCWithHostedZone, DisassociateVPCFromHostedZone,
    ChangeTagsForResource, DeleteHostedZone; ec2:DescribeVpcs for private zones.
    """

    kind = "aws.hosted_zone"
    owned_by = "name"
    journal = True  # keeps the token, so that a create repeated by the next run finds the first one's caller reference
    data_at_stake = "its name servers: the domain has to be delegated anew"
    outputs: ClassVar[Mapping[str, str]] = {
        "domain": "its domain",
        "name_servers": "the name servers that its parent has to delegate to",
    }

    domain: str = attr("domain that it answers for", create_only=True, normalise=plain_name)
    private: bool | Unset = attr("it answers only inside `vpcs`", create_only=True, cleared=False, default=UNSET)
    vpcs: list[str] | Unset = attr(
        "networks that a private zone answers in", refers_to="aws.vpc", unordered=True, cleared=(), default=UNSET
    )
    comment: str | Unset = attr("what it is for", cleared=None, default=UNSET)
    tags: dict[str, str | None] | Unset = attr("tags; null removes one", open_set=True, default=UNSET)

    @classmethod
    def read(cls, api: Api, scope: Scope) -> list[Live]:
        owned = [item for item in all_zones(api) if reference_of(item).get("stack") in scope.stacks]
        return _lives(api, owned)

    @classmethod
    def get(cls, api: Api, live_id: str, scope: Scope) -> Live | None:
        answer = api.call("route53", "GetHostedZone", Id=live_id, rules=RULES, done=Category.ABSENT)
        return next(iter(_lives(api, [answer["HostedZone"]])), None) if answer else None

    def find(self, api: Api) -> Live | None:
        wanted, private = plain_name(self.domain), given(self.private, False)
        answer = api.call("route53", "ListHostedZonesByName", DNSName=wanted, rules=RULES)
        named = [item for item in answer["HostedZones"] if plain_name(item["Name"]) == wanted]
        found = [item for item in named if item["Config"]["PrivateZone"] == private]
        if len(found) > 1:
            ids = ", ".join(sorted(plain_id(item["Id"]) for item in found))
            raise InvalidDescription(f"{self.address}: several zones answer for {wanted} ({ids}); remove one.")
        return next(iter(_lives(api, found)), None)

    def create(self, api: Api, mark: Mark) -> str:
        first = next(iter(given(self.vpcs) or ()), None)
        config = {"Comment": given(self.comment) or f"{mark.stack} {mark.address}", "PrivateZone": bool(first)}
        answer = api.call(
            "route53",
            "CreateHostedZone",
            Name=self.domain,
            CallerReference=caller_reference(mark),
            HostedZoneConfig=config,
            VPC={"VPCRegion": api.region, "VPCId": first} if first else None,
            rules=RULES,
        )
        zone = plain_id(answer["HostedZone"]["Id"])
        _tag(api, zone, all_tags(mark, self.tags), [])
        return zone

    def update(self, api: Api, live: Live, change: Any) -> None:
        if "comment" in change.fields:
            comment = change.fields["comment"][1] or ""
            api.call("route53", "UpdateHostedZoneComment", Id=live.id, Comment=comment, rules=RULES)
        if "vpcs" in change.fields:
            before, after = (set(side or ()) for side in change.fields["vpcs"])
            for vpc in sorted(after - before):  # a private zone is never without a network
                _associate(api, "AssociateVPCWithHostedZone", live.id, vpc, Category.EXISTS)
            for vpc in sorted(before - after):
                _associate(api, "DisassociateVPCFromHostedZone", live.id, vpc, Category.ABSENT)
        _tag(api, live.id, *tag_changes(change))

    @classmethod
    def delete(cls, api: Api, live: Live) -> None:
        api.call("route53", "DeleteHostedZone", Id=live.id, rules=RULES)

    def predict(self, mark: Mark) -> Mapping[str, Any]:
        return {"domain": plain_name(self.domain)}

    def problems(self) -> Iterable[str]:
        if bool(given(self.private)) != bool(given(self.vpcs)) and not self.meta.existing:
            yield "private: true needs vpcs, and vpcs need private: true."
        if len(self.address) > 60:
            yield f"the name {self.address} is too long: at most 60 characters fit into a zone's caller reference."


def caller_reference(mark: Mark) -> str:
    """At most 128 characters; the same for the same attempt, so that repeating it makes no second zone."""
    return f"{_REFERENCE}:{mark.stack}:{mark.address}:{mark.token}"


def reference_of(item: Mapping[str, Any]) -> dict[str, str]:
    """{"stack", "address"} of a zone of ours; empty for anybody else's."""
    parts = item["CallerReference"].split(":")
    return {"stack": parts[1], "address": parts[2]} if len(parts) == 4 and parts[0] == _REFERENCE else {}


def _associate(api: Api, operation: str, zone: str, vpc: str, done: Category) -> None:
    network = {"VPCRegion": api.region, "VPCId": vpc}
    api.call("route53", operation, HostedZoneId=zone, VPC=network, rules=RULES, done=done)


def _tag(api: Api, zone: str, write: Mapping[str, str], remove: list[str]) -> None:
    if write or remove:
        api.call(
            "route53",
            "ChangeTagsForResource",
            ResourceType="hostedzone",
            ResourceId=zone,
            AddTags=pairs(write) or None,
            RemoveTagKeys=remove or None,
            rules=RULES,
        )


def _lives(api: Api, items: list[Mapping[str, Any]]) -> list[Live]:
    ids = [plain_id(item["Id"]) for item in items]
    tags = _tags(api, ids)
    details = api.each(
        lambda zone: api.call("route53", "GetHostedZone", Id=zone, rules=RULES, done=Category.ABSENT), ids
    )
    return [zone_from_api(one, tags.get(zone, {})) for zone, one in zip(ids, details, strict=True) if one]


def _tags(api: Api, ids: list[str]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for start in range(0, len(ids), _TAGS_A_CALL):
        batch = ids[start : start + _TAGS_A_CALL]
        answer = api.call("route53", "ListTagsForResources", ResourceType="hostedzone", ResourceIds=batch, rules=RULES)
        found |= {one["ResourceId"]: from_pairs(one["Tags"]) for one in answer["ResourceTagSets"]}
    return found


def zone_from_api(answer: Mapping[str, Any], tags: Mapping[str, str]) -> Live:
    """A zone as GetHostedZone shows it, with its tags; one of ours that lacks them is to be adopted."""
    item, reference = answer["HostedZone"], reference_of(answer["HostedZone"])
    vpcs = sorted(one["VPCId"] for one in answer.get("VPCs", ()))
    domain = plain_name(item["Name"])
    live = Live(
        id=plain_id(item["Id"]),
        fields={
            "domain": domain,
            "private": item["Config"]["PrivateZone"],
            "vpcs": vpcs,
            "comment": item["Config"].get("Comment", ""),
            "tags": own_tags(tags),
        },
        outputs={"domain": domain, "name_servers": answer.get("DelegationSet", {}).get("NameServers", [])},
        refs=frozenset(vpcs),
        **marks_of(tags),
    )
    if not reference or tags.get(STACK) == reference["stack"]:
        return live
    return replace(live, owner=reference["stack"], address=reference["address"], adopt=True)
