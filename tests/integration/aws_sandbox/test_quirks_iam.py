"""IAM's documented behaviour, and that each quirk is what brings it about."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from sandbox.aws.testing import Account, AwsSandbox

from .conftest import UNSEEN_S, code_of, wait_for
from .network import make_network, make_role, trust

PRINCIPAL = (
    '{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{{"AWS":"{}"}},"Action":"sts:AssumeRole"}}]}}'
)


def test_a_fresh_role_is_unknown_to_eks_for_a_while(aws: AwsSandbox, account: Account) -> None:
    aws.durations(read__lag=0, iam__propagation=60)
    network, eks = make_network(account), account.client("eks")
    params = {"name": "x", "roleArn": make_role(account, "r"), "resourcesVpcConfig": {"subnetIds": network["subnets"]}}
    with pytest.raises(eks.exceptions.InvalidParameterException, match="Role provided in the request does not exist"):
        eks.create_cluster(**params)
    aws.quirks(off=["iam-role-propagation"])
    assert code_of(eks.create_cluster, **params) == ""


def test_a_role_is_known_to_eks_after_a_second(aws: AwsSandbox, account: Account) -> None:
    aws.durations(read__lag=0)
    network, eks = make_network(account), account.client("eks")
    params = {"name": "x", "roleArn": make_role(account, "r"), "resourcesVpcConfig": {"subnetIds": network["subnets"]}}
    wait_for(lambda: code_of(eks.create_cluster, **params) == "")


def test_a_trust_policy_may_not_name_a_fresh_or_absent_role(aws: AwsSandbox, account: Account) -> None:
    aws.durations(read__lag=0, iam__propagation=60)
    iam = account.client("iam")
    fresh = PRINCIPAL.format(make_role(account, "fresh"))
    absent = PRINCIPAL.format(f"arn:aws:iam::{account.id}:role/absent")
    for document in (fresh, absent):
        with pytest.raises(iam.exceptions.MalformedPolicyDocumentException, match="Invalid principal in policy"):
            iam.create_role(RoleName="a", AssumeRolePolicyDocument=document)
    update = {"RoleName": "fresh", "PolicyDocument": absent}
    assert code_of(iam.update_assume_role_policy, **update) == "MalformedPolicyDocument"
    aws.durations(iam__propagation=0)
    assert code_of(iam.create_role, RoleName="b", AssumeRolePolicyDocument=fresh) == ""
    assert code_of(iam.create_role, RoleName="c", AssumeRolePolicyDocument=absent) == "MalformedPolicyDocument"
    aws.quirks(off=["iam-principal-propagation"])
    assert code_of(iam.create_role, RoleName="c", AssumeRolePolicyDocument=absent) == ""


def test_a_fresh_role_is_missing_in_lists(aws: AwsSandbox, account: Account) -> None:
    aws.durations(read__lag=UNSEEN_S)
    iam = account.client("iam")
    make_role(account, "r")
    assert iam.list_roles()["Roles"] == []
    assert iam.get_account_authorization_details(Filter=["Role"])["RoleDetailList"] == []
    assert iam.get_role(RoleName="r")["Role"]["RoleName"] == "r"
    aws.quirks(off=["iam-read-after-write-lag"])
    assert [r["RoleName"] for r in iam.list_roles()["Roles"]] == ["r"]
    assert [r["RoleName"] for r in iam.get_account_authorization_details()["RoleDetailList"]] == ["r"]


def test_role_names_are_unique_in_any_case_and_limited(aws: AwsSandbox, account: Account) -> None:
    iam, document = account.client("iam"), trust("eks.amazonaws.com")
    make_role(account, "App")
    assert code_of(iam.create_role, RoleName="App", AssumeRolePolicyDocument=document) == "EntityAlreadyExists"
    assert code_of(iam.create_role, RoleName="app", AssumeRolePolicyDocument=document) == "EntityAlreadyExists"
    assert code_of(iam.create_role, RoleName="r" * 65, AssumeRolePolicyDocument=document) == "ValidationError"
    aws.quirks(off=["iam-names"])
    assert code_of(iam.create_role, RoleName="app", AssumeRolePolicyDocument=document) == ""


@pytest.mark.parametrize("document", ["{}", '{"Version":"2012-10-17","Statement":[{"Effect":"Allow"}]}'])
def test_a_trust_policy_has_statements_with_principals(aws: AwsSandbox, account: Account, document: str) -> None:
    iam = account.client("iam")
    params = {"RoleName": "r", "AssumeRolePolicyDocument": document}
    assert code_of(iam.create_role, **params) == "MalformedPolicyDocument"
    aws.quirks(off=["iam-trust-policy-syntax"])
    assert code_of(iam.create_role, **params) == ""


def test_list_roles_shows_no_tags_but_the_details_do(calm: AwsSandbox, account: Account) -> None:
    iam, tags = account.client("iam"), [{"Key": "a", "Value": "b"}]
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=trust("eks.amazonaws.com"), Tags=tags)
    assert {"Tags", "PermissionsBoundary", "RoleLastUsed"} & set(iam.list_roles()["Roles"][0]) == set()
    assert iam.get_role(RoleName="r")["Role"]["Tags"] == tags
    assert iam.get_account_authorization_details(Filter=["Role"])["RoleDetailList"][0]["Tags"] == tags


def test_details_hold_policies_and_come_in_pages(calm: AwsSandbox, account: Account) -> None:
    iam = account.client("iam")
    for name in ("a", "b", "c"):
        make_role(account, name)
    policy = json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]})
    iam.put_role_policy(RoleName="a", PolicyName="inline", PolicyDocument=policy)
    iam.attach_role_policy(RoleName="a", PolicyArn="arn:aws:iam::aws:policy/AmazonEKSClusterPolicy")
    pages = list(iam.get_paginator("get_account_authorization_details").paginate(
        Filter=["Role"], PaginationConfig={"PageSize": 2}))
    roles = [role for each in pages for role in each["RoleDetailList"]]
    assert sorted(role["RoleName"] for role in roles) == ["a", "b", "c"]
    detail = next(role for role in roles if role["RoleName"] == "a")
    assert [p["PolicyName"] for p in detail["RolePolicyList"]] == ["inline"]
    assert [p["PolicyName"] for p in detail["AttachedManagedPolicies"]] == ["AmazonEKSClusterPolicy"]


def test_a_role_with_policies_is_not_deleted(calm: AwsSandbox, account: Account) -> None:
    iam = account.client("iam")
    make_role(account, "r")
    attached = {"RoleName": "r", "PolicyArn": "arn:aws:iam::aws:policy/AmazonEKSWorkerNodePolicy"}
    iam.attach_role_policy(**attached)
    assert code_of(iam.delete_role, RoleName="r") == "DeleteConflict"
    iam.detach_role_policy(**attached)
    assert code_of(iam.delete_role, RoleName="r") == ""


def test_managed_policies_of_aws_are_there_without_being_loaded(account: Account) -> None:
    iam = account.client("iam")
    arn = "arn:aws:iam::aws:policy/service-role/AmazonEBSCSIDriverPolicy"
    assert iam.get_policy(PolicyArn=arn)["Policy"]["PolicyName"] == "AmazonEBSCSIDriverPolicy"
    assert iam.list_policies(Scope="Local")["Policies"] == []
    found = [p for page in iam.get_paginator("list_policies").paginate(Scope="AWS") for p in page["Policies"]]
    assert len(found) > 1000
    assert code_of(iam.get_policy, PolicyArn="arn:aws:iam::aws:policy/None") == "NoSuchEntity"


def test_of_many_creations_of_one_role_one_wins(calm: AwsSandbox, account: Account) -> None:
    iam, codes = account.client("iam"), list[str]()

    def create() -> None:
        codes.append(code_of(iam.create_role, RoleName="r", AssumeRolePolicyDocument=trust("eks.amazonaws.com")))

    threads = [threading.Thread(target=create) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == ["", *["EntityAlreadyExists"] * 15]


def test_every_quirk_tells_its_source_and_is_on(aws: AwsSandbox) -> None:
    found: list[dict[str, Any]] = aws.control("GET", "quirks")
    assert {q["on"] for q in found} == {True}
    assert all(q["source"] and q["summary"].endswith(".") for q in found)
    aws.quirks(off=["*"])
    assert {q["on"] for q in aws.control("GET", "quirks")} == {False}
