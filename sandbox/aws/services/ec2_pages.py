"""EC2: pages of Describe answers, which moto gives for a few operations only.

Source: Amazon EC2 API Reference, "Pagination": 5 to 1,000 results a page, not together with ids.
"""

from __future__ import annotations

from typing import Any

from ..bridge import ask
from ..errors import AwsError
from ..hooks import operation
from ..paging import page
from ..world import Call, World

# Operation -> list in its answer, id of an item, parameter that asks for ids.
_PAGED = {
    "DescribeVpcs": ("Vpcs", "VpcId", "VpcIds"),
    "DescribeSubnets": ("Subnets", "SubnetId", "SubnetIds"),
    "DescribeInternetGateways": ("InternetGateways", "InternetGatewayId", "InternetGatewayIds"),
    "DescribeRouteTables": ("RouteTables", "RouteTableId", "RouteTableIds"),
    "DescribeSecurityGroups": ("SecurityGroups", "GroupId", "GroupIds"),
    "DescribeSecurityGroupRules": ("SecurityGroupRules", "SecurityGroupRuleId", "SecurityGroupRuleIds"),
    "DescribeNetworkInterfaces": ("NetworkInterfaces", "NetworkInterfaceId", "NetworkInterfaceIds"),
}


@operation("ec2", *_PAGED)
def describe_in_pages(world: World, call: Call) -> dict[str, Any]:
    member, key, ids = _PAGED[call.name]
    limit = call.params.get("MaxResults")
    if limit is not None and call.params.get(ids):
        name = ids[0].lower() + ids[1:]
        raise AwsError(
            "InvalidParameterCombination", f"The parameter {name} cannot be used with the parameter maxResults", 400
        )
    paging = ("MaxResults", "NextToken", "DryRun")
    asked = {n: v for n, v in call.params.items() if n not in paging and v not in (None, [])}
    found = ask(call, "ec2", call.name, **asked).get(member, [])
    shown, token = page(
        found, lambda item: str(item[key]), int(limit or 1000), call.params.get("NextToken"), "InvalidNextToken"
    )
    return {member: shown, **({"NextToken": token} if token else {})}
