"""What databases promise beyond the contract."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.values import Secret

from .contract import Sample
from .harness import World, differences, outputs
from .samples_database import instance


def _other(sample: Sample, **fields: Any) -> dict[str, Any]:
    return {**sample.description, sample.address: {**sample.description[sample.address], **fields}}


def _prepared(world: World) -> None:
    assert instance.before is not None
    instance.before(world.account)


def test_a_minor_upgrade_by_rds_and_storage_that_grew_are_no_change(world: World) -> None:
    _prepared(world)
    world.converge(_other(instance, engine_version="15.10"))
    by_major = _other(instance, engine_version="15")
    assert differences(world.plan(by_major)) == {}

    rds = world.account.client("rds")
    rds.modify_db_instance(
        DBInstanceIdentifier="shop-main", EngineVersion="15.12", AllocatedStorage=180, ApplyImmediately=True
    )
    instance.facts(world.account, "shop-main")  # waits until RDS is done

    assert differences(world.plan(by_major)) == {}
    assert differences(world.plan(_other(instance, storage_gib=200))) == {instance.address: ("update", {"storage_gib"})}


def test_a_new_major_version_is_asked_for_with_its_disruption(world: World) -> None:
    _prepared(world)
    world.converge(_other(instance, engine_version="15.14", parameter_group="default.postgres15"))
    newer = _other(instance, engine_version="16")
    del newer[instance.address]["parameter_group"]
    change = world.plan(newer).of(instance.address)
    assert change is not None
    assert (set(change.fields), change.disruption) == (
        {"engine_version"},
        ("brief outage, or a failover when multi_az",),
    )
    world.converge(newer)
    assert differences(world.plan(newer)) == {}


def test_a_second_zone_is_added_and_a_failover_is_no_change(world: World) -> None:
    _prepared(world)
    single = _other(instance)
    world.converge(single)
    double = _other(instance, multi_az=True)
    del double[instance.address]["zone"]
    assert differences(world.plan(double)) == {instance.address: ("update", {"multi_az"})}
    world.converge(double)
    assert differences(world.plan(double)) == {}
    assert instance.facts(world.account, "shop-main")["MultiAZ"] is True


def test_the_master_password_comes_from_the_stored_secret_and_is_never_shown(world: World) -> None:
    _prepared(world)
    world.converge(instance.description)
    found = outputs(world, instance.description, instance.address)
    password = found["master_password"]
    assert isinstance(password, Secret)
    stored = world.account.client("secretsmanager").get_secret_value(SecretId=found["master_secret_arn"])
    assert password.reveal() == json.loads(stored["SecretString"])["password"]
    assert password.version == stored["VersionId"]
    assert password.reveal() not in repr(found)
    assert (found["address"] != "", found["port"]) == (True, 5432)


def test_a_given_master_password_is_set_at_creation_and_again_when_its_secret_has_another_version(world: World) -> None:
    _prepared(world)

    def given(password: Any) -> dict[str, Any]:
        return _other(instance, master_password=password)

    def sent(password: Any) -> tuple[str, list[str]]:
        """What the converge changes, and the passwords that it sends."""
        calls = world.account.calls
        before = len(calls())
        change = differences(world.plan(given(password))).get(instance.address, ("none", set()))
        world.converge(given(password))
        assert differences(world.plan(given(password))) == {}
        passwords = [call["params"].get("MasterUserPassword") for call in calls()[before:]]
        return f"{change[0]} {sorted(change[1])}", [text for text in passwords if text]

    world.converge(given(Secret("first-password", "v1")))
    assert "MasterUserSecret" not in instance.facts(world.account, "shop-main")
    assert instance.facts(world.account, "shop-main")["TagList"]["capstan:master-password-version"] == "v1"
    assert sent(Secret("first-password", "v1")) == ("none []", [])
    assert sent("a plain one says no version") == ("none []", [])
    action, passwords = sent(Secret("second-password", "v2"))
    assert (action, len(passwords)) == ("update ['master_password']", 1)
    # The version is noted last: a run that was killed in between sets the password again.
    writes = [call["operation"] for call in world.account.calls() if call["write"]]
    assert writes.index("ModifyDBInstance") < max(n for n, name in enumerate(writes) if name == "AddTagsToResource")
    assert (
        writes.count("ModifyDBInstance") == 1 and "AddTagsToResource" not in writes[: writes.index("ModifyDBInstance")]
    )
    assert instance.facts(world.account, "shop-main")["TagList"]["capstan:master-password-version"] == "v2"

    assert sent(None) == ("update ['master_password']", [])
    facts = instance.facts(world.account, "shop-main")
    assert "MasterUserSecret" in facts and "capstan:master-password-version" not in facts["TagList"]
    assert sent(Secret("third-password", "v2"))[0] == "update ['master_password']"
    assert "MasterUserSecret" not in instance.facts(world.account, "shop-main")


@pytest.mark.parametrize(("keeps", "snapshots"), [(True, 1), (False, 0)])
def test_deleting_a_database_takes_a_final_snapshot_unless_told_not_to(
    world: World, keeps: bool, snapshots: int
) -> None:
    _prepared(world)
    world.converge({**_other(instance, final_snapshot=keeps, protect=False)})
    world.converge(instance.without(), prune=True)
    rds = world.account.client("rds")
    assert len(rds.describe_db_snapshots(SnapshotType="manual")["DBSnapshots"]) == snapshots
