"""The zone and its records as Route 53 shows them."""

from __future__ import annotations

from typing import Any

import pytest

OWNERSHIP = "capstan"


@pytest.fixture(scope="module")
def zone(aws: Any) -> dict[str, Any]:
    found = aws("route53").list_hosted_zones_by_name(DNSName="molecule.example.com")["HostedZones"]
    (result,) = [item for item in found if item["Name"] == "molecule.example.com."]
    assert isinstance(result, dict)
    return result


@pytest.fixture(scope="module")
def records(aws: Any, zone: dict[str, Any]) -> dict[tuple[str, str, str], dict[str, Any]]:
    found = aws("route53").list_resource_record_sets(HostedZoneId=zone["Id"])["ResourceRecordSets"]
    return {(item["Name"], item["Type"], item.get("SetIdentifier", "")): item for item in found}


def answers(item: dict[str, Any]) -> tuple[int, list[str]]:
    return item["TTL"], [one["Value"] for one in item["ResourceRecords"]]


def test_the_zone_is_public_and_says_what_it_is_for(aws: Any, zone: dict[str, Any]) -> None:
    assert zone["Config"] == {"Comment": "Tried by Molecule", "PrivateZone": False}
    identifier = zone["Id"].rpartition("/")[2]
    tagged = aws("route53").list_tags_for_resource(ResourceType="hostedzone", ResourceId=identifier)
    assert {"Key": "capstan:stack", "Value": "molecule-dns"} in tagged["ResourceTagSet"]["Tags"]


def test_plain_records_answer_what_was_described(records: dict[tuple[str, str, str], dict[str, Any]]) -> None:
    assert answers(records["molecule.example.com.", "A", ""]) == (60, ["192.0.2.10"])
    assert answers(records["www.molecule.example.com.", "CNAME", ""]) == (300, ["molecule.example.com"])
    assert answers(records["molecule.example.com.", "TXT", ""]) == (300, ['"v=spf1 -all"'])


def test_two_records_share_a_name_by_weight(records: dict[tuple[str, str, str], dict[str, Any]]) -> None:
    blue, green = (records["api.molecule.example.com.", "A", name] for name in ("blue", "green"))
    assert (blue["Weight"], answers(blue)) == (90, (300, ["192.0.2.20"]))
    assert (green["Weight"], answers(green)) == (10, (300, ["192.0.2.21"]))


def test_an_alias_follows_the_health_of_its_target(records: dict[tuple[str, str, str], dict[str, Any]]) -> None:
    target = records["lb.molecule.example.com.", "A", ""]["AliasTarget"]
    assert target["DNSName"].rstrip(".") == "web.us-east-1.elb.amazonaws.com"
    assert target["HostedZoneId"] == "Z35SXDOTRQ7X7K"
    assert target["EvaluateTargetHealth"] is True


def test_each_record_has_a_note_of_whose_it_is(records: dict[tuple[str, str, str], dict[str, Any]]) -> None:
    notes = [item for (_x, kind, _x), item in records.items() if kind == "TXT" and "molecule-dns" in str(item)]
    assert len(notes) == 6
