"""EKS: what the sandbox remembers, and what its operations share. moto's EKS is not used: it knows no transitions,
updates, access entries or add-ons."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ..bridge import ask
from ..errors import AwsError
from ..quirks.catalogue import quirk
from ..world import Call, World

Described = dict[str, Any]

IDEMPOTENCY = quirk(
    "eks-client-request-token",
    "Amazon EKS API Reference, CreateCluster, CreateNodegroup and others: clientRequestToken",
    "A create call repeated with the same clientRequestToken and parameters answers like the first one; with other "
    "parameters it is refused; without a token the second is a name conflict.",
)


@dataclass
class Cluster:
    """A cluster and all that lives in it. The dicts have the shapes of the Describe operations."""

    described: Described
    creator: str  # IAM principal that is cluster admin from the start
    nodegroups: dict[str, Described] = field(default_factory=dict)
    access: dict[str, Described] = field(default_factory=dict)
    policies: dict[str, dict[str, Described]] = field(default_factory=dict)
    addons: dict[str, Described] = field(default_factory=dict)
    updates: dict[str, tuple[str, Described]] = field(default_factory=dict)  # id -> (what it updates, update)
    interfaces: list[str] = field(default_factory=list)


class EksStore:
    """The clusters of all accounts, by (account, region) and name, and the client tokens seen."""

    def __init__(self, world: World) -> None:
        self.places: dict[tuple[str, str], dict[str, Cluster]] = {}
        self.tokens: dict[tuple[Any, ...], str] = {}

    def at(self, place: tuple[str, str]) -> dict[str, Cluster]:
        return self.places.setdefault(place, {})


def clusters_of(world: World, call: Call) -> dict[str, Cluster]:
    return world.store(EksStore).at(call.place)


def cluster_of(world: World, call: Call, key: str = "clusterName") -> Cluster:
    """The cluster that the parameter `key` names. Raises ResourceNotFoundException."""
    name = call.params[key]
    found = clusters_of(world, call).get(name)
    if found is None:
        raise not_found(f"No cluster found for name: {name}.")
    return found


def require_active(cluster: Cluster, doing: str) -> None:
    """Raises unless the cluster is ACTIVE."""
    status = cluster.described["status"]
    if status in ("CREATING", "DELETING", "FAILED"):
        raise AwsError("InvalidRequestException", f"Cannot {doing}: cluster {cluster.described['name']} is {status}.")
    if status != "ACTIVE":
        raise in_use(f"Cannot {doing}: cluster {cluster.described['name']} has an update in progress.")


def not_found(message: str) -> AwsError:
    return AwsError("ResourceNotFoundException", message, 404)


def in_use(message: str) -> AwsError:
    return AwsError("ResourceInUseException", message, 409)


def bad(message: str) -> AwsError:
    return AwsError("InvalidParameterException", message, 400)


def arn(call: Call, rest: str) -> str:
    return f"arn:aws:eks:{call.region}:{call.account}:{rest}"


def now() -> datetime:
    return datetime.now(UTC)


def repeated(world: World, call: Call, is_there: bool, name: str) -> bool:
    """Whether this create call made the thing `name`, which `is_there`, with the same client token and parameters.

    Raises InvalidParameterException when the token made it with other parameters.
    """
    token = call.params.get("clientRequestToken")
    if not token or not world.quirk(IDEMPOTENCY):
        return False
    content = hashlib.sha256(json.dumps(call.params, sort_keys=True, default=str).encode()).hexdigest()
    tokens, key = world.store(EksStore).tokens, (call.place, call.name, call.params.get("clusterName"), name, token)
    if not is_there:
        tokens[key] = content
        return False
    if key in tokens and tokens[key] != content:
        raise bad("The clientRequestToken was used before with other parameters.")
    return key in tokens


def start_update(
    world: World, cluster: Cluster, target: Described, what: str, kind: str, params: dict[str, Any],
    transition: str, apply: Callable[[], None],
) -> Described:
    """Begins an update of `target`: UPDATING until `transition` is over, then `apply` and ACTIVE; the update.

    `what` is "cluster", "nodegroup/<name>" or "addon/<name>"; `params` the update's parameters as EKS names them.
    """
    update: Described = {
        "id": str(uuid.uuid4()), "status": "InProgress", "type": kind, "createdAt": now(), "errors": [],
        "params": [
            {"type": name, "value": value if isinstance(value, str) else json.dumps(value)}
            for name, value in params.items()
        ],
    }
    target["status"] = "UPDATING"
    cluster.updates[update["id"]] = (what, update)

    def finish() -> None:
        apply()
        update["status"] = "Successful"
        if target["status"] == "UPDATING":
            target["status"] = "ACTIVE"

    world.clock.after(transition, finish)
    return update


def make_interfaces(call: Call, subnets: list[str], groups: list[str], description: str) -> list[str]:
    """One network interface in each subnet, as EKS puts there for itself; their ids."""
    made = []
    for subnet in subnets:
        interface = ask(
            call, "ec2", "CreateNetworkInterface", SubnetId=subnet, Groups=groups, Description=description
        )["NetworkInterface"]
        made.append(interface["NetworkInterfaceId"])
    return made


def drop_interfaces(world: World, place: tuple[str, str], interfaces: list[str]) -> None:
    """Removes interfaces after they lingered a while, as the real ones do."""

    def drop() -> None:
        for interface in interfaces:
            try:
                ask(place, "ec2", "DeleteNetworkInterface", NetworkInterfaceId=interface)
            except AwsError as error:
                if error.code != "InvalidNetworkInterfaceID.NotFound":
                    raise

    world.clock.after("eks.interfaces.lingering", drop)
