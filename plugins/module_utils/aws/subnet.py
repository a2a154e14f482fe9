"""Subnets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ..engine.errors import Category, InvalidDescription
from ..engine.fields import attr
from ..engine.resource import READY, Live, Mark, Resource, Scope, waiting
from ..engine.values import UNSET, Unset
from .api import Api
from .ec2 import RULES, canonical_cidr, cidr_problems, exactly, owned_by, retag, tag_specifications
from .marks import from_pairs, marks_of, own_tags


@dataclass(frozen=True, kw_only=True)
class Subnet(Resource):
    """A subnet, found by its tags; an existing one by its network, block and the tags described.

    Two subnets of a network cannot share addresses, so a repeated creation is noticed; a replacement with an
    overlapping block has to delete first. Cost of reading: pages of DescribeSubnets (filtered by the marks). Source:
    EC2 DescribeSubnets. Actions: ec2:DescribeSubnets, CreateSubnet, ModifySubnetAttribute, CreateTags, DeleteTags,
    DeleteSubnet.
    """

    kind = "aws.subnet"
    replace_order = "delete_first"
    outputs: ClassVar[Mapping[str, str]] = {"arn": "its ARN", "cidr": "its IPv4 block", "zone": "its availability zone"}

    vpc: str = attr("network it lies in", refers_to="aws.vpc", create_only=True)
    cidr: str = attr("IPv4 block inside the network's", create_only=True, normalise=canonical_cidr)
    zone: str = attr("availability zone, such as us-east-1a", create_only=True)
    public_ip: bool | Unset = attr("instances get a public address when they start", cleared=False, default=UNSET)
    tags: dict[str, str | None] | Unset = attr("tags; null removes one", open_set=True, default=UNSET)

    @classmethod
    def read(cls, api: Api, scope: Scope) -> list[Live]:
        return [
            subnet_from_api(item) for item in api.pages("ec2", "DescribeSubnets", "Subnets", Filters=owned_by(scope))
        ]

    @classmethod
    def get(cls, api: Api, live_id: str, scope: Scope) -> Live | None:
        answer = api.call("ec2", "DescribeSubnets", SubnetIds=[live_id], rules=RULES, done=Category.ABSENT)
        return next((subnet_from_api(item) for item in answer.get("Subnets", ())), None)

    def find(self, api: Api) -> Live | None:
        filters = exactly({"vpc-id": self.vpc, "cidr-block": canonical_cidr(self.cidr)}, self.tags)
        found = list(api.pages("ec2", "DescribeSubnets", "Subnets", Filters=filters))
        if len(found) > 1:
            raise InvalidDescription(f"{self.address}: several subnets fit; describe tags that only one of them has.")
        return subnet_from_api(found[0]) if found else None

    def create(self, api: Api, mark: Mark) -> str:
        answer = api.call(
            "ec2",
            "CreateSubnet",
            VpcId=self.vpc,
            CidrBlock=self.cidr,
            AvailabilityZone=self.zone,
            TagSpecifications=tag_specifications("subnet", mark, self.tags),
            rules=RULES,
            repeatable=False,
        )
        return str(answer["Subnet"]["SubnetId"])

    def update(self, api: Api, live: Live, change: Any) -> None:
        if "public_ip" in change.fields:
            value = {"Value": change.fields["public_ip"][1]}
            api.call("ec2", "ModifySubnetAttribute", SubnetId=live.id, MapPublicIpOnLaunch=value, rules=RULES)
        retag(api, live, change)

    @classmethod
    def delete(cls, api: Api, live: Live) -> None:
        api.call("ec2", "DeleteSubnet", SubnetId=live.id, rules=RULES)

    def order_of_replace(self, live: Live) -> Any:
        """A block that is free already allows the new subnet to come first."""
        same_network = live.fields.get("vpc") == self.vpc
        return "delete_first" if same_network and _overlap(live.fields.get("cidr"), self.cidr) else "create_first"

    def problems(self) -> Iterable[str]:
        return cidr_problems("cidr", self.cidr, version=4)


def _overlap(first: Any, second: Any) -> bool:
    import ipaddress

    try:
        return ipaddress.ip_network(first, strict=False).overlaps(ipaddress.ip_network(second, strict=False))
    except (ValueError, TypeError):
        return True


def subnet_from_api(item: Mapping[str, Any]) -> Live:
    """A subnet as DescribeSubnets shows it."""
    tags = from_pairs(item.get("Tags"))
    zone, cidr = item["AvailabilityZone"], item["CidrBlock"]
    return Live(
        id=item["SubnetId"],
        fields={
            "vpc": item["VpcId"],
            "cidr": cidr,
            "zone": zone,
            "public_ip": item["MapPublicIpOnLaunch"],
            "tags": own_tags(tags),
        },
        outputs={"arn": item["SubnetArn"], "cidr": cidr, "zone": zone},
        refs=frozenset({item["VpcId"]}),
        readiness=READY if item["State"] == "available" else waiting(item["State"]),
        **marks_of(tags),
    )
