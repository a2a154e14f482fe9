"""What zones and records promise beyond the contract."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.capstan.fullstack.plugins.module_utils.aws.hosted_zone import HostedZone
from ansible_collections.capstan.fullstack.plugins.module_utils.aws.record import Record
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.errors import ApplyFailed

from sandbox.aws.testing import Account, AwsSandbox

from .contract import Description, Sample
from .harness import World, differences, outputs
from .samples_dns import hosted_zone, record

ZONE: Description = {"aws.hosted_zone/main": {"domain": "example.com"}}
WWW: dict[str, Any] = {"zone": "main", "name": "www.example.com", "type": "A", "ttl": 60, "records": ["192.0.2.1"]}


def records(account: Account, zone: str) -> list[tuple[str, str]]:
    listed = account.client("route53").list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    return sorted((one["Name"], one["Type"]) for one in listed if one["Type"] not in ("NS", "SOA"))


def zone_by_hand(account: Account, domain: str) -> str:
    made = account.client("route53").create_hosted_zone(Name=domain, CallerReference=domain)
    return str(made["HostedZone"]["Id"]).rpartition("/")[2]


def put_record(account: Account, zone: str, name: str, kind: str, value: str) -> None:
    added = {"Name": name, "Type": kind, "TTL": 60, "ResourceRecords": [{"Value": value}]}
    batch = {"Changes": [{"Action": "CREATE", "ResourceRecordSet": added}]}
    account.client("route53").change_resource_record_sets(HostedZoneId=zone, ChangeBatch=batch)


def test_a_public_zone_names_the_servers_to_delegate_to(world: World) -> None:
    world.converge(ZONE)
    found = outputs(world, ZONE, "aws.hosted_zone/main")
    assert found["domain"] == "example.com"
    assert len(found["name_servers"]) == 4


def test_a_zone_that_was_made_but_not_marked_is_adopted(sandbox: AwsSandbox, world: World) -> None:
    sandbox.fault("error", {"operation": "ChangeTagsForResource", "access_key": world.account.access_key_id},
                  code="InvalidInput", message="no", status=400)  # fmt: skip
    with pytest.raises(ApplyFailed):
        world.converge(ZONE)
    sandbox.clear_faults()
    assert differences(world.plan(ZONE)) == {"aws.hosted_zone/main": ("adopt", {"marks"})}
    world.converge(ZONE)
    assert differences(world.plan(ZONE)) == {}
    assert len(world.account.client("route53").list_hosted_zones()["HostedZones"]) == 1


def test_a_record_in_a_zone_that_exists_is_ours_and_the_zone_is_not(world: World) -> None:
    zone = zone_by_hand(world.account, "example.com")
    put_record(world.account, zone, "mail.example.com", "A", "192.0.2.9")
    existing = {"aws.hosted_zone/main": {"domain": "example.com", "existing": True}}

    world.converge({**existing, "aws.record/www": WWW})

    assert records(world.account, zone) == [
        ("a.www._capstan.example.com.", "TXT"),
        ("mail.example.com.", "A"),
        ("www.example.com.", "A"),
    ]
    world.converge({}, prune=True)
    assert records(world.account, zone) == [("mail.example.com.", "A")]


def test_somebody_elses_record_is_a_conflict_and_stays(world: World) -> None:
    zone = zone_by_hand(world.account, "example.com")
    put_record(world.account, zone, "www.example.com", "A", "192.0.2.9")
    existing = {"aws.hosted_zone/main": {"domain": "example.com", "existing": True}}
    with pytest.raises(ApplyFailed, match="conflict"):
        world.converge({**existing, "aws.record/www": WWW})
    answers = world.account.client("route53").list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    kept = next(one for one in answers if one["Name"] == "www.example.com.")
    assert kept["ResourceRecords"] == [{"Value": "192.0.2.9"}]
    assert records(world.account, zone) == [("www.example.com.", "A")]


def test_another_stacks_record_is_a_conflict_that_names_the_stack(world: World) -> None:
    zone_by_hand(world.account, "example.com")
    description = {
        "aws.hosted_zone/main": {"domain": "example.com", "existing": True},
        "aws.record/www": WWW,
    }
    World(world.account, stack="other").converge(description)
    with pytest.raises(ApplyFailed, match="belongs to stack other"):
        world.converge(description)
    assert world.plan({}).changes == ()


def test_an_entry_without_its_record_is_pruned_when_nothing_describes_it(world: World) -> None:
    description = {**ZONE, "aws.record/www": WWW}
    world.converge(description)
    zone = outputs(world, description, "aws.hosted_zone/main")["id"]
    gone = {"Name": "www.example.com", "Type": "A", "TTL": 60, "ResourceRecords": [{"Value": "192.0.2.1"}]}
    batch = {"Changes": [{"Action": "DELETE", "ResourceRecordSet": gone}]}
    world.account.client("route53").change_resource_record_sets(HostedZoneId=zone, ChangeBatch=batch)

    world.converge(ZONE, prune=True)

    assert records(world.account, zone) == []


def test_reading_costs_nothing_more_for_other_peoples_records(world: World) -> None:
    description = {**ZONE, "aws.record/www": WWW}
    world.converge(description)
    zone = outputs(world, description, "aws.hosted_zone/main")["id"]
    for start in range(0, 400, 100):
        changes = [
            {
                "Action": "CREATE",
                "ResourceRecordSet": {
                    "Name": f"host{number}.example.com",
                    "Type": "A",
                    "TTL": 60,
                    "ResourceRecords": [{"Value": "192.0.2.9"}],
                },
            }
            for number in range(start, start + 100)
        ]
        world.account.client("route53").change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": changes})
    calls = [call["operation"] for call in world.watch(lambda: world.plan(description))]
    assert calls.count("ListResourceRecordSets") == 2


@pytest.mark.parametrize("sample", [hosted_zone, record], ids=lambda sample: sample.kind)
def test_the_dns_kinds_are_owned_without_tags(sample: Sample) -> None:
    assert {HostedZone.kind: HostedZone.owned_by, Record.kind: Record.owned_by}[sample.kind] in ("name", "registry")
