"""RDS snapshots by hand and the final one. They keep an instance's description, not its data."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ..errors import AwsError
from ..hooks import operation
from ..world import Call, World
from .rds_store import Described, Instance, Place, arn, rds_of, records, tag_list, tags_from

_COPIED = (
    "Engine", "EngineVersion", "AllocatedStorage", "AvailabilityZone", "MasterUsername", "LicenseModel",
    "StorageType", "KmsKeyId", "DbiResourceId", "InstanceCreateTime", "IAMDatabaseAuthenticationEnabled",
)


def take_snapshot(call: Call, place: Place, instance: Instance, name: str, tags: dict[str, str]) -> Described:
    """A snapshot of the instance under `name`. Raises DBSnapshotAlreadyExists."""
    name, described = name.lower(), instance.described
    if name in place.snapshots:
        raise AwsError("DBSnapshotAlreadyExists", f"Cannot create the snapshot because a snapshot with the identifier "
                       f"{name} already exists.", 400)
    snapshot = {
        "DBSnapshotIdentifier": name,
        "DBInstanceIdentifier": described["DBInstanceIdentifier"],
        "DBSnapshotArn": arn(call, "snapshot", name),
        "SnapshotType": "manual",
        "Status": "available",
        "PercentProgress": 100,
        "SnapshotCreateTime": datetime.now(UTC),
        "VpcId": described["DBSubnetGroup"]["VpcId"],
        "Port": described["_port"],
        "Encrypted": described["StorageEncrypted"],
        **{member: described[member] for member in _COPIED if member in described},
    }
    place.snapshots[name] = snapshot
    copied = place.tags.get(described["DBInstanceArn"], {}) if described["CopyTagsToSnapshot"] else {}
    place.tags[snapshot["DBSnapshotArn"]] = {**copied, **tags}
    return snapshot


def _shown(place: Place, snapshot: Described) -> Described:
    return {**snapshot, "TagList": tag_list(place.tags.get(snapshot["DBSnapshotArn"], {}))}


@operation("rds", "CreateDBSnapshot")
def create_snapshot(world: World, call: Call) -> dict[str, Any]:
    place, name = rds_of(world, call), call.params["DBInstanceIdentifier"]
    instance = place.instances.get(name.lower())
    if instance is None:
        raise AwsError("DBInstanceNotFound", f"DBInstance {name} not found.", 404)
    if instance.described["DBInstanceStatus"] != "available":
        raise AwsError("InvalidDBInstanceState", "Database instance is not in available state.", 400)
    made = take_snapshot(call, place, instance, call.params["DBSnapshotIdentifier"], tags_from(call))
    return {"DBSnapshot": _shown(place, made)}


@operation("rds", "DescribeDBSnapshots")
def describe_snapshots(world: World, call: Call) -> dict[str, Any]:
    place, params = rds_of(world, call), call.params
    name, source = params.get("DBSnapshotIdentifier"), params.get("DBInstanceIdentifier")
    found = [s for s in place.snapshots.values() if source in (None, "", s["DBInstanceIdentifier"])]
    if name:
        found = [s for s in found if s["DBSnapshotIdentifier"] == name.lower()]
        if not found:
            raise AwsError("DBSnapshotNotFound", f"DBSnapshot {name} not found.", 404)
    chosen, marker = records(call, found, "DBSnapshotIdentifier")
    return {"DBSnapshots": [_shown(place, s) for s in chosen], **marker}


@operation("rds", "DeleteDBSnapshot")
def delete_snapshot(world: World, call: Call) -> dict[str, Any]:
    place, name = rds_of(world, call), call.params["DBSnapshotIdentifier"].lower()
    if name not in place.snapshots:
        raise AwsError("DBSnapshotNotFound", f"DBSnapshot {name} not found.", 404)
    snapshot = place.snapshots.pop(name)
    place.tags.pop(snapshot["DBSnapshotArn"], None)
    return {"DBSnapshot": {**snapshot, "Status": "deleted"}}
