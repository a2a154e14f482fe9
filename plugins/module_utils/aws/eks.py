"""What the EKS kinds share: errors, tags, and updates that have to wait for each other. Source: EKS API reference."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Set
from typing import Any

from ..engine.calls import Rule
from ..engine.errors import Category
from ..engine.resource import READY, Live, Readiness, deleting, failed, waiting
from .api import Api
from .marks import tag_changes
from .rules import rules

_FRESH_ROLE = "InvalidParameterException"
# Somebody else's update may be under way: it is waited for so many times as long as for anything else.
WAITS = 5

RULES: tuple[Rule, ...] = (
    *rules(Category.EXISTS, "ResourceInUseException", operation="CreateCluster"),
    *rules(Category.EXISTS, "ResourceInUseException", operation="CreateNodegroup"),
    *rules(Category.EXISTS, "ResourceInUseException", operation="CreateAccessEntry"),
    *rules(Category.WAIT, "ResourceInUseException"),
    *rules(Category.WAIT, "InvalidRequestException", message="updates in progress"),
    *rules(Category.WAIT, "InvalidRequestException", message="active", operation="CreateNodegroup"),
    # A role made a moment ago is not known to EKS yet.
    *rules(Category.WAIT, _FRESH_ROLE, message="role provided in the request does not exist"),
    *rules(Category.WAIT, _FRESH_ROLE, message="could not be assumed", remedy="Does it trust the service?"),
    *rules(Category.WAIT, _FRESH_ROLE, message="principalarn", operation="CreateAccessEntry"),
    *rules(Category.ABSENT, "ResourceNotFoundException", "NotFoundException"),
    *rules(Category.FATAL, "ResourceLimitExceededException", remedy="A quota is used up: ask for a higher one."),
    *rules(
        Category.FATAL,
        "InvalidRequestException",
        operation="DeleteCluster",
        message="deletion protection",
        remedy="Set deletion_protection: false and converge first.",
    ),
)

_GOING = {"DELETING"}
_BROKEN = {"FAILED", "CREATE_FAILED", "DELETE_FAILED"}


def readiness(item: dict[str, Any]) -> Readiness:
    """Where a cluster or a node group stands, with the first of its health issues as the reason of a failure."""
    status = item["status"]
    if status in _GOING:
        return deleting(status)
    if status in _BROKEN:
        issues = [f"{issue.get('code', '')}: {issue.get('message', '')}" for issue in _issues(item)]
        return failed(". ".join([status, *issues[:1]]))
    return READY if status in ("ACTIVE", "DEGRADED") else waiting(status)


def _issues(item: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = item.get("health", {}).get("issues", [])
    return found


Update = tuple[Set[str], Callable[[], object]]  # the fields that it brings about, and the call


def first_of(updates: Iterable[Update]) -> set[str]:
    """Makes the first update; the fields of the others are left: EKS takes one update at a time."""
    everything = list(updates)
    for _unused, call in everything[:1]:
        call()
    return {name for fields, _unused in everything[1:] for name in fields}


def retag(api: Api, live: Live, change: Any) -> None:
    """Writes what `change` says about tags and marks. `live.id` is an ARN."""
    write, remove = tag_changes(change)
    if write:
        api.call("eks", "TagResource", resourceArn=live.id, tags=write, rules=RULES)
    if remove:
        api.call("eks", "UntagResource", resourceArn=live.id, tagKeys=remove, rules=RULES)


def name_of(arn: str) -> str:
    """The cluster's name in the ARN of a cluster or of a node group."""
    return arn.split("/")[1]
