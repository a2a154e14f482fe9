"""RDS: what the sandbox remembers, and what its operations share. Instances, subnet groups and snapshots are the
sandbox's own, since moto's have no states and no pending changes; parameter and option groups stay moto's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sandbox.paths import paths_from

from ..bridge import ask
from ..errors import AwsError
from ..hooks import operation
from ..paging import page
from ..postgres import PostgresServers
from ..world import Call, World

Described = dict[str, Any]


@dataclass
class Instance:
    """A database instance. `described` has the shape of DescribeDBInstances; `password` is the master's."""

    described: Described
    password: str = field(repr=False)
    interfaces: list[str] = field(default_factory=list)
    generation: int = 0  # rises with each transition, so that one overtaken by another does nothing


@dataclass
class Place:
    """RDS of one account and region."""

    instances: dict[str, Instance] = field(default_factory=dict)
    subnet_groups: dict[str, Described] = field(default_factory=dict)
    snapshots: dict[str, Described] = field(default_factory=dict)
    tags: dict[str, dict[str, str]] = field(default_factory=dict)  # by ARN


class RdsStore:
    """RDS of all accounts, and the real servers behind it if there are any."""

    def __init__(self, world: World) -> None:
        self.places: dict[tuple[str, str], Place] = {}
        self.servers: PostgresServers | None = None
        settings = world.settings
        if settings.postgres_listen:
            self.servers = PostgresServers(settings.state / "rds", settings.postgres_listen, paths_from().cache)
            world.on_close(self.servers.close)


def rds_of(world: World, call: Call) -> Place:
    return world.store(RdsStore).places.setdefault(call.place, Place())


def servers_of(world: World) -> PostgresServers | None:
    return world.store(RdsStore).servers


def arn(call: Call, kind: str, name: str) -> str:
    """`kind` is "db", "subgrp" or "snapshot"."""
    return f"arn:aws:rds:{call.region}:{call.account}:{kind}:{name}"


def tag_list(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def tags_from(call: Call) -> dict[str, str]:
    return {tag["Key"]: tag.get("Value", "") for tag in call.params.get("Tags", [])}


def bad_value(message: str) -> AwsError:
    return AwsError("InvalidParameterValue", message, 400)


def bad_combination(message: str) -> AwsError:
    return AwsError("InvalidParameterCombination", message, 400)


def records(call: Call, items: Sequence[Described], key: str) -> tuple[list[Described], dict[str, str]]:
    """One page of a Describe answer, 20 to 100 records, and its Marker member if there is more."""
    limit = int(call.params.get("MaxRecords") or 100)
    if not 20 <= limit <= 100:
        raise bad_value(f"Invalid value {limit} for MaxRecords. Must be between 20 and 100")
    chosen, marker = page(
        items, lambda item: str(item[key]), limit, call.params.get("Marker"), "InvalidParameterValue"
    )
    return chosen, {"Marker": marker} if marker else {}


def _tags_of(world: World, call: Call) -> dict[str, str] | None:
    """The tags of the resource that ResourceName names; None when it is not one of the sandbox's own kinds."""
    name, place = call.params["ResourceName"], rds_of(world, call)
    kind = name.split(":")[5] if name.count(":") >= 6 else ""
    if kind not in ("db", "subgrp", "snapshot"):
        return None
    if name not in place.tags:
        fault = {"db": "DBInstanceNotFound", "subgrp": "DBSubnetGroupNotFoundFault", "snapshot": "DBSnapshotNotFound"}
        raise AwsError(fault[kind], f"No resource found for {name}", 404)
    return place.tags[name]


@operation("rds", "AddTagsToResource")
def add_tags(world: World, call: Call) -> dict[str, Any]:
    tags = _tags_of(world, call)
    if tags is None:
        return ask(call, "rds", "AddTagsToResource", **call.params)
    tags.update(tags_from(call))
    return {}


@operation("rds", "RemoveTagsFromResource")
def remove_tags(world: World, call: Call) -> dict[str, Any]:
    tags = _tags_of(world, call)
    if tags is None:
        return ask(call, "rds", "RemoveTagsFromResource", **call.params)
    for key in call.params["TagKeys"]:
        tags.pop(key, None)
    return {}


@operation("rds", "ListTagsForResource")
def list_tags(world: World, call: Call) -> dict[str, Any]:
    tags = _tags_of(world, call)
    return ask(call, "rds", "ListTagsForResource", **call.params) if tags is None else {"TagList": tag_list(tags)}
