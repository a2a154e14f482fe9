"""EC2: an account begins without a default VPC, as one does where the default VPC was deleted."""

from __future__ import annotations

from typing import Any

from ..bridge import backend
from ..errors import AwsError
from ..hooks import before, prepare
from ..quirks.catalogue import quirk
from ..world import Call, World


class _Prepared:
    """The (account, region) pairs whose EC2 store was emptied."""

    def __init__(self, world: World) -> None:
        self.places: set[tuple[str, str]] = set()


NO_DEFAULT_VPC = quirk(
    "ec2-no-default-vpc",
    "Amazon VPC User Guide, 'Default VPCs': a default VPC can be deleted, and made again by CreateDefaultVpc",
    "An account begins without a default VPC.",
)


@prepare("ec2", "eks", "rds")
def without_default_vpc(world: World, call: Call) -> None:
    """moto begins with a default VPC; CreateDefaultVpc makes one for whoever wants it."""
    done = world.store(_Prepared)
    if call.place in done.places or not world.quirk(NO_DEFAULT_VPC):
        done.places.add(call.place)
        return
    done.places.add(call.place)
    store = backend("ec2", call.place)
    if not all(vpc.is_default for vpc in store.vpcs.values()):
        return
    store.vpcs.clear()
    for things in (store.subnets, store.route_tables, store.groups, store.network_acls, store.dhcp_options_sets):
        things.clear()


@before("ec2", "CreateSecurityGroup")
def security_group_needs_a_vpc(world: World, call: Call) -> None:
    if not call.params.get("VpcId") and not _has_default_vpc(call):
        raise AwsError("VPCIdNotSpecified", "No default VPC for this user. GroupName is only supported for "
                       "EC2-Classic and default VPC.", 400)


def _has_default_vpc(call: Call) -> bool:
    vpcs: Any = backend("ec2", call.place).vpcs
    return any(vpc.is_default for vpc in vpcs.values())
