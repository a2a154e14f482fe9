"""A token made for an EKS cluster is accepted by the sandbox's real Kubernetes API server."""

from __future__ import annotations

import base64
import json
import os
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.aws.testing import AwsSandbox

from .network import make_cluster
from .test_authenticator import token

pytestmark = pytest.mark.cluster
STATE = Path(os.environ.get("CAPSTAN_SANDBOX_DIR", "/var/lib/capstan/sandbox"))


@pytest.fixture(scope="module")
def eks_aws() -> Iterator[AwsSandbox]:
    with AwsSandbox(kubernetes_endpoint="https://10.77.0.1:16443", kubernetes_ca=STATE / "pki" / "ca.crt") as aws:
        aws.durations(read__lag=0, iam__propagation=0)
        yield aws


def who_am_i(cluster: dict[str, Any], bearer: str) -> dict[str, Any]:
    """What the cluster's API server says of the bearer: the user of a SelfSubjectReview, or {"code": status}."""
    authority = base64.b64decode(cluster["certificateAuthority"]["data"]).decode()
    document = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    request = urllib.request.Request(
        f"{cluster['endpoint']}/apis/authentication.k8s.io/v1/selfsubjectreviews",
        json.dumps(document).encode(),
        {"Authorization": f"Bearer {bearer}", "Content-Type": "application/json"},
    )
    trusted = ssl.create_default_context(cadata=authority)
    try:
        with urllib.request.urlopen(request, timeout=10, context=trusted) as answer:
            found: dict[str, Any] = json.load(answer)["status"]["userInfo"]
            return found
    except urllib.error.HTTPError as error:
        return {"code": error.code}


def test_the_creator_is_an_administrator_of_the_real_cluster(eks_aws: AwsSandbox) -> None:
    account = eks_aws.account()
    cluster = make_cluster(account, accessConfig={"authenticationMode": "API"})["cluster"]
    user = who_am_i(cluster, token(account.client("sts"), "main"))
    assert user["username"] == f"arn:aws:iam::{account.id}:user/operator"
    assert sorted(user["groups"]) == ["system:authenticated", "system:masters"]


def test_a_token_for_another_cluster_or_with_a_wrong_secret_is_refused(eks_aws: AwsSandbox) -> None:
    account = eks_aws.account()
    cluster = make_cluster(account)["cluster"]
    assert who_am_i(cluster, token(account.client("sts"), "other")) == {"code": 401}
    assert who_am_i(cluster, token(account.client("sts", aws_secret_access_key="wrong"), "main")) == {"code": 401}
