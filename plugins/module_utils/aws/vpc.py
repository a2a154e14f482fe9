"""Virtual networks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from ..engine.errors import Category, InvalidDescription
from ..engine.fields import attr
from ..engine.resource import READY, Live, Mark, Resource, Scope, waiting
from ..engine.values import UNSET, Unset
from .api import Api
from .ec2 import RULES, canonical_cidr, cidr_problems, exactly, owned_by, retag, tag_specifications
from .marks import from_pairs, marks_of, own_tags
from .shapes import given

_ATTRIBUTES = {"dns_support": "EnableDnsSupport", "dns_hostnames": "EnableDnsHostnames"}


@dataclass(frozen=True, kw_only=True)
class Vpc(Resource):
    """A VPC, found by its tags; an existing one by its block and the tags described.

    CreateVpc knows neither a name nor a token, so its creation is noted in the journal.
    Cost of reading: pages of DescribeVpcs (filtered by the marks) + 2 · owned. Source: EC2 DescribeVpcs,
    DescribeVpcAttribute. Actions: ec2:DescribeVpcs, DescribeVpcAttribute, CreateVpc, ModifyVpcAttribute, CreateTags,
    DeleteTags, DeleteVpc.
    """

    kind = "aws.vpc"
    journal = True
    data_at_stake = "the network and everything in it"
    outputs: ClassVar[Mapping[str, str]] = {"cidr": "its IPv4 block"}

    cidr: str = attr("IPv4 block, such as 10.0.0.0/16", create_only=True, normalise=canonical_cidr)
    tenancy: Literal["default", "dedicated"] | Unset = attr(
        "default, or dedicated hardware for every instance", create_only=True, cleared="default", default=UNSET
    )
    dns_support: bool | Unset = attr("names resolve through Amazon's DNS server", cleared=True, default=UNSET)
    dns_hostnames: bool | Unset = attr("instances get public DNS names", cleared=False, default=UNSET)
    tags: dict[str, str | None] | Unset = attr("tags; null removes one", open_set=True, default=UNSET)

    @classmethod
    def read(cls, api: Api, scope: Scope) -> list[Live]:
        found = list(api.pages("ec2", "DescribeVpcs", "Vpcs", Filters=owned_by(scope)))
        return api.each(lambda item: _live(api, item), found)

    @classmethod
    def get(cls, api: Api, live_id: str, scope: Scope) -> Live | None:
        answer = api.call("ec2", "DescribeVpcs", VpcIds=[live_id], rules=RULES, done=Category.ABSENT)
        return next((_live(api, item) for item in answer.get("Vpcs", ())), None)

    def find(self, api: Api) -> Live | None:
        filters = exactly({"cidr": canonical_cidr(self.cidr)}, self.tags)
        found = list(api.pages("ec2", "DescribeVpcs", "Vpcs", Filters=filters))
        if len(found) > 1:
            ids = ", ".join(sorted(item["VpcId"] for item in found))
            raise InvalidDescription(f"{self.address}: {ids} all fit; describe tags that only one of them has.")
        return _live(api, found[0]) if found else None

    def create(self, api: Api, mark: Mark) -> str:
        answer = api.call(
            "ec2",
            "CreateVpc",
            CidrBlock=self.cidr,
            InstanceTenancy=given(self.tenancy),
            TagSpecifications=tag_specifications("vpc", mark, self.tags),
            rules=RULES,
            repeatable=False,
        )
        return str(answer["Vpc"]["VpcId"])

    def update(self, api: Api, live: Live, change: Any) -> None:
        for name, attribute in _ATTRIBUTES.items():  # the API takes one attribute a call
            if name in change.fields:
                how: dict[str, Any] = {attribute: {"Value": change.fields[name][1]}}
                api.call("ec2", "ModifyVpcAttribute", VpcId=live.id, rules=RULES, **how)
        retag(api, live, change)

    @classmethod
    def delete(cls, api: Api, live: Live) -> None:
        api.call("ec2", "DeleteVpc", VpcId=live.id, rules=RULES)

    def problems(self) -> Iterable[str]:
        yield from cidr_problems("cidr", self.cidr, version=4)
        size = str(self.cidr).rpartition("/")[2]
        if size.isdigit() and not 16 <= int(size) <= 28:
            yield f"cidr is a /{size}; /16 to /28 is possible."


def _live(api: Api, item: Mapping[str, Any]) -> Live:
    attributes = {name: _attribute(api, item["VpcId"], attribute) for name, attribute in _ATTRIBUTES.items()}
    return vpc_from_api(item, attributes)


def _attribute(api: Api, vpc_id: str, attribute: str) -> bool:
    request = attribute[0].lower() + attribute[1:]
    answer = api.call("ec2", "DescribeVpcAttribute", VpcId=vpc_id, Attribute=request, rules=RULES, done=Category.ABSENT)
    return bool(answer.get(attribute, {}).get("Value"))


def vpc_from_api(item: Mapping[str, Any], attributes: Mapping[str, bool]) -> Live:
    """A VPC as DescribeVpcs shows it, with its DNS attributes."""
    tags = from_pairs(item.get("Tags"))
    return Live(
        id=item["VpcId"],
        fields={"cidr": item["CidrBlock"], "tenancy": item["InstanceTenancy"], **attributes, "tags": own_tags(tags)},
        outputs={"cidr": item["CidrBlock"]},
        readiness=READY if item["State"] == "available" else waiting(item["State"]),
        **marks_of(tags),
    )
