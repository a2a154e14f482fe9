"""Internet gateways."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..engine.errors import Category
from ..engine.fields import attr
from ..engine.resource import Live, Mark, Resource, Scope
from ..engine.values import UNSET, Unset
from .api import Api
from .ec2 import RULES, owned_by, retag, tag_specifications
from .marks import from_pairs, marks_of, own_tags


@dataclass(frozen=True, kw_only=True)
class InternetGateway(Resource):
    """An internet gateway with its attachment to a network, found by its tags.

    CreateInternetGateway knows neither a name nor a token, so its creation is noted in the journal; the attachment is
    made by the update that follows. Cost of reading: pages of DescribeInternetGateways (filtered by the marks). Source:
    EC2 DescribeInternetGateways. Actions: ec2:DescribeInternetGateways, CreateInternetGateway, AttachInternetGateway,
    DetachInternetGateway, CreateTags, DeleteTags, DeleteInternetGateway.
    """

    kind = "aws.internet_gateway"
    journal = True

    vpc: str = attr("network that it connects to the internet", refers_to="aws.vpc")
    tags: dict[str, str | None] | Unset = attr("tags; null removes one", open_set=True, default=UNSET)

    @classmethod
    def read(cls, api: Api, scope: Scope) -> list[Live]:
        found = api.pages("ec2", "DescribeInternetGateways", "InternetGateways", Filters=owned_by(scope))
        return [internet_gateway_from_api(item) for item in found]

    @classmethod
    def get(cls, api: Api, live_id: str, scope: Scope) -> Live | None:
        answer = api.call(
            "ec2", "DescribeInternetGateways", InternetGatewayIds=[live_id], rules=RULES, done=Category.ABSENT
        )
        return next((internet_gateway_from_api(item) for item in answer.get("InternetGateways", ())), None)

    def create(self, api: Api, mark: Mark) -> str:
        answer = api.call(
            "ec2",
            "CreateInternetGateway",
            TagSpecifications=tag_specifications("internet-gateway", mark, self.tags),
            rules=RULES,
            repeatable=False,
        )
        return str(answer["InternetGateway"]["InternetGatewayId"])

    def update(self, api: Api, live: Live, change: Any) -> None:
        if "vpc" in change.fields:
            before, after = change.fields["vpc"]
            if before:
                _detach(api, live.id, before)
            api.call(
                "ec2",
                "AttachInternetGateway",
                InternetGatewayId=live.id,
                VpcId=after,
                rules=RULES,
                done=Category.EXISTS,
            )
        retag(api, live, change)

    @classmethod
    def delete(cls, api: Api, live: Live) -> None:
        if live.fields["vpc"]:
            _detach(api, live.id, live.fields["vpc"])
        api.call("ec2", "DeleteInternetGateway", InternetGatewayId=live.id, rules=RULES)


def _detach(api: Api, gateway: str, vpc: str) -> None:
    api.call("ec2", "DetachInternetGateway", InternetGatewayId=gateway, VpcId=vpc, rules=RULES, done=Category.ABSENT)


def internet_gateway_from_api(item: Mapping[str, Any]) -> Live:
    """An internet gateway as DescribeInternetGateways shows it; `vpc` is None while it is attached to none."""
    tags = from_pairs(item.get("Tags"))
    attached = [
        one["VpcId"] for one in item.get("Attachments", ()) if one.get("State") not in ("detaching", "detached")
    ]
    return Live(
        id=item["InternetGatewayId"],
        fields={"vpc": attached[0] if attached else None, "tags": own_tags(tags)},
        refs=frozenset(attached),
        **marks_of(tags),
    )
