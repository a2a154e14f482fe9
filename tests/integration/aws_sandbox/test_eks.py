"""EKS: transitions, updates, access entries, client tokens."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.aws.testing import Account, AwsSandbox

from .conftest import code_of, wait_for
from .network import make_cluster, make_network, make_role

POLL = {"Delay": 0.02, "MaxAttempts": 500}


@pytest.fixture(autouse=True)
def _calm(calm: AwsSandbox) -> None:
    pass


def test_a_cluster_is_creating_before_it_is_active(account: Account) -> None:
    network = make_network(account)
    eks = account.client("eks")
    made = eks.create_cluster(
        name="main", roleArn=make_role(account, "r"), version="1.33", tags={"a": "b"},
        resourcesVpcConfig={"subnetIds": network["subnets"]},
    )["cluster"]
    assert (made["status"], "endpoint" in made, made["arn"]) == (
        "CREATING", False, f"arn:aws:eks:us-east-1:{account.id}:cluster/main"
    )
    assert code_of(eks.delete_cluster, name="main") == "ResourceInUseException"
    eks.get_waiter("cluster_active").wait(name="main", WaiterConfig=POLL)
    live = eks.describe_cluster(name="main")["cluster"]
    assert (live["version"], live["tags"]) == ("1.33", {"a": "b"})
    assert live["endpoint"].startswith("https://")
    assert live["resourcesVpcConfig"]["vpcId"] == network["vpc"]
    assert live["resourcesVpcConfig"]["clusterSecurityGroupId"].startswith("sg-")
    assert live["accessConfig"]["authenticationMode"] == "CONFIG_MAP"
    assert eks.list_clusters()["clusters"] == ["main"]


def test_a_deleted_cluster_is_deleting_before_it_is_gone(account: Account) -> None:
    make_cluster(account)
    eks = account.client("eks")
    assert eks.delete_cluster(name="main")["cluster"]["status"] == "DELETING"
    eks.get_waiter("cluster_deleted").wait(name="main", WaiterConfig=POLL)
    assert eks.list_clusters()["clusters"] == []


def test_a_protected_cluster_and_one_with_node_groups_refuse_to_be_deleted(account: Account) -> None:
    made = make_cluster(account, deletionProtection=True)
    eks = account.client("eks")
    assert code_of(eks.delete_cluster, name="main") == "InvalidRequestException"
    eks.create_nodegroup(
        clusterName="main", nodegroupName="n", subnets=made["subnets"],
        nodeRole=make_role(account, "node", "ec2.amazonaws.com"),
    )
    assert code_of(eks.delete_cluster, name="main") == "ResourceInUseException"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": "1.5"}, "unsupported Kubernetes version 1.5"),
        ({"roleArn": "arn:aws:iam::123456789012:role/none"}, "Role provided in the request does not exist"),
        ({"resourcesVpcConfig": {"subnetIds": ["subnet-0123456789abcdef0"]}}, "subnet-0123456789abcdef0"),
    ],
)
def test_a_wrong_cluster_is_refused_and_not_made(account: Account, change: dict[str, Any], message: str) -> None:
    eks, network = account.client("eks"), make_network(account)
    good = {"name": "x", "roleArn": make_role(account, "r"), "resourcesVpcConfig": {"subnetIds": network["subnets"]}}
    with pytest.raises(eks.exceptions.InvalidParameterException, match=message):
        eks.create_cluster(**{**good, **change})
    assert eks.list_clusters()["clusters"] == []


def test_a_role_that_does_not_trust_eks_is_refused(account: Account) -> None:
    eks, network = account.client("eks"), make_network(account)
    role = make_role(account, "r", "ec2.amazonaws.com")
    with pytest.raises(eks.exceptions.InvalidParameterException, match="could not be assumed"):
        eks.create_cluster(name="x", roleArn=role, resourcesVpcConfig={"subnetIds": network["subnets"]})


def test_the_same_client_token_creates_once(aws: AwsSandbox, account: Account) -> None:
    eks, network = account.client("eks"), make_network(account)
    params: dict[str, Any] = {
        "name": "x", "roleArn": make_role(account, "r"), "clientRequestToken": "t1",
        "resourcesVpcConfig": {"subnetIds": network["subnets"]},
    }
    first = eks.create_cluster(**params)["cluster"]["createdAt"]
    assert eks.create_cluster(**params)["cluster"]["createdAt"] == first
    assert code_of(eks.create_cluster, **{**params, "version": "1.31"}) == "InvalidParameterException"
    assert code_of(eks.create_cluster, **{**params, "clientRequestToken": "t2"}) == "ResourceInUseException"
    aws.quirks(off=["eks-client-request-token"])
    assert code_of(eks.create_cluster, **params) == "ResourceInUseException"


def test_an_update_runs_before_it_is_done_and_excludes_others(account: Account) -> None:
    make_cluster(account, version="1.32")
    eks = account.client("eks")
    update = eks.update_cluster_version(name="main", version="1.33")["update"]
    assert (update["status"], update["type"]) == ("InProgress", "VersionUpdate")
    assert eks.describe_cluster(name="main")["cluster"]["status"] == "UPDATING"
    logging = {"clusterLogging": [{"types": ["api", "audit"], "enabled": True}]}
    assert code_of(eks.update_cluster_config, name="main", logging=logging) == "ResourceInUseException"
    wait_for(lambda: eks.describe_update(name="main", updateId=update["id"])["update"]["status"] == "Successful")
    live = eks.describe_cluster(name="main")["cluster"]
    assert (live["status"], live["version"]) == ("ACTIVE", "1.33")
    assert eks.list_updates(name="main")["updateIds"] == [update["id"]]


def test_versions_go_up_one_minor_at_a_time(account: Account) -> None:
    make_cluster(account, version="1.31")
    eks = account.client("eks")
    assert code_of(eks.update_cluster_version, name="main", version="1.33") == "InvalidParameterException"
    assert code_of(eks.update_cluster_version, name="main", version="1.30") == "InvalidParameterException"
    assert code_of(eks.update_cluster_version, name="main", version="1.31") == "InvalidParameterException"


def test_configuration_changes_one_kind_at_a_time(account: Account) -> None:
    make_cluster(account)
    eks = account.client("eks")
    logging = {"clusterLogging": [{"types": ["audit"], "enabled": True}]}
    network = {"endpointPrivateAccess": True}
    both = {"name": "main", "logging": logging, "resourcesVpcConfig": network}
    assert code_of(eks.update_cluster_config, **both) == "InvalidParameterException"
    for change in ({"logging": logging}, {"resourcesVpcConfig": network}):
        eks.update_cluster_config(name="main", **change)
        wait_for(lambda: eks.describe_cluster(name="main")["cluster"]["status"] == "ACTIVE")
    live = eks.describe_cluster(name="main")["cluster"]
    assert live["logging"]["clusterLogging"][0] == {"types": ["audit"], "enabled": True}
    assert live["resourcesVpcConfig"]["endpointPrivateAccess"] is True
    assert code_of(eks.update_cluster_config, name="main", logging=logging) == "InvalidParameterException"


def test_a_node_group_has_states_and_takes_updates(account: Account) -> None:
    made, eks = make_cluster(account), account.client("eks")
    eks.create_nodegroup(
        clusterName="main", nodegroupName="n", subnets=made["subnets"], labels={"a": "1"},
        nodeRole=make_role(account, "node", "ec2.amazonaws.com"),
        scalingConfig={"minSize": 1, "maxSize": 3, "desiredSize": 2},
    )
    both = {"clusterName": "main", "nodegroupName": "n"}
    assert eks.describe_nodegroup(**both)["nodegroup"]["status"] == "CREATING"
    assert code_of(eks.update_nodegroup_config, **both, labels={}) == "ResourceInUseException"
    eks.get_waiter("nodegroup_active").wait(**both, WaiterConfig=POLL)
    assert code_of(eks.update_nodegroup_config, **both, scalingConfig={"desiredSize": 9}) == "InvalidParameterException"
    update = eks.update_nodegroup_config(
        **both, scalingConfig={"desiredSize": 3}, labels={"addOrUpdateLabels": {"b": "2"}, "removeLabels": ["a"]},
        taints={"addOrUpdateTaints": [{"key": "k", "value": "v", "effect": "NO_SCHEDULE"}]},
    )["update"]
    wait_for(lambda: eks.describe_update(name="main", nodegroupName="n", updateId=update["id"])["update"]["status"]
             == "Successful")
    live = eks.describe_nodegroup(**both)["nodegroup"]
    assert (live["status"], live["labels"]) == ("ACTIVE", {"b": "2"})
    assert live["scalingConfig"] == {"minSize": 1, "maxSize": 3, "desiredSize": 3}
    assert live["taints"] == [{"key": "k", "value": "v", "effect": "NO_SCHEDULE"}]
    eks.delete_nodegroup(**both)
    assert eks.describe_nodegroup(**both)["nodegroup"]["status"] == "DELETING"
    eks.get_waiter("nodegroup_deleted").wait(**both, WaiterConfig=POLL)
    assert eks.list_nodegroups(clusterName="main")["nodegroups"] == []


def test_a_node_group_needs_an_active_cluster(account: Account) -> None:
    network, eks = make_network(account), account.client("eks")
    eks.create_cluster(name="x", roleArn=make_role(account, "r"), resourcesVpcConfig={"subnetIds": network["subnets"]})
    role = make_role(account, "node", "ec2.amazonaws.com")
    params = {"clusterName": "x", "nodegroupName": "n", "subnets": network["subnets"], "nodeRole": role}
    assert code_of(eks.create_nodegroup, **params) == "InvalidRequestException"


def test_access_entries_admit_principals_and_the_creator_is_there_already(account: Account) -> None:
    make_cluster(account, accessConfig={"authenticationMode": "API"})
    eks, user = account.client("eks"), f"arn:aws:iam::{account.id}:user/operator"
    assert eks.list_access_entries(clusterName="main")["accessEntries"] == [user]
    role = f"arn:aws:iam::{account.id}:role/dev"
    eks.create_access_entry(clusterName="main", principalArn=role, kubernetesGroups=["viewers"], tags={"x": "y"})
    entry = eks.describe_access_entry(clusterName="main", principalArn=role)["accessEntry"]
    assert (entry["kubernetesGroups"], entry["type"], entry["tags"]) == (["viewers"], "STANDARD", {"x": "y"})
    assert entry["username"] == f"arn:aws:sts::{account.id}:assumed-role/dev/{{{{SessionName}}}}"
    eks.update_access_entry(clusterName="main", principalArn=role, kubernetesGroups=["editors"])
    assert eks.describe_access_entry(clusterName="main", principalArn=role)["accessEntry"]["kubernetesGroups"] == [
        "editors"
    ]
    assert code_of(eks.create_access_entry, clusterName="main", principalArn=role) == "ResourceInUseException"
    groups = {"clusterName": "main", "principalArn": user + "2", "kubernetesGroups": ["system:masters"]}
    assert code_of(eks.create_access_entry, **groups) == "InvalidParameterException"
    policy = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"
    eks.associate_access_policy(
        clusterName="main", principalArn=role, policyArn=policy,
        accessScope={"type": "namespace", "namespaces": ["a"]},
    )
    found = eks.list_associated_access_policies(clusterName="main", principalArn=role)["associatedAccessPolicies"]
    assert [(p["policyArn"], p["accessScope"]) for p in found] == [
        (policy, {"type": "namespace", "namespaces": ["a"]})
    ]
    eks.disassociate_access_policy(clusterName="main", principalArn=role, policyArn=policy)
    eks.delete_access_entry(clusterName="main", principalArn=role)
    assert code_of(eks.describe_access_entry, clusterName="main", principalArn=role) == "ResourceNotFoundException"


def test_access_entries_need_the_api_mode_which_brings_the_creator_in(account: Account) -> None:
    make_cluster(account)
    eks = account.client("eks")
    assert code_of(eks.list_access_entries, clusterName="main") == "InvalidRequestException"
    eks.update_cluster_config(name="main", accessConfig={"authenticationMode": "API_AND_CONFIG_MAP"})
    wait_for(lambda: eks.describe_cluster(name="main")["cluster"]["status"] == "ACTIVE")
    assert len(eks.list_access_entries(clusterName="main")["accessEntries"]) == 1
    back = {"authenticationMode": "CONFIG_MAP"}
    assert code_of(eks.update_cluster_config, name="main", accessConfig=back) == "InvalidParameterException"


def test_an_addon_has_states_and_versions(account: Account) -> None:
    make_cluster(account)
    eks, both = account.client("eks"), {"clusterName": "main", "addonName": "vpc-cni"}
    eks.create_addon(**both, addonVersion="v1.19.6-eksbuild.7", configurationValues='{"a":1}')
    eks.get_waiter("addon_active").wait(**both, WaiterConfig=POLL)
    assert code_of(eks.update_addon, **both, addonVersion="v0") == "InvalidParameterException"
    eks.update_addon(**both, addonVersion="v1.20.4-eksbuild.2")
    assert eks.describe_addon(**both)["addon"]["status"] == "UPDATING"
    wait_for(lambda: eks.describe_addon(**both)["addon"]["status"] == "ACTIVE")
    live = eks.describe_addon(**both)["addon"]
    assert (live["addonVersion"], live["configurationValues"]) == ("v1.20.4-eksbuild.2", '{"a":1}')
    eks.delete_addon(**both)
    wait_for(lambda: eks.list_addons(clusterName="main")["addons"] == [])


def test_tags_of_a_cluster_are_changed_by_its_arn(account: Account) -> None:
    arn = make_cluster(account, tags={"a": "1"})["cluster"]["arn"]
    eks = account.client("eks")
    eks.tag_resource(resourceArn=arn, tags={"b": "2"})
    eks.untag_resource(resourceArn=arn, tagKeys=["a"])
    assert eks.list_tags_for_resource(resourceArn=arn)["tags"] == {"b": "2"}
    assert eks.describe_cluster(name="main")["cluster"]["tags"] == {"b": "2"}


def test_lists_come_in_pages(account: Account) -> None:
    made, eks = make_cluster(account, "a1"), account.client("eks")
    role = made["cluster"]["roleArn"]
    for name in ("b2", "c3"):
        eks.create_cluster(name=name, roleArn=role, resourcesVpcConfig={"subnetIds": made["subnets"]})
    first = eks.list_clusters(maxResults=2)
    rest = eks.list_clusters(maxResults=2, nextToken=first["nextToken"])
    assert (first["clusters"], rest["clusters"], "nextToken" in rest) == (["a1", "b2"], ["c3"], False)
    assert code_of(eks.list_clusters, nextToken="nonsense") == "InvalidParameterException"
