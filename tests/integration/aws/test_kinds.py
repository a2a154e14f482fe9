"""What single kinds promise beyond the contract."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.capstan.fullstack.plugins.module_utils.aws.hosted_zone import HostedZone
from ansible_collections.capstan.fullstack.plugins.module_utils.aws.record import Record
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.errors import ApplyFailed, InvalidDescription
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.values import Secret

from sandbox.aws.testing import Account, AwsSandbox

from .contract import Sample
from .harness import World, differences
from .samples_cluster import cluster, nodegroup, until
from .samples_database import instance
from .samples_dns import hosted_zone, record
from .samples_images import INDEX, ONE, ONE_DIGEST, TWO, TWO_DIGEST, make_layout, put_blob
from .samples_network import GATEWAY, SUBNETS, VPC

ZONE = {"aws.hosted_zone/main": {"domain": "example.com"}}
WWW = {"zone": "main", "name": "www.example.com", "type": "A", "ttl": 60, "records": ["192.0.2.1"]}


def outputs(world: World, description: Any, address: str) -> dict[str, Any]:
    change = world.plan(description).of(address)
    assert change is not None and change.live is not None
    return {"id": change.live.id, **change.live.outputs}


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


# -- network -------------------------------------------------------------------------------------------------------
def test_rules_of_others_are_listed_and_kept_in_an_open_group(world: World) -> None:
    description = {
        **VPC,
        "aws.security_group/alb": {"vpc": "main", "ingress": [{"port": 443, "cidr": "0.0.0.0/0"}]},
    }
    world.converge(description)
    ec2 = world.account.client("ec2")
    group = outputs(world, description, "aws.security_group/alb")["id"]
    theirs = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "203.0.113.7/32"}]}
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[theirs])

    change = world.plan(description).of("aws.security_group/alb")

    assert change is not None
    assert change.action == "none"
    assert [(rule["from_port"], rule["other"]) for rule in change.difference.foreign["ingress"]] == [
        (22, "203.0.113.7/32")
    ]
    described = {**VPC, "aws.security_group/alb": {"vpc": "main", "ingress": [{"port": 80, "cidr": "0.0.0.0/0"}]}}
    world.converge(described)
    permissions = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["IpPermissions"]
    assert sorted(one["FromPort"] for one in permissions) == [22, 80]


def test_a_new_block_for_the_network_replaces_everything_in_it(world: World) -> None:
    chain = {
        **SUBNETS,
        **GATEWAY,
        "aws.route_table/public": {
            "vpc": "main",
            "routes": [{"destination": "0.0.0.0/0", "target": "aws.internet_gateway/main"}],
            "subnets": ["a", "b"],
        },
    }
    world.converge({"aws.vpc/main": {"cidr": "10.0.0.0/16"}, **chain})
    bigger = {"aws.vpc/main": {"cidr": "10.0.0.0/17"}, **chain}

    actions = {address: action for address, (action, _) in differences(world.plan(bigger)).items()}
    world.converge(bigger)

    assert actions == {
        "aws.vpc/main": "replace",
        "aws.subnet/a": "replace",
        "aws.subnet/b": "replace",
        "aws.internet_gateway/main": "update",
        "aws.route_table/public": "replace",
    }
    assert differences(world.plan(bigger)) == {}
    assert [one["CidrBlock"] for one in world.account.client("ec2").describe_vpcs()["Vpcs"]] == ["10.0.0.0/17"]


def test_an_existing_network_is_used_and_never_changed(world: World) -> None:
    ec2 = world.account.client("ec2")
    made = ec2.create_vpc(CidrBlock="10.5.0.0/16")["Vpc"]["VpcId"]
    description = {
        "aws.vpc/main": {"cidr": "10.5.0.0/16", "existing": True},
        "aws.subnet/a": {"vpc": "main", "cidr": "10.5.1.0/24", "zone": "us-east-1a"},
    }
    assert world.converge(description).applied.done == {"aws.subnet/a": "create"}
    assert [one["VpcId"] for one in ec2.describe_subnets()["Subnets"]] == [made]
    assert ec2.describe_vpcs()["Vpcs"][0].get("Tags", []) == []


def test_two_existing_networks_that_fit_are_not_guessed_between(world: World) -> None:
    for _ in range(2):
        world.account.client("ec2").create_vpc(CidrBlock="10.5.0.0/16")
    with pytest.raises(InvalidDescription, match="describe tags that only one of them has"):
        world.plan({"aws.vpc/main": {"cidr": "10.5.0.0/16", "existing": True}})


# -- cluster -------------------------------------------------------------------------------------------------------
def test_a_cluster_goes_up_one_version_at_a_time_and_its_nodes_follow(world: World) -> None:
    world.converge(nodegroup.description)
    newer = nodegroup.with_field("version", "1.35")
    newer["aws.eks_cluster/main"] = {**newer["aws.eks_cluster/main"], "version": "1.35"}

    assert differences(world.plan(newer)) == {
        "aws.eks_cluster/main": ("update", {"version"}),
        "aws.eks_nodegroup/workers": ("update", {"version"}),
    }
    writes = world.writes(lambda: world.converge(newer))

    # Refused tries (an update is under way) are in the log, too.
    assert {"UpdateClusterVersion", "UpdateNodegroupVersion"} == set(writes)
    assert differences(world.plan(newer)) == {}
    eks = world.account.client("eks")
    name = eks.list_clusters()["clusters"][0]
    done = [eks.describe_update(name=name, updateId=one)["update"] for one in eks.list_updates(name=name)["updateIds"]]
    steps = [p["value"] for update in done if update["type"] == "VersionUpdate" for p in update["params"]]
    assert sorted(value for value in steps if value.startswith("1.")) == ["1.34", "1.35"]


def test_several_changes_of_a_cluster_are_made_one_after_the_other_in_one_run(world: World) -> None:
    world.converge(cluster.description)
    described = {
        **cluster.description[cluster.address],
        "logging": ["scheduler"],
        "public_cidrs": ["198.51.100.0/24"],
        "security_groups": ["another"],
        "support": "EXTENDED",
    }
    changed = {**cluster.description, cluster.address: described}
    world.converge(changed)
    assert differences(world.plan(changed)) == {}


def test_a_cluster_moves_on_to_access_entries(world: World) -> None:
    fields = {"version": "1.33", "role": "cluster", "subnets": ["a", "b"], "authentication_mode": "CONFIG_MAP"}
    needs = {a: f for a, f in cluster.description.items() if a != cluster.address}
    world.converge({**needs, cluster.address: fields})
    entry = {"principal": "aws.iam_role/developers", "groups": ["readers"]}
    moved = {**needs, cluster.address: {**fields, "authentication_mode": "API_AND_CONFIG_MAP", "access": [entry]}}

    world.converge(moved)

    assert differences(world.plan(moved)) == {}
    eks = world.account.client("eks")
    name = eks.list_clusters()["clusters"][0]
    assert any("developers" in one for one in eks.list_access_entries(clusterName=name)["accessEntries"])


def test_a_cluster_says_how_it_is_reached(world: World) -> None:
    world.converge(cluster.description)
    found = outputs(world, cluster.description, cluster.address)
    assert found["endpoint"].startswith("https://")
    assert found["name"].startswith("shop-main-")
    assert found["region"] == "us-east-1"
    assert found["ca"]
    assert found["security_group"].startswith("sg-")


# -- database ------------------------------------------------------------------------------------------------------
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


@pytest.mark.parametrize(("keeps", "snapshots"), [(True, 1), (False, 0)])
def test_deleting_a_database_takes_a_final_snapshot_unless_told_not_to(
    world: World, keeps: bool, snapshots: int
) -> None:
    _prepared(world)
    world.converge({**_other(instance, final_snapshot=keeps, protect=False)})
    world.converge(instance.without(), prune=True)
    rds = world.account.client("rds")
    assert len(rds.describe_db_snapshots(SnapshotType="manual")["DBSnapshots"]) == snapshots


# -- dns -----------------------------------------------------------------------------------------------------------
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


# -- images --------------------------------------------------------------------------------------------------------
def _image(source: Path | str, **fields: Any) -> dict[str, Any]:
    return {
        "aws.ecr_repository/app": {},
        "aws.image/app": {"repository": "app", "source": str(source), **fields},
    }


def digests(world: World, repository: str, *wanted: str) -> list[str]:
    """Those of `wanted` that ECR has."""
    ids = [{"imageDigest": digest} for digest in wanted]
    answer = world.account.client("ecr").batch_get_image(repositoryName=repository, imageIds=ids)
    return [one["imageId"]["imageDigest"] for one in answer["images"]]


def test_the_plan_on_an_empty_account_shows_the_digest(world: World) -> None:
    change = world.plan(_image(ONE)).of("aws.image/app")
    assert change is not None
    assert change.fields["digest"] == (None, ONE_DIGEST)


def test_a_new_digest_is_pushed_with_only_the_layers_that_are_missing(world: World) -> None:
    world.converge(_image(ONE))
    first = outputs(world, _image(ONE), "aws.image/app")
    assert first["reference"].endswith(f"/shop-app@{ONE_DIGEST}")

    world.converge(_image(TWO))

    assert differences(world.plan(_image(TWO))) == {}
    assert digests(world, "shop-app", ONE_DIGEST, TWO_DIGEST) == [ONE_DIGEST, TWO_DIGEST]  # the older one stays


def test_an_image_for_several_platforms_is_pushed_whole(world: World, tmp_path: Path) -> None:
    make_layout(tmp_path, b"for this machine")
    one = json.loads((tmp_path / "index.json").read_text())["manifests"][0]
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [one]}
    top = {"mediaType": INDEX, **put_blob(tmp_path, json.dumps(index).encode())}
    (tmp_path / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [top]}))

    world.converge(_image(tmp_path))

    assert differences(world.plan(_image(tmp_path))) == {}
    assert outputs(world, _image(tmp_path), "aws.image/app")["digest"] == top["digest"]


def test_an_image_is_copied_from_another_repository_by_digest(world: World) -> None:
    world.converge(_image(ONE))
    reference = outputs(world, _image(ONE), "aws.image/app")["reference"]
    copy = {
        "aws.ecr_repository/copy": {},
        "aws.image/copy": {"repository": "copy", "source": reference},
        **_image(ONE),
    }
    world.converge(copy)
    assert differences(world.plan(copy)) == {}
    assert digests(world, "shop-copy", ONE_DIGEST) == [ONE_DIGEST]


def test_an_altered_layout_is_not_pushed(world: World, tmp_path: Path) -> None:
    digest = make_layout(tmp_path, b"a layer")
    manifest = tmp_path / "blobs" / "sha256" / digest.partition(":")[2]
    manifest.write_bytes(manifest.read_bytes() + b" ")
    with pytest.raises(ApplyFailed, match="altered"):
        world.converge(_image(tmp_path))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("/nowhere/at/all", "no OCI image layout at /nowhere/at/all"),
        ("registry.example/app:latest", "a digest is wanted"),
    ],
)
def test_a_source_that_is_none_gets_one_clear_message(world: World, source: str, message: str) -> None:
    with pytest.raises(InvalidDescription, match=message):
        world.plan(_image(source))


def test_a_source_with_another_digest_than_described_is_refused(world: World) -> None:
    with pytest.raises(InvalidDescription, match="its source has the digest"):
        world.plan(_image(ONE, digest=TWO_DIGEST))


def test_another_tag_points_to_the_same_image(world: World) -> None:
    world.converge(_image(ONE, tag="v1"))
    assert differences(world.plan(_image(ONE, tag="v2"))) == {"aws.image/app": ("update", {"tag"})}
    world.converge(_image(ONE, tag="v2"))
    assert differences(world.plan(_image(ONE, tag="v2"))) == {}
    found = world.account.client("ecr").describe_images(repositoryName="shop-app")["imageDetails"]
    assert [(one["imageDigest"], sorted(one["imageTags"])) for one in found] == [(ONE_DIGEST, ["v1", "v2"])]


def test_nothing_of_a_removed_image_is_deleted_until_its_repository_goes(world: World) -> None:
    world.converge(_image(ONE))
    only = {"aws.ecr_repository/app": {}}
    assert differences(world.plan(only)) == {}
    world.converge({}, prune=True)
    until(lambda: world.account.client("ecr").describe_repositories()["repositories"] == [])
