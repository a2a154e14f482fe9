"""Subnet groups of RDS."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ..engine.errors import Category
from ..engine.fields import attr
from ..engine.resource import Live, Mark, Resource, Scope
from ..engine.values import UNSET, Unset
from .api import Api
from .marks import all_tags, from_pairs, is_ours, marks_of, name_prefixes, own_tags, pairs
from .rds import RULES, retag
from .shapes import given


@dataclass(frozen=True, kw_only=True)
class DbSubnetGroup(Resource):
    """A group of subnets that databases may lie in, found by the stack at the beginning of its name, then its tags.

    Cost of reading: pages of DescribeDBSubnetGroups + 1 for each whose name begins with the stack's
    (ListTagsForResource). Source: these. Actions: rds:DescribeDBSubnetGroups, ListTagsForResource,
    CreateDBSubnetGroup, ModifyDBSubnetGroup, AddTagsToResource, RemoveTagsFromResource, DeleteDBSubnetGroup.
    """

    kind = "aws.db_subnet_group"
    name_limit = 255
    outputs: ClassVar[Mapping[str, str]] = {"arn": "its ARN", "name": "its name"}

    subnets: list[str] = attr("its subnets, in two zones at least", refers_to="aws.subnet", unordered=True)
    description: str | Unset = attr("what it is for", default=UNSET)
    tags: dict[str, str | None] | Unset = attr("tags; null removes one", open_set=True, default=UNSET)

    @classmethod
    def read(cls, api: Api, scope: Scope) -> list[Live]:
        begins = name_prefixes(scope)
        listed = api.pages("rds", "DescribeDBSubnetGroups", "DBSubnetGroups", rules=RULES)
        candidates = [item for item in listed if item["DBSubnetGroupName"].startswith(begins)]
        tags = api.each(lambda item: _tags(api, item), candidates)
        found = zip(candidates, tags, strict=True)
        return [subnet_group_from_api(item, own) for item, own in found if is_ours(own, scope)]

    @classmethod
    def get(cls, api: Api, live_id: str, scope: Scope) -> Live | None:
        name = live_id.rpartition(":")[2]
        answer = api.call("rds", "DescribeDBSubnetGroups", DBSubnetGroupName=name, rules=RULES, done=Category.ABSENT)
        found = answer.get("DBSubnetGroups", ())
        return next((subnet_group_from_api(item, _tags(api, item)) for item in found), None)

    def create(self, api: Api, mark: Mark) -> str:
        answer = api.call(
            "rds",
            "CreateDBSubnetGroup",
            DBSubnetGroupName=mark.name,
            DBSubnetGroupDescription=given(self.description) or f"{mark.stack} {mark.address}",
            SubnetIds=self.subnets,
            Tags=pairs(all_tags(mark, self.tags)),
            rules=RULES,
            repeatable=False,
        )
        return str(answer["DBSubnetGroup"]["DBSubnetGroupArn"])

    def update(self, api: Api, live: Live, change: Any) -> None:
        if change.fields.keys() & {"subnets", "description"}:
            wanted = {**live.fields, **{name: after for name, (_before, after) in change.fields.items()}}
            api.call(
                "rds",
                "ModifyDBSubnetGroup",
                DBSubnetGroupName=live.outputs["name"],
                DBSubnetGroupDescription=wanted["description"],
                SubnetIds=wanted["subnets"],
                rules=RULES,
            )
        retag(api, live, change)

    @classmethod
    def delete(cls, api: Api, live: Live) -> None:
        api.call("rds", "DeleteDBSubnetGroup", DBSubnetGroupName=live.outputs["name"], rules=RULES)

    def predict(self, mark: Mark) -> Mapping[str, Any]:
        return {"name": mark.name}

    def problems(self) -> Iterable[str]:
        if isinstance(self.subnets, list) and len(self.subnets) < 2:
            yield "subnets needs two at least, in two zones."


def _tags(api: Api, item: Mapping[str, Any]) -> dict[str, str]:
    answer = api.call(
        "rds", "ListTagsForResource", ResourceName=item["DBSubnetGroupArn"], rules=RULES, done=Category.ABSENT
    )
    return from_pairs(answer.get("TagList"))


def subnet_group_from_api(item: Mapping[str, Any], tags: Mapping[str, str]) -> Live:
    """A group as DescribeDBSubnetGroups shows it, with its tags."""
    subnets = sorted(one["SubnetIdentifier"] for one in item["Subnets"])
    return Live(
        id=item["DBSubnetGroupArn"],
        name=item["DBSubnetGroupName"],
        fields={"subnets": subnets, "description": item["DBSubnetGroupDescription"], "tags": own_tags(tags)},
        outputs={"arn": item["DBSubnetGroupArn"], "name": item["DBSubnetGroupName"]},
        refs=frozenset(subnets),
        **marks_of(tags),
    )
