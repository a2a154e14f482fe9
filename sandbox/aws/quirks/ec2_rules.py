"""Limits of EC2 and what it refuses."""

from __future__ import annotations

import functools
import re
from typing import Any

from ..bridge import backend
from ..errors import AwsError
from ..hooks import before
from ..protocol import operation_model
from ..world import Call, World
from .catalogue import quirk
from .read_lag import NOT_FOUND

QUOTAS = quirk(
    "ec2-vpc-quotas",
    "Amazon VPC User Guide, 'Amazon VPC quotas': VPCs per Region, Internet gateways per Region",
    "A region holds five VPCs and five internet gateways: VpcLimitExceeded, InternetGatewayLimitExceeded.",
)
IDS = quirk(
    "ec2-malformed-ids",
    "Amazon EC2 API Reference, 'Error codes': InvalidVpcID.Malformed and its like",
    "An id that has not the form of its kind is malformed, not missing.",
)
FILTERS = quirk(
    "ec2-unknown-filters",
    "Amazon EC2 API Reference, the filters of each Describe operation; 'Error codes': InvalidParameterValue",
    "A filter that the operation does not document is refused, also when there is nothing to filter.",
)
_VPCS = 5
_ID_PARAMETERS = {
    "VpcId": "vpc", "VpcIds": "vpc", "SubnetId": "subnet", "SubnetIds": "subnet", "InternetGatewayId": "igw",
    "InternetGatewayIds": "igw", "RouteTableId": "rtb", "RouteTableIds": "rtb",
}


@functools.cache
def _documented_filters(operation: str) -> frozenset[str]:
    """The filter names in the model's own description of the operation's parameter Filters."""
    shape = operation_model("ec2", operation).input_shape
    member = shape.members.get("Filters") if shape is not None else None
    text = str(member.documentation) if member is not None else ""
    return frozenset(re.findall(r"<code>([a-z][a-z0-9.-]*)</code>", text))


@before("ec2", "*", quirk=FILTERS)
def filters_are_documented(world: World, call: Call) -> None:
    for each in call.params.get("Filters") or []:
        known = _documented_filters(call.name)
        if known and each["Name"] not in known and not each["Name"].startswith("tag:"):
            raise AwsError("InvalidParameterValue", f"The filter '{each['Name']}' is invalid", 400)


@before("ec2", "CreateVpc", quirk=QUOTAS)
def five_vpcs(world: World, call: Call) -> None:
    if len(backend("ec2", call.place).vpcs) >= _VPCS:
        raise AwsError("VpcLimitExceeded", "The maximum number of VPCs has been reached.", 400)


@before("ec2", "CreateInternetGateway", quirk=QUOTAS)
def five_gateways(world: World, call: Call) -> None:
    if len(backend("ec2", call.place).internet_gateways) >= _VPCS:
        raise AwsError(
            "InternetGatewayLimitExceeded", "The maximum number of internet gateways has been reached.", 400
        )


@before("ec2", "*", quirk=IDS)
def ids_have_their_form(world: World, call: Call) -> None:
    for name, prefix in _ID_PARAMETERS.items():
        value: Any = call.params.get(name)
        for each in [value] if isinstance(value, str) else value or []:
            if not re.fullmatch(rf"{prefix}-(?:[0-9a-f]{{8}}|[0-9a-f]{{17}})", each):
                code = NOT_FOUND[prefix][0].replace(".NotFound", ".Malformed")
                raise AwsError(code, f'Invalid id: "{each}" (expecting "{prefix}-...")', 400)
