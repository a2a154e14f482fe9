"""A small network and roles for tests of what lives in them."""

from __future__ import annotations

import json
from typing import Any

from sandbox.aws.testing import Account


def trust(service: str) -> str:
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def make_role(account: Account, name: str, service: str = "eks.amazonaws.com") -> str:
    role = account.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=trust(service))
    return str(role["Role"]["Arn"])


def make_network(account: Account) -> dict[str, Any]:
    """{"vpc": id, "subnets": [two ids, in us-east-1a and us-east-1b]}."""
    ec2 = account.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{i}.0/24", AvailabilityZone=zone)["Subnet"]["SubnetId"]
        for i, zone in enumerate(["us-east-1a", "us-east-1b"])
    ]
    return {"vpc": vpc, "subnets": subnets}


def make_cluster(account: Account, name: str = "main", **more: Any) -> dict[str, Any]:
    """An ACTIVE cluster; the network it lies in, with "cluster" beside it."""
    network = make_network(account)
    eks = account.client("eks")
    eks.create_cluster(
        name=name, roleArn=make_role(account, f"{name}-cluster"),
        resourcesVpcConfig={"subnetIds": network["subnets"]}, **more,
    )
    eks.get_waiter("cluster_active").wait(name=name, WaiterConfig={"Delay": 0.02, "MaxAttempts": 500})
    return {**network, "cluster": eks.describe_cluster(name=name)["cluster"]}
