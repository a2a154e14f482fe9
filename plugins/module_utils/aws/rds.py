"""What the RDS kinds share: errors and tags. Source: RDS API reference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..engine.calls import Rule
from ..engine.errors import Category
from ..engine.resource import Live
from .api import Api
from .marks import pairs, tag_changes
from .rules import rules

# A change of an instance may take half an hour, and the next one has to wait for it.
WAITS = 15

RULES: tuple[Rule, ...] = (
    *rules(Category.EXISTS, "DBInstanceAlreadyExists", "DBSubnetGroupAlreadyExists"),
    *rules(Category.ABSENT, "DBInstanceNotFound", "DBInstanceNotFoundFault", "DBSubnetGroupNotFoundFault"),
    *rules(Category.ABSENT, "InvalidDBInstanceState", operation="DeleteDBInstance", message="already being deleted"),
    *rules(Category.WAIT, "InvalidDBInstanceState", "InvalidDBSubnetGroupStateFault"),
    # A subnet group or a role made a moment ago is not known everywhere yet.
    *rules(Category.WAIT, "DBSubnetGroupNotFoundFault", operation="CreateDBInstance"),
    *rules(Category.WAIT, "InvalidParameterValue", message="role", operation="CreateDBInstance"),
    *rules(
        Category.FATAL,
        "InvalidParameterCombination",
        operation="DeleteDBInstance",
        message="protect",
        remedy="Set deletion_protection: false and converge first.",
    ),
    *rules(
        Category.FATAL,
        "InstanceQuotaExceeded",
        "StorageQuotaExceeded",
        "DBSubnetGroupQuotaExceeded",
        remedy="A quota of the account is used up: ask for a higher one.",
    ),
    *rules(
        Category.FATAL,
        "InsufficientDBInstanceCapacity",
        remedy="AWS has none of this class there now: try another zone or class.",
    ),
)


def retag(api: Api, live: Live, change: Any, further: Mapping[str, str | None] | None = None) -> None:
    """Writes what `change` says about tags and marks, and `further` ones (None removes one). `live.id` is an ARN."""
    write, remove = tag_changes(change)
    for key, value in (further or {}).items():
        if value is None:
            remove.append(key)
        else:
            write[key] = value
    if write:
        api.call("rds", "AddTagsToResource", ResourceName=live.id, Tags=pairs(write), rules=RULES)
    if remove:
        api.call("rds", "RemoveTagsFromResource", ResourceName=live.id, TagKeys=remove, rules=RULES)
