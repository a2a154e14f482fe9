"""Route 53: caller references."""

from __future__ import annotations

from typing import Any

from ..bridge import backend
from ..errors import AwsError
from ..hooks import after, before
from ..services.route53_records import note_change
from ..world import Call, World
from .catalogue import quirk

REFERENCE = quirk(
    "route53-caller-reference",
    "Amazon Route 53 API Reference, CreateHostedZone: CallerReference, HostedZoneAlreadyExists",
    "A second CreateHostedZone with the caller reference of a zone that is there is refused; it makes no second "
    "zone and does not answer like the first call.",
)


@before("route53", "CreateHostedZone", quirk=REFERENCE)
def reference_is_new(world: World, call: Call) -> None:
    reference = call.params["CallerReference"]
    zones: dict[str, Any] = backend("route53", call.place).zones
    if any(zone.caller_reference == reference for zone in zones.values()):
        raise AwsError(
            "HostedZoneAlreadyExists", "A hosted zone has already been created with the specified caller reference.",
            409,
        )


@after("route53", "CreateHostedZone")
def change_can_be_followed(world: World, call: Call, result: dict[str, Any]) -> dict[str, Any]:
    return {**result, "ChangeInfo": note_change(world, call, None)}
