"""Database instances of RDS."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ..engine.errors import Category
from ..engine.fields import attr
from ..engine.resource import READY, Live, Mark, Readiness, Resource, Scope, deleting, failed, waiting
from ..engine.values import UNSET, Secret, Unset, references_in
from . import db_instance_api as wording
from .api import Api
from .marks import all_tags, from_pairs, is_ours, marks_of, own_tags, pairs
from .rds import RULES, WAITS, retag
from .shapes import given, never_compared

_KEEPS_SNAPSHOT = "capstan:final-snapshot"
_PASSWORD_VERSION = "capstan:master-password-version"
_FAILOVER = "brief outage, or a failover when multi_az"
# What it is doing meanwhile, in use all the same.
_USABLE = {"available", "backing-up", "stopped", "storage-optimization", "storage-full", "configuring-log-exports"}
_BROKEN = ("failed", "inaccessible-encryption", "incompatible-", "insufficient-capacity", "restore-error")


@dataclass(frozen=True, kw_only=True)
class DbInstance(Resource):
    """A database instance, `<stack>-<name>`, found by its tags.

    RDS makes the master password, keeps it in Secrets Manager and rotates it; the outputs `master_password` and
    `master_secret` are read from there. One that is given instead cannot be read back: the version of its secret is
    noted in a tag, and another version (one that a user changes, or a new one in Secrets Manager) sets it anew.
    Modifications that RDS has accepted but not
    carried out yet count as done. Deleting it takes a final snapshot, unless `final_snapshot` is false (kept as a tag).
    Cost of reading: pages of DescribeDBInstances + 1 · owned (GetSecretValue). Source: these. Actions:
    rds:DescribeDBInstances, CreateDBInstance, ModifyDBInstance, AddTagsToResource, RemoveTagsFromResource,
    CreateDBSnapshot, DeleteDBInstance; secretsmanager:GetSecretValue, CreateSecret, TagResource; kms:DescribeKey,
    CreateGrant, Decrypt; iam:PassRole for a monitoring role, iam:CreateServiceLinkedRole once an account.
    """

    kind = "aws.db_instance"
    name_seen = True
    protected = True
    data_at_stake = "the database"
    ready_timeout_s = 3600.0
    visible_s = 300.0  # it says `available` for a while before it begins
    poll_s = (0.2, 10.0)
    disruption: ClassVar[Mapping[str, str]] = {
        "engine_version": _FAILOVER,
        "instance_class": _FAILOVER,
        "port": "restart",
        "parameter_group": "takes effect with the next restart",
        "storage_type": "slower while storage is optimised",
        "ca_certificate": "restart",
    }
    outputs: ClassVar[Mapping[str, str]] = {
        "arn": "its ARN",
        "name": "its identifier",
        "address": "host name that it is reached at",
        "port": "TCP port",
        "username": "name of the master user",
        "database": "name of the first database",
        "master_secret_arn": "ARN of the secret with the master password",
        "master_secret": "the whole secret: JSON with username and password",
        "master_password": "the master password alone",
        "resource_id": "id that IAM policies for database users name",
    }

    engine: str = attr("postgres, mysql …", create_only=True)
    engine_version: str | Unset = attr("15 accepts every 15.x", version_prefix=True, default=UNSET)
    instance_class: str = attr("size, such as db.t3.medium")
    storage_gib: int = attr("storage in GiB; it may only grow", floor=True)
    max_storage_gib: int | Unset = attr("storage in GiB up to which it grows by itself", default=UNSET)
    storage_type: str | Unset = attr("gp2, gp3, io1 or io2", default=UNSET)
    iops: int | Unset = attr("provisioned operations a second", default=UNSET)
    throughput: int | Unset = attr("provisioned throughput in MiB/s (gp3)", default=UNSET)
    encrypted: bool | Unset = attr("storage is encrypted", create_only=True, cleared=False, default=UNSET)
    kms_key: str | Unset = attr("ARN of the KMS key for it; unset: RDS's own", create_only=True, default=UNSET)
    database: str | Unset = attr("name of the first database", create_only=True, cleared=None, default=UNSET)
    username: str = attr("name of the master user", create_only=True)
    master_password: str | Unset = attr(
        "password of the master user; unset or null: RDS makes and keeps it", secret=True, cleared=None, default=UNSET
    )
    port: int | Unset = attr("TCP port", default=UNSET)
    subnet_group: str = attr("where it lies", refers_to="aws.db_subnet_group", output="name", create_only=True)
    security_groups: list[str] | Unset = attr(
        "who reaches it", refers_to="aws.security_group", unordered=True, default=UNSET
    )
    multi_az: bool | Unset = attr("a standby in a second zone", cleared=False, default=UNSET)
    zone: str | Unset = attr("zone to start in, without multi_az", initial=True, default=UNSET)
    public: bool | Unset = attr("it gets a public address", cleared=False, default=UNSET)
    parameter_group: str | Unset = attr("name of its parameter group", default=UNSET)
    ca_certificate: str | Unset = attr("certificate authority, such as rds-ca-rsa2048-g1", default=UNSET)
    backup_days: int | Unset = attr("days that automated backups are kept; 0: none", default=UNSET)
    backup_window: str | Unset = attr("daily, in UTC: 03:00-04:00", default=UNSET)
    maintenance_window: str | Unset = attr("weekly, in UTC: sun:04:30-sun:05:30", default=UNSET)
    auto_minor_upgrade: bool | Unset = attr(
        "minor versions are upgraded in the maintenance window", cleared=True, default=UNSET
    )
    copy_tags_to_snapshots: bool | Unset = attr("snapshots carry its tags", cleared=False, default=UNSET)
    iam_authentication: bool | Unset = attr("database users may sign in through IAM", cleared=False, default=UNSET)
    log_exports: list[str] | Unset = attr(
        "logs that go to CloudWatch: postgresql, upgrade", unordered=True, cleared=(), default=UNSET
    )
    monitoring_interval_s: int | Unset = attr("seconds between enhanced metrics; 0: none", cleared=0, default=UNSET)
    monitoring_role: str | Unset = attr(
        "role that writes enhanced metrics", refers_to="aws.iam_role", output="arn", default=UNSET
    )
    performance_insights: bool | Unset = attr("queries are sampled", cleared=False, default=UNSET)
    performance_insights_days: int | Unset = attr("days that samples are kept", default=UNSET)
    deletion_protection: bool | Unset = attr("RDS itself refuses to delete it", cleared=False, default=UNSET)
    final_snapshot: bool | Unset = attr("deleting it takes a snapshot first (default)", cleared=True, default=UNSET)
    apply_immediately: bool | Unset = attr(
        "false: changes wait for the maintenance window", normalise=never_compared, cleared=True, default=UNSET
    )
    tags: dict[str, str | None] | Unset = attr("tags; null removes one", open_set=True, default=UNSET)

    @classmethod
    def link(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        linked = super().link(values)
        if isinstance(linked.get("master_password"), str) and not any(references_in(linked["master_password"])):
            linked["master_password"] = Secret(linked["master_password"])
        return linked

    @classmethod
    def read(cls, api: Api, scope: Scope) -> list[Live]:
        listed = api.pages("rds", "DescribeDBInstances", "DBInstances", rules=RULES)
        owned = [item for item in listed if is_ours(from_pairs(item.get("TagList")), scope)]
        return api.each(lambda item: _live(api, item), owned)

    @classmethod
    def get(cls, api: Api, live_id: str, scope: Scope) -> Live | None:
        item = _described(api, live_id.rpartition(":")[2])
        return _live(api, item) if item else None

    def find(self, api: Api) -> Live | None:
        item = _described(api, self.address.partition("/")[2])
        return _live(api, item) if item else None

    def create(self, api: Api, mark: Mark) -> str:
        tags = all_tags(mark, self.tags)
        if given(self.final_snapshot) is False:
            tags[_KEEPS_SNAPSHOT] = "false"
        if version := _version(self.master_password):
            tags[_PASSWORD_VERSION] = version
        answer = api.call(
            "rds",
            "CreateDBInstance",
            DBInstanceIdentifier=mark.name,
            Tags=pairs(tags),
            rules=RULES,
            repeatable=False,
            **wording.creation(self.values()),
        )
        return str(answer["DBInstance"]["DBInstanceArn"])

    def update(self, api: Api, live: Live, change: Any) -> None:
        further: dict[str, str | None] = {}
        if "final_snapshot" in change.fields:
            further[_KEEPS_SNAPSHOT] = "false" if change.fields["final_snapshot"][1] is False else None
        if "master_password" in change.fields:
            further[_PASSWORD_VERSION] = _version(change.fields["master_password"][1])
        params = wording.modification(change.fields)
        if params:
            api.call(
                "rds",
                "ModifyDBInstance",
                DBInstanceIdentifier=live.outputs["name"],
                ApplyImmediately=given(self.apply_immediately, True),
                rules=RULES,
                waits=WAITS,
                **params,
            )
        retag(api, live, change, further)  # last: a noted version says that the password is set

    @classmethod
    def delete(cls, api: Api, live: Live) -> None:
        name = live.outputs["name"]
        how: dict[str, Any] = {"SkipFinalSnapshot": True}
        if live.fields["final_snapshot"]:
            snapshot = f"{name}-final-{live.outputs['resource_id'].lower()}"
            how = {"SkipFinalSnapshot": False, "FinalDBSnapshotIdentifier": snapshot}
        api.call("rds", "DeleteDBInstance", DBInstanceIdentifier=name, rules=RULES, waits=WAITS, **how)

    def predict(self, mark: Mark) -> Mapping[str, Any]:
        known = {"name": mark.name, "username": self.username}
        return known | {name: value for name in ("database", "port") if (value := given(getattr(self, name)))}

    def problems(self) -> Iterable[str]:
        if given(self.multi_az) and given(self.zone):
            yield "zone cannot be chosen with multi_az: RDS chooses both."
        most = given(self.max_storage_gib)
        if most is not None and most < self.storage_gib:
            yield f"max_storage_gib ({most}) is less than storage_gib ({self.storage_gib})."
        if given(self.monitoring_interval_s) and not given(self.monitoring_role):
            yield "monitoring_interval_s needs monitoring_role."


def _described(api: Api, name: str) -> Mapping[str, Any] | None:
    answer = api.call("rds", "DescribeDBInstances", DBInstanceIdentifier=name, rules=RULES, done=Category.ABSENT)
    return next(iter(answer.get("DBInstances", ())), None)


def _live(api: Api, item: Mapping[str, Any]) -> Live:
    secret: Mapping[str, Any] = {}
    arn = item.get("MasterUserSecret", {}).get("SecretArn")
    if arn and item["MasterUserSecret"].get("SecretStatus") != "creating" and item["DBInstanceStatus"] != "deleting":
        secret = api.call(
            "secretsmanager", "GetSecretValue", SecretId=arn, rules=wording.SECRET_RULES, done=Category.ABSENT
        )
    return instance_from_api(item, secret)


def instance_from_api(item: Mapping[str, Any], secret: Mapping[str, Any]) -> Live:
    """An instance as DescribeDBInstances shows it, with the answer of GetSecretValue (empty: not there yet)."""
    tags = from_pairs(item.get("TagList"))
    fields = wording.fields_from_api(item)
    group = item.get("DBSubnetGroup", {}).get("DBSubnetGroupName", "")
    region_and_account = item["DBInstanceArn"].rpartition(":db:")[0]
    outputs = {
        "arn": item["DBInstanceArn"],
        "name": item["DBInstanceIdentifier"],
        "address": item.get("Endpoint", {}).get("Address", ""),
        "port": item.get("Endpoint", {}).get("Port", ""),
        "username": item["MasterUsername"],
        "database": item.get("DBName", ""),
        "master_secret_arn": item.get("MasterUserSecret", {}).get("SecretArn", ""),
        "resource_id": item["DbiResourceId"],
    }
    role = fields["monitoring_role"]
    given_password = None if "MasterUserSecret" in item else Secret.unread(tags.get(_PASSWORD_VERSION, ""))
    return Live(
        id=item["DBInstanceArn"],
        name=item["DBInstanceIdentifier"],
        fields={
            **fields,
            "master_password": given_password,
            "final_snapshot": tags.get(_KEEPS_SNAPSHOT) != "false",
            "tags": own_tags(tags),
        },
        outputs={**outputs, **_secrets(secret)},
        refs=frozenset({f"{region_and_account}:subgrp:{group}", *fields["security_groups"], *([role] if role else [])}),
        readiness=_readiness(item),
        moved_by={"zone": "a failover"},
        **marks_of(tags),
    )


def _version(password: Any) -> str | None:
    return (password.version or None) if isinstance(password, Secret) else None


def _secrets(answer: Mapping[str, Any]) -> dict[str, Secret]:
    text, version = answer.get("SecretString"), answer.get("VersionId", "")
    if not text:
        return {}
    return {
        "master_secret": Secret(text, version),
        "master_password": Secret(json.loads(text)["password"], version),
    }


def _readiness(item: Mapping[str, Any]) -> Readiness:
    status = item["DBInstanceStatus"]
    if status == "deleting":
        return deleting(status)
    if status.startswith(_BROKEN):
        return failed(status)
    if status not in _USABLE:
        return waiting(status)
    secret = item.get("MasterUserSecret", {})
    return waiting("the master password is being made") if secret.get("SecretStatus") == "creating" else READY
