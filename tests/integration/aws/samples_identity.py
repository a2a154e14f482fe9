"""Samples of roles."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from sandbox.aws.testing import Account

from .contract import Sample, drift, scrubbed, sort_tags, tags_of
from .samples_network import is_refused


def trusting(service: str) -> dict[str, Any]:
    """The trust policy of a role for one AWS service."""
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return {"Version": "2012-10-17", "Statement": [statement]}


def until(ready: Callable[[], bool], deadline_s: float = 20.0) -> None:
    """Waits for `ready`; fails after `deadline_s` seconds."""
    end = time.monotonic() + deadline_s
    while not ready():
        assert time.monotonic() < end, f"did not become true within {deadline_s} s"
        time.sleep(0.05)


# -- role ----------------------------------------------------------------------------------------------------------
_READ_BUCKET = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": ["s3:GetObject", "s3:ListBucket"], "Resource": "arn:aws:s3:::x/*"}],
}
_CNI = "arn:aws:iam::aws:policy/AmazonEKS_CNI_Policy"
_WORKER = "arn:aws:iam::aws:policy/AmazonEKSWorkerNodePolicy"
_BOUNDARY = "arn:aws:iam::aws:policy/PowerUserAccess"


def _name(live: str) -> str:
    return live.rpartition("/")[2]


def _role(aws: Account, live: str) -> dict[str, Any]:
    iam, name = aws.client("iam"), _name(live)
    role = sort_tags(iam.get_role(RoleName=name)["Role"])
    inline = iam.list_role_policies(RoleName=name)["PolicyNames"]
    role["Inline"] = {one: iam.get_role_policy(RoleName=name, PolicyName=one)["PolicyDocument"] for one in inline}
    attached = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
    role["Attached"] = sorted(one["PolicyArn"] for one in attached)
    return dict(scrubbed(role, "CreateDate", "RoleLastUsed", "RoleId"))


def _as_other_spelling(aws: Account, live: str) -> None:
    """The same trust in other words: a list for a single string, other member order, a statement id."""
    statement = {"Action": ["sts:AssumeRole"], "Principal": {"Service": ["ec2.amazonaws.com"]}, "Effect": "Allow"}
    document = json.dumps({"Statement": statement, "Version": "2012-10-17"}, indent=2)
    aws.client("iam").update_assume_role_policy(RoleName=_name(live), PolicyDocument=document)


role = Sample(
    address="aws.iam_role/node",
    description={
        "aws.iam_role/node": {
            "assume_policy": trusting("ec2.amazonaws.com"),
            "description": "the nodes",
            "path": "/shop/",
            "max_session_s": 7200,
            "permissions_boundary": _BOUNDARY,
            "inline_policies": {"read": _READ_BUCKET},
            "managed_policies": [_CNI, _WORKER],
            "tags": {"team": "core"},
        }
    },
    facts=_role,
    gone=lambda aws, live: is_refused("NoSuchEntity", aws.client("iam").get_role, RoleName=_name(live)),
    seen=lambda facts: {
        "trust": facts["AssumeRolePolicyDocument"]["Statement"][0]["Principal"],
        "description": facts["Description"],
        "path": facts["Path"],
        "session": facts["MaxSessionDuration"],
        "boundary": facts["PermissionsBoundary"]["PermissionsBoundaryArn"],
        "inline": {name: one["Statement"][0]["Action"] for name, one in facts["Inline"].items()},
        "attached": facts["Attached"],
        "team": tags_of(facts["Tags"])["team"],
        "stack": tags_of(facts["Tags"])["capstan:stack"],
    },
    expect={
        "trust": {"Service": "ec2.amazonaws.com"},
        "description": "the nodes",
        "path": "/shop/",
        "session": 7200,
        "boundary": "arn:aws:iam::aws:policy/PowerUserAccess",
        "inline": {"read": ["s3:GetObject", "s3:ListBucket"]},
        "attached": [
            "arn:aws:iam::aws:policy/AmazonEKSWorkerNodePolicy",
            "arn:aws:iam::aws:policy/AmazonEKS_CNI_Policy",
        ],
        "team": "core",
        "stack": "shop",
    },
    changes={
        "assume_policy": json.dumps(trusting("eks.amazonaws.com")),
        "description": "other nodes",
        "max_session_s": 3600,
        "permissions_boundary": None,
        "inline_policies": {"write": _READ_BUCKET},
        "managed_policies": [_CNI],
        "tags": {"team": "data"},
    },
    replaces={"path": "/other/"},
    drifts={
        "the trust policy changed": drift(
            lambda aws, live: aws.client("iam").update_assume_role_policy(
                RoleName=_name(live), PolicyDocument=json.dumps(trusting("lambda.amazonaws.com"))
            ),
            "assume_policy",
        ),
        "the description changed": drift(
            lambda aws, live: aws.client("iam").update_role(
                RoleName=_name(live), Description="hm", MaxSessionDuration=7200
            ),
            "description",
        ),
        "a policy detached": drift(
            lambda aws, live: aws.client("iam").detach_role_policy(RoleName=_name(live), PolicyArn=_CNI),
            "managed_policies",
        ),
        "a policy attached": drift(
            lambda aws, live: aws.client("iam").attach_role_policy(
                RoleName=_name(live), PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess"
            ),
            "managed_policies",
        ),
        "an inline policy added": drift(
            lambda aws, live: aws.client("iam").put_role_policy(
                RoleName=_name(live), PolicyName="extra", PolicyDocument=json.dumps(_READ_BUCKET)
            ),
            "inline_policies",
        ),
        "the boundary removed": drift(
            lambda aws, live: aws.client("iam").delete_role_permissions_boundary(RoleName=_name(live)),
            "permissions_boundary",
        ),
        "a mark removed": drift(
            lambda aws, live: aws.client("iam").untag_role(RoleName=_name(live), TagKeys=["capstan:component"]),
            "marks",
        ),
    },
    others_at_work={
        "a tag added": lambda aws, live: aws.client("iam").tag_role(
            RoleName=_name(live), Tags=[{"Key": "billing", "Value": "77"}]
        ),
        "the trust policy spelled otherwise": _as_other_spelling,
    },
    read_calls={"GetAccountAuthorizationDetails": 1, "GetRole": 1},
)

SAMPLES = [role]
