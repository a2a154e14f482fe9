"""Security groups with their rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ..engine.errors import Category, InvalidDescription
from ..engine.fields import attr
from ..engine.resource import Live, Mark, Resource, Scope
from ..engine.values import UNSET, Unset
from . import security_group_rules as wording
from .api import Api
from .ec2 import RULES, exactly, owned_by, retag, tag_specifications
from .marks import ADDRESS, STACK, from_pairs, marks_of, own_tags, pairs
from .security_group_rules import ITSELF, Rule
from .shapes import given, never_compared

_DIRECTIONS = {"ingress": "Ingress", "egress": "Egress"}
_GROUPS_A_CALL = 100  # EC2 takes 200 values a filter


@dataclass(frozen=True, kw_only=True)
class SecurityGroup(Resource):
    """A security group, found by its tags; an existing one by its network and the tags described.

    Its rules are tagged like itself, so ours and others' are told apart: others' are kept and listed, unless
    `exclusive` closes the set. A new group comes with AWS's rule that lets everything out, which counts as somebody
    else's. Cost of reading: pages of DescribeSecurityGroups (filtered by the marks) + pages of
    DescribeSecurityGroupRules for every 100 owned. Source: these two. Actions: ec2:DescribeSecurityGroups,
    DescribeSecurityGroupRules, CreateSecurityGroup, AuthorizeSecurityGroupIngress, AuthorizeSecurityGroupEgress,
    RevokeSecurityGroupIngress, RevokeSecurityGroupEgress, ModifySecurityGroupRules, CreateTags, DeleteTags,
    DeleteSecurityGroup.
    """

    kind = "aws.security_group"
    name_limit = 255
    outputs: ClassVar[Mapping[str, str]] = {"name": "its group name"}

    vpc: str = attr("network it belongs to", refers_to="aws.vpc", create_only=True)
    description: str | Unset = attr("what it is for", create_only=True, default=UNSET)
    ingress: list[Rule] | Unset = attr(
        "what may come in", unordered=True, open_set=True, closed_by="exclusive", cleared=(), default=UNSET
    )
    egress: list[Rule] | Unset = attr(
        "what may go out",
        unordered=True,
        open_set=True,
        closed_by="exclusive",
        usual=wording.is_default_egress,
        cleared=(),
        default=UNSET,
    )
    exclusive: bool | Unset = attr(
        "no other rules than these: others' are removed", normalise=never_compared, cleared=False, default=UNSET
    )
    tags: dict[str, str | None] | Unset = attr("tags; null removes one", open_set=True, default=UNSET)

    @classmethod
    def link(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        linked = super().link(values)
        for direction in _DIRECTIONS:
            if values.get(direction):
                linked[direction] = [wording.link_rule(rule) for rule in values[direction]]
        return linked

    @classmethod
    def read(cls, api: Api, scope: Scope) -> list[Live]:
        return _with_rules(api, api.pages("ec2", "DescribeSecurityGroups", "SecurityGroups", Filters=owned_by(scope)))

    @classmethod
    def get(cls, api: Api, live_id: str, scope: Scope) -> Live | None:
        answer = api.call("ec2", "DescribeSecurityGroups", GroupIds=[live_id], rules=RULES, done=Category.ABSENT)
        return next(iter(_with_rules(api, answer.get("SecurityGroups", ()))), None)

    def find(self, api: Api) -> Live | None:
        filters = exactly({"vpc-id": self.vpc, "description": self.description}, self.tags)
        found = list(api.pages("ec2", "DescribeSecurityGroups", "SecurityGroups", Filters=filters))
        if len(found) > 1:
            raise InvalidDescription(f"{self.address}: several groups fit; describe tags that only one of them has.")
        return next(iter(_with_rules(api, found)), None)

    def propose(self, api: Api | None, live: Live | None) -> Mapping[str, Any]:
        values = self.values()
        for direction in _DIRECTIONS:
            if values.get(direction):
                own = live.id if live else ITSELF
                values[direction] = [wording.canonical(rule, own) for rule in values[direction]]
        return values

    def create(self, api: Api, mark: Mark) -> str:
        answer = api.call(
            "ec2",
            "CreateSecurityGroup",
            GroupName=mark.name,
            Description=given(self.description) or f"{mark.stack} {mark.address}",
            VpcId=self.vpc,
            TagSpecifications=tag_specifications("security-group", mark, self.tags),
            rules=RULES,
            repeatable=False,
        )
        return str(answer["GroupId"])

    def update(self, api: Api, live: Live, change: Any) -> None:
        for direction in _DIRECTIONS:
            if direction in change.fields:
                _update_rules(api, live, direction, *change.fields[direction])
        retag(api, live, change)

    @classmethod
    def delete(cls, api: Api, live: Live) -> None:
        api.call("ec2", "DeleteSecurityGroup", GroupId=live.id, rules=RULES)

    def problems(self) -> Iterable[str]:
        for direction in _DIRECTIONS:
            for number, rule in enumerate(given(getattr(self, direction), [])):
                yield from wording.rule_problems(f"{direction}[{number}]", rule)


def _with_rules(api: Api, groups: Iterable[Mapping[str, Any]]) -> list[Live]:
    found = list(groups)
    rules: dict[str, list[Mapping[str, Any]]] = {item["GroupId"]: [] for item in found}
    batches = [list(rules)[start : start + _GROUPS_A_CALL] for start in range(0, len(rules), _GROUPS_A_CALL)]
    for batch in batches:
        filters = [{"Name": "group-id", "Values": batch}]
        for rule in api.pages("ec2", "DescribeSecurityGroupRules", "SecurityGroupRules", Filters=filters):
            rules[rule["GroupId"]].append(rule)
    return [security_group_from_api(item, rules[item["GroupId"]]) for item in found]


def _update_rules(api: Api, live: Live, direction: str, before: Any, after: Any) -> None:
    """Adds first, then removes, so that nothing is cut off in between; a description alone is changed in place."""
    ids: Mapping[tuple[Any, ...], str] = live.raw[direction]
    added = [rule for rule in after or () if rule not in (before or ())]
    removed = [rule for rule in before or () if rule not in (after or ())]
    renamed = [rule for rule in added if wording.identity(rule) in ids]
    kept = {wording.identity(rule) for rule in renamed}
    if fresh := [rule for rule in added if rule not in renamed]:
        _authorize(api, live, direction, fresh)
    if renamed:
        requests = [
            {"SecurityGroupRuleId": ids[wording.identity(rule)], "SecurityGroupRule": wording.to_request(rule)}
            for rule in renamed
        ]
        api.call("ec2", "ModifySecurityGroupRules", GroupId=live.id, SecurityGroupRules=requests, rules=RULES)
    if gone := [ids[wording.identity(rule)] for rule in removed if wording.identity(rule) not in kept]:
        operation = f"RevokeSecurityGroup{_DIRECTIONS[direction]}"
        api.call("ec2", operation, GroupId=live.id, SecurityGroupRuleIds=gone, rules=RULES, done=Category.ABSENT)


def _authorize(api: Api, live: Live, direction: str, fresh: list[dict[str, Any]]) -> None:
    """One call for all new rules: EC2 adds all of them or none. After a lost answer they are all there: Duplicate."""
    tags = [{"ResourceType": "security-group-rule", "Tags": pairs({STACK: live.owner, ADDRESS: live.address})}]
    api.call(
        "ec2",
        f"AuthorizeSecurityGroup{_DIRECTIONS[direction]}",
        GroupId=live.id,
        IpPermissions=[wording.to_permission(rule) for rule in fresh],
        TagSpecifications=tags,
        rules=RULES,
        done=Category.EXISTS,
    )


def security_group_from_api(item: Mapping[str, Any], rules: Iterable[Mapping[str, Any]]) -> Live:
    """A group as DescribeSecurityGroups shows it, with its rules. `raw`: direction -> identity of a rule -> its id."""
    tags = from_pairs(item.get("Tags"))
    marks = marks_of(tags)
    fields: dict[str, Any] = {"vpc": item.get("VpcId", ""), "description": item["Description"], "tags": own_tags(tags)}
    foreign: dict[str, tuple[Any, ...]] = {}
    ids: dict[str, dict[tuple[Any, ...], str]] = {}
    found = [(rule, wording.from_api(rule)) for rule in rules]
    for direction in _DIRECTIONS:
        here = [(rule, form) for rule, form in found if rule["IsEgress"] == (direction == "egress")]
        ours = [bool(marks["owner"]) and from_pairs(rule.get("Tags")).get(STACK) == marks["owner"] for rule, _x in here]
        fields[direction] = [form for (_unused, form), mine in zip(here, ours, strict=True) if mine]
        foreign[direction] = tuple(form for (_unused, form), mine in zip(here, ours, strict=True) if not mine)
        ids[direction] = {wording.identity(form): rule["SecurityGroupRuleId"] for rule, form in here}
    groups = {form["other"] for _unused, form in found if str(form["other"]).startswith("sg-")} - {item["GroupId"]}
    return Live(
        id=item["GroupId"],
        name=item["GroupName"],
        fields=fields,
        foreign=foreign,
        outputs={"name": item["GroupName"]},
        refs=frozenset({fields["vpc"], *groups}),
        raw=ids,
        **marks,
    )
