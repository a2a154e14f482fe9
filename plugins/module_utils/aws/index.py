"""All AWS kinds, imported statically: what is packed for another host holds only what static imports name."""

from __future__ import annotations

from ..engine.resource import Resource
from .db_instance import DbInstance
from .db_subnet_group import DbSubnetGroup
from .ecr_repository import EcrRepository
from .eks_cluster import EksCluster
from .eks_nodegroup import EksNodegroup
from .hosted_zone import HostedZone
from .iam_role import IamRole
from .image import Image
from .internet_gateway import InternetGateway
from .record import Record
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
    IamRole,
    EcrRepository,
    EksCluster,
    EksNodegroup,
    DbSubnetGroup,
    DbInstance,
    HostedZone,
    Record,
    Image,
)

KINDS: dict[str, type[Resource]] = {cls.kind: cls for cls in _CLASSES}
