"""RDS: which PostgreSQL versions there are."""

from __future__ import annotations

from typing import Any

from ..hooks import operation
from ..world import Call, World
from .rds_store import bad_combination, bad_value, records

# Oldest first; the first of a major is no longer offered for new instances by the real service, here all are.
MINORS = {
    "13": ("13.20", "13.21", "13.22"),
    "14": ("14.17", "14.18", "14.19"),
    "15": ("15.10", "15.12", "15.13", "15.14"),
    "16": ("16.8", "16.9", "16.10"),
    "17": ("17.4", "17.5", "17.6"),
}
DEFAULT_VERSION = "17.6"
ENGINE = "postgres"


def order(version: str) -> tuple[int, ...]:
    """A sort key: "15.10" comes after "15.9"."""
    return tuple(int(part) for part in version.split("."))


def full_version(wanted: str | None) -> str:
    """The version an instance gets: `wanted` itself, or the newest of a major. Raises InvalidParameterCombination."""
    if not wanted:
        return DEFAULT_VERSION
    if wanted in MINORS:
        return MINORS[wanted][-1]
    if wanted in MINORS.get(wanted.split(".")[0], ()):
        return wanted
    raise bad_combination(f"Cannot find version {wanted} for {ENGINE}")


def upgrade_targets(version: str) -> list[str]:
    """Every newer minor of the same major, and the newest minor of each later major."""
    major = version.split(".", maxsplit=1)[0]
    minors = [v for v in MINORS[major] if order(v) > order(version)]
    return minors + [MINORS[m][-1] for m in MINORS if int(m) > int(major)]


@operation("rds", "DescribeDBEngineVersions")
def describe_engine_versions(world: World, call: Call) -> dict[str, Any]:
    params = call.params
    if params.get("Engine") not in (None, "", ENGINE):
        raise bad_value(f"Unrecognized engine name: {params['Engine']}")
    wanted, family = params.get("EngineVersion"), params.get("DBParameterGroupFamily")
    versions = [v for minors in MINORS.values() for v in minors]
    if wanted:
        versions = [v for v in versions if v == wanted or v.split(".")[0] == wanted]
    if params.get("DefaultOnly"):
        versions = [full_version(wanted)]
    described = [_described(v) for v in versions]
    chosen, marker = records(call, [d for d in described if family in (None, "", d["DBParameterGroupFamily"])], "_key")
    return {"DBEngineVersions": chosen, **marker}


def _described(version: str) -> dict[str, Any]:
    major = version.split(".", maxsplit=1)[0]
    return {
        "_key": ".".join(f"{part:04}" for part in order(version)),
        "Engine": ENGINE,
        "EngineVersion": version,
        "MajorEngineVersion": major,
        "DBParameterGroupFamily": f"{ENGINE}{major}",
        "DBEngineDescription": "PostgreSQL",
        "DBEngineVersionDescription": f"PostgreSQL {version}-R1",
        "ValidUpgradeTarget": [
            {"Engine": ENGINE, "EngineVersion": v, "Description": f"PostgreSQL {v}-R1",
             "AutoUpgrade": v == MINORS[major][-1], "IsMajorVersionUpgrade": v.split(".")[0] != major}
            for v in upgrade_targets(version)
        ],
        "ExportableLogTypes": ["postgresql", "upgrade"],
        "SupportsLogExportsToCloudwatchLogs": True,
        "SupportsReadReplica": True,
        "Status": "available",
    }
