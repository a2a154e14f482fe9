"""Samples of Route 53."""

from __future__ import annotations

from typing import Any

from sandbox.aws.testing import Account

from .contract import Sample, drift, scrubbed, tags_of
from .samples_network import VPC, is_refused


# -- hosted zone ---------------------------------------------------------------------------------------------------
def _zone(aws: Account, live: str) -> dict[str, Any]:
    route53 = aws.client("route53")
    zone = route53.get_hosted_zone(Id=live)
    tags = route53.list_tags_for_resource(ResourceType="hostedzone", ResourceId=live)["ResourceTagSet"]["Tags"]
    vpcs = sorted(one["VPCId"] for one in zone.get("VPCs", []))
    plain = scrubbed(zone, "ResponseMetadata", "ResourceRecordSetCount", "CallerReference")
    return {**plain, "VPCs": vpcs, "Tags": tags_of(tags)}


def _tag_zone(key: str, value: str) -> Any:
    return lambda aws, live: aws.client("route53").change_tags_for_resource(
        ResourceType="hostedzone", ResourceId=live, AddTags=[{"Key": key, "Value": value}]
    )


def _untag_zone(aws: Account, live: str) -> None:
    aws.client("route53").change_tags_for_resource(
        ResourceType="hostedzone", ResourceId=live, RemoveTagKeys=["capstan:stack", "capstan:address"]
    )


def _network_of_another(aws: Account, live: str) -> None:
    vpc = aws.client("ec2").create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    aws.client("route53").associate_vpc_with_hosted_zone(
        HostedZoneId=live, VPC={"VPCRegion": "us-east-1", "VPCId": vpc}
    )


hosted_zone = Sample(
    address="aws.hosted_zone/inside",
    description={
        **VPC,
        "aws.vpc/second": {"cidr": "10.1.0.0/16"},
        "aws.hosted_zone/inside": {
            "domain": "inside.example.com",
            "private": True,
            "vpcs": ["main"],
            "comment": "names inside the network",
            "tags": {"team": "core"},
        },
    },
    facts=_zone,
    gone=lambda aws, live: is_refused("NoSuchHostedZone", aws.client("route53").get_hosted_zone, Id=live),
    seen=lambda facts: {
        "name": facts["HostedZone"]["Name"],
        "private": facts["HostedZone"]["Config"]["PrivateZone"],
        "comment": facts["HostedZone"]["Config"]["Comment"],
        "vpcs": len(facts["VPCs"]),
        "team": facts["Tags"]["team"],
        "stack": facts["Tags"]["capstan:stack"],
    },
    expect={
        "name": "inside.example.com.",
        "private": True,
        "comment": "names inside the network",
        "vpcs": 1,
        "team": "core",
        "stack": "shop",
    },
    changes={"vpcs": ["second"], "comment": "other names", "tags": {"team": "data"}},
    replaces={"domain": "other.example.com"},
    fixed={"private": "goes with vpcs; a public zone has a test of its own"},
    drifts={
        "the comment changed": drift(
            lambda aws, live: aws.client("route53").update_hosted_zone_comment(Id=live, Comment="hm"), "comment"
        ),
        "another network": drift(_network_of_another, "vpcs"),
        "a tag overwritten": drift(_tag_zone("team", "other"), "tags"),
        "its marks removed": drift(_untag_zone, "marks", action="adopt"),
    },
    others_at_work={"a tag added": _tag_zone("billing", "77")},
    read_calls={"ListHostedZones": 1, "ListTagsForResources": 1, "GetHostedZone": 1},
)


# -- record --------------------------------------------------------------------------------------------------------
def _zone_of(live: str) -> str:
    return live.partition("/")[0]


def _sets(aws: Account, zone: str) -> list[dict[str, Any]]:
    listed = aws.client("route53").list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    return [one for one in listed if one["Type"] not in ("NS", "SOA")]


def _record(aws: Account, live: str) -> dict[str, Any]:
    sets = _sets(aws, _zone_of(live))
    return {
        "records": [one for one in sets if "_capstan" not in one["Name"]],
        "registry": [one for one in sets if "_capstan" in one["Name"]],
    }


def _upsert(**change: Any) -> Any:
    def by(aws: Account, live: str) -> None:
        found = {**_record(aws, live)["records"][0], **change}
        batch = {"Changes": [{"Action": "UPSERT", "ResourceRecordSet": found}]}
        aws.client("route53").change_resource_record_sets(HostedZoneId=_zone_of(live), ChangeBatch=batch)

    return by


def _component(aws: Account, live: str) -> None:
    """Somebody edits the registry's entry."""
    entry = _record(aws, live)["registry"][0]
    text = entry["ResourceRecords"][0]["Value"].replace("component=network", "component=other")
    batch = {"Changes": [{"Action": "UPSERT", "ResourceRecordSet": {**entry, "ResourceRecords": [{"Value": text}]}}]}
    aws.client("route53").change_resource_record_sets(HostedZoneId=_zone_of(live), ChangeBatch=batch)


def _delete(aws: Account, live: str) -> None:
    found = _record(aws, live)["records"][0]
    batch = {"Changes": [{"Action": "DELETE", "ResourceRecordSet": found}]}
    aws.client("route53").change_resource_record_sets(HostedZoneId=_zone_of(live), ChangeBatch=batch)


def _foreign_record(aws: Account, live: str) -> None:
    added = {"Name": "mail.example.com", "Type": "A", "TTL": 60, "ResourceRecords": [{"Value": "192.0.2.9"}]}
    batch = {"Changes": [{"Action": "CREATE", "ResourceRecordSet": added}]}
    aws.client("route53").change_resource_record_sets(HostedZoneId=_zone_of(live), ChangeBatch=batch)


def _record_is_gone(aws: Account, live: str) -> bool:
    zone, name, kind, identifier = live.split("/", 3)
    if is_refused("NoSuchHostedZone", aws.client("route53").get_hosted_zone, Id=zone):
        return True
    there = [(one["Name"], one["Type"], one.get("SetIdentifier", "")) for one in _sets(aws, zone)]
    return (f"{name}.", kind, identifier) not in there


_ZONE = {"aws.hosted_zone/main": {"domain": "example.com"}}

record = Sample(
    address="aws.record/www",
    description={
        **_ZONE,
        "aws.record/www": {
            "zone": "main",
            "name": "www.example.com",
            "type": "A",
            "ttl": 60,
            "records": ["192.0.2.1", "192.0.2.2"],
            "set_identifier": "blue",
            "weight": 10,
        },
    },
    facts=_record,
    gone=_record_is_gone,
    seen=lambda facts: {
        "names": [one["Name"] for one in facts["records"]],
        "answers": [value["Value"] for value in facts["records"][0]["ResourceRecords"]],
        "ttl": facts["records"][0]["TTL"],
        "weight": facts["records"][0]["Weight"],
        "set": facts["records"][0]["SetIdentifier"],
        "registered": [one["Type"] for one in facts["registry"]],
        "owner": "stack=shop&address=aws.record%2Fwww&component=network"
        in facts["registry"][0]["ResourceRecords"][0]["Value"],
    },
    expect={
        "names": ["www.example.com."],
        "answers": ["192.0.2.1", "192.0.2.2"],
        "ttl": 60,
        "weight": 10,
        "set": "blue",
        "registered": ["TXT"],
        "owner": True,
    },
    changes={"ttl": 120, "records": ["192.0.2.3"], "weight": 20},
    replaces={"name": "web.example.com", "type": "TXT", "set_identifier": "green"},
    fixed={"zone": "its name has to lie in its zone"},
    drifts={
        "other answers": drift(_upsert(ResourceRecords=[{"Value": "192.0.2.66"}]), "records"),
        "another lifetime": drift(_upsert(TTL=5), "ttl"),
        "another weight": drift(_upsert(Weight=99), "weight"),
        "the entry edited": drift(_component, "marks"),
        "deleted": drift(
            _delete, "zone", "name", "type", "ttl", "records", "set_identifier", "weight", action="create"
        ),
    },
    others_at_work={"somebody else's record": _foreign_record},
    read_calls={"ListHostedZones": 1, "ListResourceRecordSets": 2},
    foreign_calls={"ListResourceRecordSets": 1},  # the other zone's page
)


def _routed(name: str, fields: dict[str, Any], **parts: Any) -> Sample:
    """A sample of a record that is routed another way."""
    address = f"aws.record/{name}"
    return Sample(
        address=address,
        description={**_ZONE, address: {"zone": "main", "name": f"{name}.example.com", **fields}},
        facts=_record,
        gone=record.gone,
        seen=lambda facts: scrubbed(facts["records"][0], "Name"),
        read_calls={"ListHostedZones": 1, "ListResourceRecordSets": 2},
        foreign_calls={"ListResourceRecordSets": 1},
        **parts,
    )


_ELB = {"target": "one.us-east-1.elb.amazonaws.com", "zone": "Z35SXDOTRQ7X7K", "evaluate_target_health": True}

failover = _routed(
    "api",
    {"type": "A", "alias": _ELB, "set_identifier": "first", "failover": "PRIMARY", "health_check": "hc-1"},
    expect={
        "Type": "A",
        "SetIdentifier": "first",
        "Failover": "PRIMARY",
        "HealthCheckId": "hc-1",
        "AliasTarget": {
            "HostedZoneId": "Z35SXDOTRQ7X7K",
            "DNSName": "one.us-east-1.elb.amazonaws.com.",
            "EvaluateTargetHealth": True,
        },
    },
    changes={"alias": {**_ELB, "evaluate_target_health": False}, "failover": "SECONDARY", "health_check": "hc-2"},
    fixed=dict.fromkeys(("zone", "name", "type", "set_identifier"), "the weighted sample replaces them"),
    drifts={"the health check removed": drift(_upsert(HealthCheckId="hc-9"), "health_check")},
)
latency = _routed(
    "near",
    {"type": "CNAME", "ttl": 60, "records": ["one.example.net"], "set_identifier": "us", "region": "us-east-1"},
    expect={
        "Type": "CNAME",
        "TTL": 60,
        "SetIdentifier": "us",
        "Region": "us-east-1",
        "ResourceRecords": [{"Value": "one.example.net"}],
    },
    changes={"region": "eu-west-1", "records": ["two.example.net"], "ttl": 30},
    fixed=dict.fromkeys(("zone", "name", "type", "set_identifier"), "the weighted sample replaces them"),
    drifts={"another answer": drift(_upsert(ResourceRecords=[{"Value": "evil.example.net"}]), "records")},
)
text = _routed(
    "note",
    {"type": "TXT", "ttl": 300, "records": ["v=spf1 -all"]},
    expect={"Type": "TXT", "TTL": 300, "ResourceRecords": [{"Value": '"v=spf1 -all"'}]},
    changes={"records": ["v=spf1 ~all"], "ttl": 30},
    fixed=dict.fromkeys(("zone", "name", "type"), "the weighted sample replaces them"),
)

SAMPLES = [hosted_zone, record, failover, latency, text]
