"""Route tables with their routes and the subnets that use them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

from ..engine.errors import Category
from ..engine.fields import attr
from ..engine.resource import Live, Mark, Resource, Scope
from ..engine.values import UNSET, Reference, Unset
from .api import Api
from .ec2 import RULES, canonical_cidr, cidr_problems, owned_by, retag, tag_specifications
from .marks import from_pairs, marks_of, own_tags
from .shapes import given

# prefix of a target's id -> the parameter that takes it, in CreateRoute and in what DescribeRouteTables shows
_TARGETS = {
    "igw-": "GatewayId",
    "vgw-": "GatewayId",
    "nat-": "NatGatewayId",
    "eigw-": "EgressOnlyInternetGatewayId",
    "tgw-": "TransitGatewayId",
    "pcx-": "VpcPeeringConnectionId",
    "eni-": "NetworkInterfaceId",
    "cagw-": "CarrierGatewayId",
    "lgw-": "LocalGatewayId",
    "vpce-": "VpcEndpointId",
}


class Route(TypedDict):
    """`destination`: an IPv4 or IPv6 block. `target`: address of the resource that traffic goes to
    (aws.internet_gateway/main), or an id."""

    destination: str
    target: str


@dataclass(frozen=True, kw_only=True)
class RouteTable(Resource):
    """A route table, found by its tags. Its routes and its explicit associations are its own: closed sets.

    Not its own: the network's local route, propagated routes, and those that gateway endpoints add. A subnet that uses
    another table is moved here in one step. Its name is not unique, so its creation is noted in the journal. Cost of
    reading: pages of DescribeRouteTables (filtered by the marks). Source: EC2 DescribeRouteTables. Actions:
    ec2:DescribeRouteTables, CreateRouteTable, CreateRoute, ReplaceRoute, DeleteRoute, AssociateRouteTable,
    ReplaceRouteTableAssociation, DisassociateRouteTable, CreateTags, DeleteTags, DeleteRouteTable.
    """

    kind = "aws.route_table"
    journal = True

    vpc: str = attr("network it belongs to", refers_to="aws.vpc", create_only=True)
    routes: list[Route] | Unset = attr(
        "where traffic goes, besides the network itself", unordered=True, cleared=(), default=UNSET
    )
    subnets: list[str] | Unset = attr(
        "subnets that use it", refers_to="aws.subnet", unordered=True, cleared=(), default=UNSET
    )
    tags: dict[str, str | None] | Unset = attr("tags; null removes one", open_set=True, default=UNSET)

    @classmethod
    def link(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        linked = super().link(values)
        if values.get("routes"):
            linked["routes"] = [{**route, "target": _link_target(route["target"])} for route in values["routes"]]
        return linked

    @classmethod
    def read(cls, api: Api, scope: Scope) -> list[Live]:
        found = api.pages("ec2", "DescribeRouteTables", "RouteTables", Filters=owned_by(scope))
        return [route_table_from_api(item) for item in found]

    @classmethod
    def get(cls, api: Api, live_id: str, scope: Scope) -> Live | None:
        answer = api.call("ec2", "DescribeRouteTables", RouteTableIds=[live_id], rules=RULES, done=Category.ABSENT)
        return next((route_table_from_api(item) for item in answer.get("RouteTables", ())), None)

    def propose(self, api: Api | None, live: Live | None) -> Mapping[str, Any]:
        values = self.values()
        if values.get("routes"):
            values["routes"] = [
                {"destination": canonical_cidr(route["destination"]), "target": route["target"]}
                for route in values["routes"]
            ]
        return values

    def create(self, api: Api, mark: Mark) -> str:
        answer = api.call(
            "ec2",
            "CreateRouteTable",
            VpcId=self.vpc,
            ClientToken=mark.token,
            TagSpecifications=tag_specifications("route-table", mark, self.tags),
            rules=RULES,
            repeatable=False,
        )
        return str(answer["RouteTable"]["RouteTableId"])

    def update(self, api: Api, live: Live, change: Any) -> None:
        if "routes" in change.fields:
            _update_routes(api, live.id, *change.fields["routes"])
        if "subnets" in change.fields:
            before, after = (set(side or ()) for side in change.fields["subnets"])
            api.each(lambda subnet: _associate(api, live.id, subnet), sorted(after - before))
            api.each(lambda subnet: _disassociate(api, live.raw[subnet]), sorted(before - after))
        retag(api, live, change)

    @classmethod
    def delete(cls, api: Api, live: Live) -> None:
        api.each(lambda association: _disassociate(api, association), sorted(live.raw.values()))
        api.call("ec2", "DeleteRouteTable", RouteTableId=live.id, rules=RULES)

    def problems(self) -> Iterable[str]:
        routes: list[Route] = given(self.routes, [])
        for number, route in enumerate(routes):
            yield from cidr_problems(f"routes[{number}].destination", route["destination"])
        destinations = [canonical_cidr(route["destination"]) for route in routes]
        for twice in sorted({one for one in destinations if destinations.count(one) > 1}):
            yield f"routes: {twice} is there twice."


def _link_target(target: Any) -> Any:
    """An address becomes a reference; ids and markers stay as they are."""
    is_address = isinstance(target, str) and target.startswith("aws.") and "/" in target
    return Reference(target) if is_address else target


def _update_routes(api: Api, table: str, before: Any, after: Any) -> None:
    old = {route["destination"]: route["target"] for route in before or ()}
    new = {route["destination"]: route["target"] for route in after or ()}
    for destination, target in new.items():
        if old.get(destination) == target:
            continue
        operation = "ReplaceRoute" if destination in old else "CreateRoute"
        where = _destination(destination) | {_parameter(target): target}
        api.call("ec2", operation, RouteTableId=table, rules=RULES, done=Category.EXISTS, **where)
    for destination in sorted(old.keys() - new.keys()):
        where = _destination(destination)
        api.call("ec2", "DeleteRoute", RouteTableId=table, rules=RULES, done=Category.ABSENT, **where)


def _destination(cidr: str) -> dict[str, Any]:
    return {"DestinationIpv6CidrBlock" if ":" in cidr else "DestinationCidrBlock": cidr}


def _parameter(target: str) -> str:
    return next((name for prefix, name in _TARGETS.items() if target.startswith(prefix)), "GatewayId")


def _associate(api: Api, table: str, subnet: str) -> None:
    """Has `subnet` use `table`, taking it over from another one if need be: then in a single step, without a gap."""
    filters = [{"Name": "association.subnet-id", "Values": [subnet]}]
    for other in api.pages("ec2", "DescribeRouteTables", "RouteTables", Filters=filters):
        for association in other.get("Associations", ()):
            if association.get("SubnetId") == subnet:
                its_id = association["RouteTableAssociationId"]
                api.call("ec2", "ReplaceRouteTableAssociation", AssociationId=its_id, RouteTableId=table, rules=RULES)
                return
    api.call("ec2", "AssociateRouteTable", RouteTableId=table, SubnetId=subnet, rules=RULES, done=Category.EXISTS)


def _disassociate(api: Api, association: str) -> None:
    api.call("ec2", "DisassociateRouteTable", AssociationId=association, rules=RULES, done=Category.ABSENT)


def route_table_from_api(item: Mapping[str, Any]) -> Live:
    """A route table as DescribeRouteTables shows it; `raw` maps its subnets to their associations."""
    tags = from_pairs(item.get("Tags"))
    associations = {
        one["SubnetId"]: one["RouteTableAssociationId"]
        for one in item.get("Associations", ())
        if one.get("SubnetId")
        and one.get("AssociationState", {}).get("State") not in ("disassociating", "disassociated")
    }
    routes = [route for route in map(_route_from_api, item.get("Routes", ())) if route]
    return Live(
        id=item["RouteTableId"],
        fields={"vpc": item["VpcId"], "routes": routes, "subnets": sorted(associations), "tags": own_tags(tags)},
        refs=frozenset({item["VpcId"], *associations, *(route["target"] for route in routes)}),
        raw=associations,
        **marks_of(tags),
    )


def _route_from_api(route: Mapping[str, Any]) -> dict[str, str] | None:
    """One route of ours; None for the local one, a propagated one and a gateway endpoint's (a prefix list)."""
    destination = route.get("DestinationCidrBlock") or route.get("DestinationIpv6CidrBlock")
    target = next((route[name] for name in dict.fromkeys(_TARGETS.values()) if route.get(name)), "")
    if not destination or target == "local" or route.get("Origin") == "EnableVgwRoutePropagation":
        return None
    return {"destination": canonical_cidr(destination), "target": target}
