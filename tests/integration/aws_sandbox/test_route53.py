"""Route 53: batches as a whole, checked records, order and pages, caller references."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.aws.testing import Account, AwsSandbox

from .conftest import code_of, wait_for


@pytest.fixture
def route53(account: Account) -> Any:
    return account.client("route53")


@pytest.fixture
def zone(route53: Any) -> str:
    return str(route53.create_hosted_zone(Name="a.test", CallerReference="one")["HostedZone"]["Id"])


def record(name: str, kind: str = "A", *values: str, **more: Any) -> dict[str, Any]:
    if "AliasTarget" in more:
        return {"Name": name, "Type": kind, **more}
    return {"Name": name, "Type": kind, "TTL": 60, "ResourceRecords": [{"Value": v} for v in values], **more}


def change(route53: Any, zone: str, *changes: tuple[str, dict[str, Any]]) -> str:
    batch = [{"Action": action, "ResourceRecordSet": each} for action, each in changes]
    return code_of(route53.change_resource_record_sets, HostedZoneId=zone, ChangeBatch={"Changes": batch})


def names(route53: Any, zone: str) -> list[str]:
    found = route53.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    return [f"{r['Name']} {r['Type']}" for r in found if r["Type"] not in ("NS", "SOA")]


def test_a_caller_reference_makes_one_zone(aws: AwsSandbox, route53: Any, zone: str) -> None:
    again = {"Name": "a.test", "CallerReference": "one"}
    assert code_of(route53.create_hosted_zone, **again) == "HostedZoneAlreadyExists"
    assert len(route53.list_hosted_zones()["HostedZones"]) == 1
    assert code_of(route53.create_hosted_zone, Name="a.test", CallerReference="two") == ""
    assert len(route53.list_hosted_zones()["HostedZones"]) == 2
    aws.quirks(off=["route53-caller-reference"])
    assert code_of(route53.create_hosted_zone, **again) == ""


def test_a_zone_begins_with_name_servers_and_its_tags_are_apart(route53: Any, zone: str) -> None:
    found = route53.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    assert [(r["Name"], r["Type"]) for r in found] == [("a.test.", "NS"), ("a.test.", "SOA")]
    number = zone.rpartition("/")[2]
    tags = {"ResourceType": "hostedzone", "ResourceId": number}
    route53.change_tags_for_resource(**tags, AddTags=[{"Key": "a", "Value": "b"}])
    assert route53.list_tags_for_resource(**tags)["ResourceTagSet"]["Tags"] == [{"Key": "a", "Value": "b"}]
    assert "Tags" not in route53.list_hosted_zones()["HostedZones"][0]


def test_create_upsert_and_delete(route53: Any, zone: str) -> None:
    assert change(route53, zone, ("CREATE", record("w.a.test", "A", "1.2.3.4"))) == ""
    assert change(route53, zone, ("CREATE", record("W.a.test.", "A", "1.2.3.4"))) == "InvalidChangeBatch"
    assert change(route53, zone, ("UPSERT", record("w.a.test", "A", "5.6.7.8"))) == ""
    assert change(route53, zone, ("DELETE", record("w.a.test", "A", "1.2.3.4"))) == "InvalidChangeBatch"
    assert change(route53, zone, ("DELETE", record("w.a.test", "A", "5.6.7.8"))) == ""
    assert change(route53, zone, ("DELETE", record("w.a.test", "A", "5.6.7.8"))) == "InvalidChangeBatch"
    assert names(route53, zone) == []


def test_a_batch_is_done_as_a_whole_or_not_at_all(route53: Any, zone: str) -> None:
    good, bad = ("CREATE", record("ok.a.test", "A", "1.1.1.1")), ("DELETE", record("no.a.test", "A", "1.1.1.1"))
    assert change(route53, zone, good, bad) == "InvalidChangeBatch"
    assert names(route53, zone) == []
    registry = ("CREATE", record("own.a.test", "TXT", '"heritage=x"'))
    assert change(route53, zone, good, registry) == ""
    assert names(route53, zone) == ["ok.a.test. A", "own.a.test. TXT"]


@pytest.mark.parametrize(
    "wrong",
    [
        record("t.a.test", "TXT", "unquoted"),
        record("t.a.test", "TXT", '"' + "x" * 256 + '"'),
        record("t.a.test", "A", "nope"),
        record("t.a.test", "A", "::1"),
        record("t.a.test", "AAAA", "1.2.3.4"),
        record("t.b.test", "A", "1.2.3.4"),
        record("xa.test", "A", "1.2.3.4"),
        record("a.test", "CNAME", "b.test"),
        record("w.a.test", "CNAME", "b.test"),
        {"Name": "t.a.test", "Type": "A"},
    ],
)
def test_a_wrong_record_is_refused(route53: Any, zone: str, wrong: dict[str, Any]) -> None:
    change(route53, zone, ("CREATE", record("w.a.test", "A", "1.2.3.4")))
    assert change(route53, zone, ("UPSERT", wrong)) == "InvalidChangeBatch"
    assert names(route53, zone) == ["w.a.test. A"]


def test_aliases_weights_and_wildcards_are_kept_as_aws_shows_them(route53: Any, zone: str) -> None:
    alias = {"HostedZoneId": "Z35SXDOTRQ7X7K", "DNSName": "LB-1.elb.amazonaws.com", "EvaluateTargetHealth": True}
    assert change(route53, zone, ("CREATE", record("a.test", "A", AliasTarget=alias))) == ""
    for weight, name in ((1, "one"), (2, "two")):
        each = record("v.a.test", "A", "1.2.3.4", SetIdentifier=name, Weight=weight)
        assert change(route53, zone, ("CREATE", each)) == ""
    assert change(route53, zone, ("CREATE", record("*.a.test", "A", "1.2.3.4"))) == ""
    found = route53.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    assert found[0] == {"Name": "a.test.", "Type": "A", "AliasTarget": {
        "HostedZoneId": "Z35SXDOTRQ7X7K", "DNSName": "lb-1.elb.amazonaws.com.", "EvaluateTargetHealth": True}}
    assert [(r["Name"], r.get("SetIdentifier")) for r in found[3:]] == [
        ("\\052.a.test.", None), ("v.a.test.", "one"), ("v.a.test.", "two")
    ]


def test_records_come_ordered_and_in_pages(route53: Any, zone: str) -> None:
    for name in ("z.b.a.test", "b.a.test", "c.a.test", "a.b.a.test"):
        change(route53, zone, ("CREATE", record(name, "A", "1.2.3.4")))
    assert names(route53, zone) == ["b.a.test. A", "a.b.a.test. A", "z.b.a.test. A", "c.a.test. A"]
    first = route53.list_resource_record_sets(HostedZoneId=zone, MaxItems="4")
    assert (first["IsTruncated"], first["NextRecordName"], first["NextRecordType"]) == (True, "z.b.a.test.", "A")
    rest = route53.list_resource_record_sets(
        HostedZoneId=zone, StartRecordName=first["NextRecordName"], StartRecordType=first["NextRecordType"])
    assert [r["Name"] for r in rest["ResourceRecordSets"]] == ["z.b.a.test.", "c.a.test."]
    assert route53.get_hosted_zone(Id=zone)["HostedZone"]["ResourceRecordSetCount"] == 6
    assert route53.list_hosted_zones()["HostedZones"][0]["ResourceRecordSetCount"] == 6


def test_a_change_is_pending_before_it_is_in_sync(aws: AwsSandbox, route53: Any, zone: str) -> None:
    batch = {"Changes": [{"Action": "UPSERT", "ResourceRecordSet": record("w.a.test", "A", "1.2.3.4")}]}
    info = route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch=batch)["ChangeInfo"]
    assert info["Status"] == "PENDING"
    wait_for(lambda: route53.get_change(Id=info["Id"])["ChangeInfo"]["Status"] == "INSYNC")
    assert code_of(route53.get_change, Id="C0NONE") == "NoSuchChange"
    aws.quirks(off=["route53-change-pending"])
    info = route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch=batch)["ChangeInfo"]
    assert info["Status"] == "INSYNC"


def test_a_zone_with_records_is_not_deleted(route53: Any, zone: str) -> None:
    change(route53, zone, ("CREATE", record("w.a.test", "A", "1.2.3.4")))
    assert code_of(route53.delete_hosted_zone, Id=zone) == "HostedZoneNotEmpty"
    change(route53, zone, ("DELETE", record("w.a.test", "A", "1.2.3.4")))
    assert code_of(route53.delete_hosted_zone, Id=zone) == ""
    assert code_of(route53.list_resource_record_sets, HostedZoneId=zone) == "NoSuchHostedZone"
