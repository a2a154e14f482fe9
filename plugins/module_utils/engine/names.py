"""Physical names and tokens: readable, unique, and the same from any machine."""

from __future__ import annotations

import hashlib
import json
import re

from .resource import Mark, Resource
from .values import plain

_HASH_LENGTH = 6


def physical_name(resource: Resource, region: str, instead_of: str = "") -> str:
    """`<stack>-<name>-<6 hex of region and create-only fields>`, cut to the kind's limit with the hash kept.

    The hash is over the description itself (references by address), so the name is known on an empty account.
    Kinds whose name people see have no hash. `instead_of`: id of a live one that bears this very name, so that its
    successor, described the same, gets another.
    """
    stem = re.sub(r"[^a-z0-9-]+", "-", f"{resource.meta.owner}-{resource.address.partition('/')[2]}".lower())
    if resource.name_seen:
        return stem[: resource.name_limit].rstrip("-")
    schema = resource.schema()
    fixed = {name: plain(value) for name, value in resource.values().items() if schema[name].create_only}
    text = json.dumps([region, fixed, *([instead_of] if instead_of else [])], sort_keys=True, default=str)
    tail = hashlib.sha256(text.encode()).hexdigest()[:_HASH_LENGTH]
    return f"{stem[: resource.name_limit - _HASH_LENGTH - 1].rstrip('-')}-{tail}"


def mark_for(resource: Resource, region: str, token: str, instead_of: str = "") -> Mark:
    """The marks that make `resource` its stack's own."""
    return Mark(
        stack=resource.meta.owner,
        address=resource.address,
        component=resource.meta.component,
        name=physical_name(resource, region, instead_of),
        token=token,
        protect=resource.protect,
    )
