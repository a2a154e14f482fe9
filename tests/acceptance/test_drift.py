"""What others change: shown by name and mended when it is drift, left alone when it is their business."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .world import Ran, World, until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

SSH = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "192.0.2.0/24"}]}
SSH_SHOWN = {"description": "", "from_port": 22, "other": "192.0.2.0/24", "protocol": "tcp", "to_port": 22}


def world_destinations(world: World) -> list[str]:
    return [route["DestinationCidrBlock"] for route in world.route_table("public")["Routes"]]


def log_level(world: World) -> str:
    name = world.named("configmap", "app-config")
    return world.kubectl("get", "configmap", name, "-n", world.stack, "-o", "jsonpath={.data.LOG_LEVEL}")


def nothing_shown(ran: Ran) -> bool:
    return (ran.code, ran.changes, ran.writes) == (0, {}, []) and "No changes: all" in ran.out


def test_drift_is_shown_by_name_and_the_next_run_mends_exactly_that(world: World) -> None:
    ec2 = world.aws.client("ec2")
    ec2.delete_route(RouteTableId=world.route_table("public")["RouteTableId"], DestinationCidrBlock="0.0.0.0/0")
    ec2.authorize_security_group_ingress(GroupId=world.group("backend")["GroupId"], IpPermissions=[SSH])
    patch = json.dumps({"data": {"LOG_LEVEL": "ERROR"}})
    name = world.named("configmap", "app-config")
    assert "patched" in world.kubectl("patch", "configmap", name, "-n", world.stack, "-p", patch)
    assert "deleted" in world.kubectl("delete", "service", "backend", "-n", world.stack)
    assert world_destinations(world) == ["10.0.0.0/16"]

    config, service = f"kube.ConfigMap/{world.stack}/app-config", f"kube.Service/{world.stack}/backend"
    drifted = {"aws.route_table/public": "update", config: "update", service: "create"}
    check = world.check("--diff")
    assert (check.code, check.changes) == (0, drifted)
    assert check.of(config)["fields"] == {"data.LOG_LEVEL": {"before": "ERROR", "after": "DEBUG"}}
    assert check.of("aws.security_group/backend")["foreign"]["ingress"] == [SSH_SHOWN]
    assert "-data.LOG_LEVEL: ERROR\n+data.LOG_LEVEL: DEBUG" in check.out

    mended = world.play()
    assert (mended.code, mended.changes) == (0, drifted), mended.out
    # An apply that another manager's field stops is sent a second time, so a path may be there twice.
    assert set(mended.lasting) == {
        "CreateRoute",
        f"PATCH /api/v1/namespaces/{world.stack}/configmaps/{name}",
        f"PATCH /api/v1/namespaces/{world.stack}/services/backend",
    }
    assert world_destinations(world) == ["10.0.0.0/16", "0.0.0.0/0"]
    assert log_level(world) == "DEBUG"
    assert world.ports_of("backend") == [22, 8080]

    closed = world.play(network_exclusive_rules=True)
    assert (closed.code, closed.changes) == (0, {"aws.security_group/backend": "update"}), closed.out
    assert closed.lasting == ["RevokeSecurityGroupIngress"]
    assert world.ports_of("backend") == [8080]


def scaled(world: World) -> None:
    world.kubectl("scale", "deployment", "backend", "-n", world.stack, "--replicas=3")


def replicas_and_who_set_them(world: World) -> tuple[int, set[str]]:
    """The backend's, by the Deployment's managed fields."""
    answer = world.kubectl("get", "deployment", "backend", "-n", world.stack, "-o", "json", "--show-managed-fields")
    found = json.loads(answer)
    fields = found["metadata"]["managedFields"]
    owners = {each["manager"] for each in fields if "f:replicas" in each["fieldsV1"].get("f:spec", {})}
    return found["spec"]["replicas"], owners


def grown(world: World) -> None:
    change(world, AllocatedStorage=40)


def upgraded(world: World) -> None:
    change(world, EngineVersion="15.14")
    assert world.database()["EngineVersion"] == "15.14"


def tagged(world: World) -> None:
    name = world.group("alb")["GroupId"]
    world.aws.client("ec2").create_tags(Resources=[name], Tags=[{"Key": "cost-center", "Value": "17"}])
    world.kubectl("label", "deployment", "frontend", "-n", world.stack, "team=web")
    world.kubectl("annotate", "service", "backend", "-n", world.stack, "example.com/seen=yes")


def change(world: World, **values: Any) -> None:
    name = world.database()["DBInstanceIdentifier"]
    world.aws.client("rds").modify_db_instance(DBInstanceIdentifier=name, ApplyImmediately=True, **values)
    until(lambda: world.database()["DBInstanceStatus"] == "available" and not world.database()["PendingModifiedValues"])


@pytest.mark.parametrize("others", [scaled, grown, upgraded, tagged])
def test_what_is_the_business_of_others_shows_no_change(world: World, others: Any) -> None:
    others(world)
    assert nothing_shown(world.check("--diff")), world.output()


def test_what_others_did_stays_after_an_apply(world: World) -> None:
    scaled(world)
    grown(world)
    tagged(world)
    assert nothing_shown(world.play()), world.output()
    # The autoscaler may take a third idle pod back at any time: then the number is its own, and says so.
    replicas, owners = replicas_and_who_set_them(world)
    assert (replicas, owners) == (3, {"kubectl"}) or owners == {"kube-controller-manager"}
    assert world.database()["AllocatedStorage"] == 40
    assert {"Key": "cost-center", "Value": "17"} in world.group("alb")["Tags"]
