"""All AWS kinds, imported statically: what is packed for another host holds only what static imports name."""

from __future__ import annotations

from ..engine.resource import Resource
from .internet_gateway import InternetGateway
from .route_table import RouteTable
from .security_group import SecurityGroup
from .subnet import Subnet
from .vpc import Vpc

_CLASSES: tuple[type[Resource], ...] = (
    Vpc,
    Subnet,
    InternetGateway,
    RouteTable,
    SecurityGroup,
)

KINDS: dict[str, type[Resource]] = {cls.kind: cls for cls in _CLASSES}
