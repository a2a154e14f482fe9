"""Whose a DNS record is: a TXT record of its own says so, written in the same change as the record itself.

All of a zone's stand together under `_capstan.<zone>`, so that one list call finds them however large the zone is:
the A record of www.example.com is registered at a.www._capstan.example.com. Pure.
"""

from __future__ import annotations

import hashlib
import re
import urllib.parse
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from .route53 import plain_name

LABEL = "_capstan"
TTL_S = 300
_HERITAGE = "capstan"
_STRING = 255  # longest single string of a TXT record


@dataclass(frozen=True)
class Entry:
    """What the registry says about one record."""

    name: str
    type: str
    set_identifier: str
    stack: str
    address: str
    component: str
    protect: bool = False


def registry_root(zone: str) -> str:
    """Under which the entries of `zone` (its domain) stand."""
    return f"{LABEL}.{zone}"


def registry_name(zone: str, name: str, kind: str, set_identifier: str) -> str:
    """Where the entry of a record stands. Several records of one name and type differ by a hash of their identifier."""
    label = kind.lower()
    if set_identifier:
        label += "-" + hashlib.sha256(set_identifier.encode()).hexdigest()[:8]
    inside = plain_name(name).removesuffix(zone).rstrip(".").replace("*", "_any")
    return ".".join(part for part in (label, inside, registry_root(zone)) if part)


def to_record(zone: str, entry: Entry) -> dict[str, Any]:
    """The TXT record set that holds `entry`."""
    facts = {"heritage": _HERITAGE} | {key: str(value) for key, value in asdict(entry).items()}
    text = urllib.parse.urlencode(facts)
    strings = [text[start : start + _STRING] for start in range(0, len(text), _STRING)]
    return {
        "Name": registry_name(zone, entry.name, entry.type, entry.set_identifier),
        "Type": "TXT",
        "TTL": TTL_S,
        "ResourceRecords": [{"Value": " ".join(f'"{string}"' for string in strings)}],
    }


def from_record(item: Mapping[str, Any]) -> Entry | None:
    """The entry in a TXT record set; None when it is something else."""
    values = [one["Value"] for one in item.get("ResourceRecords", ())]
    if item.get("Type") != "TXT" or len(values) != 1:
        return None
    facts = dict(urllib.parse.parse_qsl("".join(re.findall(r'"([^"]*)"', values[0])), keep_blank_values=True))
    if facts.pop("heritage", "") != _HERITAGE:
        return None
    try:
        return Entry(**{**facts, "protect": facts.get("protect") == "True"})  # type: ignore[arg-type]
    except TypeError:
        return None
