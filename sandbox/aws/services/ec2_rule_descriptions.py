"""Descriptions of security group rules whose other side is a group: moto keeps them, and answers without them."""

from __future__ import annotations

from ..bridge import backend
from ..hooks import Result, after
from ..world import Call, World


@after("ec2", "DescribeSecurityGroupRules", "AuthorizeSecurityGroupIngress", "AuthorizeSecurityGroupEgress")
def described(world: World, call: Call, result: Result) -> Result:
    for rule in result.get("SecurityGroupRules") or []:
        group = backend("ec2", call.place).get_security_group_from_id(rule["GroupId"])
        kept = [*group.ingress_rules, *group.egress_rules] if group else []
        sources = [each.source_group or {} for each in kept if each.id == rule["SecurityGroupRuleId"]]
        for text in (source.get("Description") for source in sources):
            if text:
                rule["Description"] = text
    return result
