"""EC2's documented behaviour, and that each quirk is what brings it about."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from sandbox.aws.testing import Account, AwsSandbox

from .conftest import UNSEEN_S, code_of, wait_for
from .network import make_cluster, make_network


@pytest.fixture
def ec2(calm: AwsSandbox, account: Account) -> Any:
    return account.client("ec2")


def make_group(ec2: Any, vpc: str, name: str = "g") -> str:
    return str(ec2.create_security_group(GroupName=name, Description="d", VpcId=vpc)["GroupId"])


def test_an_account_has_no_default_vpc_but_can_ask_for_one(aws: AwsSandbox, ec2: Any) -> None:
    assert ec2.describe_vpcs()["Vpcs"] == []
    for member, call in (("SecurityGroups", ec2.describe_security_groups), ("Subnets", ec2.describe_subnets),
                         ("RouteTables", ec2.describe_route_tables), ("NetworkAcls", ec2.describe_network_acls)):
        assert call()[member] == []
    assert code_of(ec2.create_security_group, GroupName="g", Description="d") == "VPCIdNotSpecified"
    assert ec2.create_default_vpc()["Vpc"]["IsDefault"] is True
    aws.quirks(off=["ec2-no-default-vpc"])
    assert [v["IsDefault"] for v in aws.account().client("ec2").describe_vpcs()["Vpcs"]] == [True]


def test_a_fresh_vpc_is_not_seen_at_once(aws: AwsSandbox, account: Account) -> None:
    aws.durations(read__lag=UNSEEN_S)
    ec2 = account.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    assert code_of(ec2.describe_vpcs, VpcIds=[vpc]) == "InvalidVpcID.NotFound"
    assert code_of(ec2.create_subnet, VpcId=vpc, CidrBlock="10.0.0.0/24") == "InvalidVpcID.NotFound"
    assert code_of(ec2.create_tags, Resources=[vpc], Tags=[{"Key": "a", "Value": "b"}]) == "InvalidVpcID.NotFound"
    assert ec2.describe_vpcs()["Vpcs"] == []
    aws.quirks(off=["ec2-read-after-write-lag"])
    assert [v["VpcId"] for v in ec2.describe_vpcs()["Vpcs"]] == [vpc]


def test_a_fresh_vpc_is_seen_soon(aws: AwsSandbox, account: Account) -> None:
    ec2 = account.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    wait_for(lambda: [v["VpcId"] for v in ec2.describe_vpcs()["Vpcs"]] == [vpc])


@pytest.mark.parametrize("kind", ["subnet", "internet gateway", "route table", "group", "interface"])
def test_every_kind_of_fresh_resource_is_seen_late(
    aws: AwsSandbox, calm: AwsSandbox, account: Account, kind: str
) -> None:
    ec2, network = account.client("ec2"), make_network(account)
    aws.durations(read__lag=UNSEEN_S)
    vpc, subnet = network["vpc"], network["subnets"][0]
    made: str
    if kind == "subnet":
        made = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.7.0/24")["Subnet"]["SubnetId"]
        listed, by_id, code = ec2.describe_subnets, {"SubnetIds": [made]}, "InvalidSubnetID.NotFound"
    elif kind == "internet gateway":
        made = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        listed, by_id = ec2.describe_internet_gateways, {"InternetGatewayIds": [made]}
        code = "InvalidInternetGatewayID.NotFound"
    elif kind == "route table":
        made = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
        listed, by_id, code = ec2.describe_route_tables, {"RouteTableIds": [made]}, "InvalidRouteTableID.NotFound"
    elif kind == "group":
        made = make_group(ec2, vpc)
        listed, by_id, code = ec2.describe_security_groups, {"GroupIds": [made]}, "InvalidGroup.NotFound"
    else:
        made = ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"]
        listed, by_id = ec2.describe_network_interfaces, {"NetworkInterfaceIds": [made]}
        code = "InvalidNetworkInterfaceID.NotFound"
    assert code_of(listed, **by_id) == code
    assert made not in str(listed())
    aws.quirks(off=["ec2-read-after-write-lag"])
    assert made in str(listed(**by_id))


def test_a_subnet_and_a_group_in_use_are_not_deleted(aws: AwsSandbox, account: Account, ec2: Any) -> None:
    network = make_network(account)
    group, subnet = make_group(ec2, network["vpc"]), network["subnets"][0]
    interface = ec2.create_network_interface(SubnetId=subnet, Groups=[group])["NetworkInterface"]["NetworkInterfaceId"]
    assert code_of(ec2.delete_subnet, SubnetId=subnet) == "DependencyViolation"
    assert code_of(ec2.delete_security_group, GroupId=group) == "DependencyViolation"
    ec2.delete_network_interface(NetworkInterfaceId=interface)
    assert code_of(ec2.delete_subnet, SubnetId=subnet) == ""
    assert code_of(ec2.delete_security_group, GroupId=group) == ""


def test_a_group_that_another_group_names_is_not_deleted(account: Account, ec2: Any) -> None:
    vpc = make_network(account)["vpc"]
    named, naming = make_group(ec2, vpc, "named"), make_group(ec2, vpc, "naming")
    permission = {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 2, "UserIdGroupPairs": [{"GroupId": named}]}
    ec2.authorize_security_group_ingress(GroupId=naming, IpPermissions=[permission])
    assert code_of(ec2.delete_security_group, GroupId=named) == "DependencyViolation"
    ec2.revoke_security_group_ingress(GroupId=naming, IpPermissions=[permission])
    assert code_of(ec2.delete_security_group, GroupId=named) == ""


def test_a_group_that_names_itself_is_deleted_and_the_default_one_is_not(account: Account, ec2: Any) -> None:
    vpc = make_network(account)["vpc"]
    group = make_group(ec2, vpc)
    permission = {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group}]}
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission])
    assert code_of(ec2.delete_security_group, GroupId=group) == ""
    (default,) = ec2.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["SecurityGroups"]
    assert code_of(ec2.delete_security_group, GroupId=default["GroupId"]) == "CannotDelete"


def test_a_vpc_goes_last(account: Account, ec2: Any) -> None:
    network = make_network(account)
    vpc = network["vpc"]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    group = make_group(ec2, vpc)
    for undo in (
        lambda: [ec2.delete_subnet(SubnetId=s) for s in network["subnets"]],
        lambda: ec2.delete_security_group(GroupId=group),
        lambda: ec2.delete_route_table(RouteTableId=table),
        lambda: ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc),
    ):
        assert code_of(ec2.delete_vpc, VpcId=vpc) == "DependencyViolation"
        undo()
    assert code_of(ec2.delete_vpc, VpcId=vpc) == ""
    assert ec2.describe_vpcs()["Vpcs"] == []


def test_an_attached_gateway_is_not_deleted(account: Account, ec2: Any) -> None:
    vpc = make_network(account)["vpc"]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    assert code_of(ec2.delete_internet_gateway, InternetGatewayId=gateway) == "DependencyViolation"


def test_a_route_table_in_use_is_not_deleted_and_a_subnet_has_one(account: Account, aws: AwsSandbox, ec2: Any) -> None:
    network = make_network(account)
    subnet = network["subnets"][0]
    one, other = (ec2.create_route_table(VpcId=network["vpc"])["RouteTable"]["RouteTableId"] for _ in range(2))
    association = ec2.associate_route_table(RouteTableId=one, SubnetId=subnet)["AssociationId"]
    assert code_of(ec2.delete_route_table, RouteTableId=one) == "DependencyViolation"
    again = {"RouteTableId": other, "SubnetId": subnet}
    assert code_of(ec2.associate_route_table, **again) == "Resource.AlreadyAssociated"
    aws.quirks(off=["ec2-one-route-table-per-subnet"])
    assert code_of(ec2.associate_route_table, **again) == ""
    aws.quirks(on=["*"])
    ec2.replace_route_table_association(AssociationId=association, RouteTableId=other)
    assert code_of(ec2.delete_route_table, RouteTableId=one) == ""
    ec2.delete_subnet(SubnetId=subnet)
    assert code_of(ec2.delete_route_table, RouteTableId=other) == ""


def test_dependencies_are_looked_at_only_with_the_quirk(account: Account, aws: AwsSandbox, ec2: Any) -> None:
    network = make_network(account)
    ec2.create_network_interface(SubnetId=network["subnets"][0])
    assert code_of(ec2.delete_subnet, SubnetId=network["subnets"][0]) == "DependencyViolation"
    aws.quirks(off=["ec2-dependency-violation"])
    assert code_of(ec2.delete_subnet, SubnetId=network["subnets"][0]) == ""


def test_interfaces_of_a_cluster_linger_after_it_and_hold_its_subnets(
    account: Account, aws: AwsSandbox, ec2: Any
) -> None:
    made, eks = make_cluster(account), account.client("eks")
    found = ec2.describe_network_interfaces()["NetworkInterfaces"]
    assert [i["Description"] for i in found] == ["Amazon EKS main"] * 2
    mine = {"NetworkInterfaceId": found[0]["NetworkInterfaceId"]}
    assert code_of(ec2.delete_network_interface, **mine) == "OperationNotPermitted"
    eks.delete_cluster(name="main")
    wait_for(lambda: eks.list_clusters()["clusters"] == [])
    assert code_of(ec2.delete_subnet, SubnetId=made["subnets"][0]) == "DependencyViolation"
    wait_for(lambda: code_of(ec2.delete_subnet, SubnetId=made["subnets"][0]) == "")
    wait_for(lambda: [g["GroupName"] for g in ec2.describe_security_groups()["SecurityGroups"]] == ["default"])


def test_interfaces_of_services_are_the_accounts_to_delete_only_without_the_quirk(
    account: Account, aws: AwsSandbox, ec2: Any
) -> None:
    make_cluster(account)
    aws.quirks(off=["ec2-managed-interfaces"])
    (first, _) = ec2.describe_network_interfaces()["NetworkInterfaces"]
    assert code_of(ec2.delete_network_interface, NetworkInterfaceId=first["NetworkInterfaceId"]) == ""


def test_a_region_holds_five_vpcs_and_five_gateways(aws: AwsSandbox, ec2: Any) -> None:
    for number in range(5):
        ec2.create_vpc(CidrBlock=f"10.{number}.0.0/16")
        ec2.create_internet_gateway()
    assert code_of(ec2.create_vpc, CidrBlock="10.9.0.0/16") == "VpcLimitExceeded"
    assert code_of(ec2.create_internet_gateway) == "InternetGatewayLimitExceeded"
    aws.quirks(off=["ec2-vpc-quotas"])
    assert code_of(ec2.create_vpc, CidrBlock="10.9.0.0/16") == ""
    assert code_of(ec2.create_internet_gateway) == ""


def test_an_id_of_the_wrong_form_is_malformed(aws: AwsSandbox, ec2: Any) -> None:
    assert code_of(ec2.describe_vpcs, VpcIds=["vpc-123"]) == "InvalidVpcID.Malformed"
    assert code_of(ec2.create_subnet, VpcId="main", CidrBlock="10.0.0.0/24") == "InvalidVpcID.Malformed"
    aws.quirks(off=["ec2-malformed-ids"])
    assert code_of(ec2.describe_vpcs, VpcIds=["vpc-123"]) == "InvalidVpcID.NotFound"


def test_an_unknown_filter_is_refused(aws: AwsSandbox, ec2: Any) -> None:
    unknown = {"Filters": [{"Name": "nope", "Values": ["x"]}]}
    assert code_of(ec2.describe_vpcs, **unknown) == "InvalidParameterValue"
    aws.quirks(off=["ec2-unknown-filters"])
    assert code_of(ec2.describe_vpcs, **unknown) == ""


def test_a_rule_is_there_once(account: Account, ec2: Any) -> None:
    group = make_group(ec2, make_network(account)["vpc"])
    rule = {"GroupId": group, "IpPermissions": [
        {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}]}
    ec2.authorize_security_group_ingress(**rule)
    assert code_of(ec2.authorize_security_group_ingress, **rule) == "InvalidPermission.Duplicate"
    ec2.revoke_security_group_ingress(**rule)
    assert code_of(ec2.revoke_security_group_ingress, **rule) == "InvalidPermission.NotFound"


def test_lists_come_in_pages(ec2: Any) -> None:
    aws_pages = [ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]]
    for number in range(6):
        aws_pages.append(ec2.create_security_group(
            GroupName=f"g{number}", Description="d", VpcId=aws_pages[0])["GroupId"])
    first = ec2.describe_security_groups(MaxResults=5)
    rest = ec2.describe_security_groups(MaxResults=5, NextToken=first["NextToken"])
    assert (len(first["SecurityGroups"]), len(rest["SecurityGroups"]), rest.get("NextToken")) == (5, 2, None)


def test_many_threads_create_each_their_own(account: Account, ec2: Any) -> None:
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    failed: list[str] = []

    def create(number: int) -> None:
        code = code_of(ec2.create_subnet, VpcId=vpc, CidrBlock=f"10.0.{number}.0/24")
        again = code_of(ec2.create_security_group, GroupName="same", Description="d", VpcId=vpc)
        failed.extend(c for c in (code, again) if c)

    threads = [threading.Thread(target=create, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == ["InvalidGroup.Duplicate"] * 15
    assert len(ec2.describe_subnets()["Subnets"]) == 16


def test_a_page_size_and_ids_exclude_each_other(ec2: Any) -> None:
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    both = {"VpcIds": [vpc], "MaxResults": 5}
    assert code_of(ec2.describe_vpcs, **both) == "InvalidParameterCombination"
    assert code_of(ec2.describe_vpcs, NextToken="nonsense") == "InvalidNextToken"


def test_documented_filters_work(account: Account, ec2: Any) -> None:
    network = make_network(account)
    ec2.create_tags(Resources=[network["vpc"]], Tags=[{"Key": "owner", "Value": "me"}])
    mine = {"Name": "tag:owner", "Values": ["me"]}
    assert [v["VpcId"] for v in ec2.describe_vpcs(Filters=[mine])["Vpcs"]] == [network["vpc"]]
    assert ec2.describe_vpcs(Filters=[{"Name": "tag-key", "Values": ["other"]}])["Vpcs"] == []
    zone = {"Name": "availability-zone", "Values": ["us-east-1b"]}
    assert [s["SubnetId"] for s in ec2.describe_subnets(Filters=[zone])["Subnets"]] == [network["subnets"][1]]


def test_a_rule_whose_other_side_is_a_group_keeps_its_description(ec2: Any) -> None:
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    group, other = make_group(ec2, vpc, "a"), make_group(ec2, vpc, "b")
    pair = {"GroupId": other, "Description": "from b"}
    permission = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "UserIdGroupPairs": [pair]}
    made = ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission])["SecurityGroupRules"]
    assert [rule["Description"] for rule in made] == ["from b"]
    found = ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group]}])["SecurityGroupRules"]
    assert [rule.get("Description") for rule in found if not rule["IsEgress"]] == ["from b"]
