"""EKS tokens become Kubernetes users, and nothing else does."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.signers import RequestSigner

from sandbox.aws.testing import Account, AwsSandbox

from .conftest import code_of, wait_for
from .network import make_cluster, trust

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sandbox")


@pytest.fixture(scope="module")
def eks_aws(state: Path) -> Iterator[AwsSandbox]:
    """A sandbox that answers with a real endpoint and so registers itself."""
    authority = state / "ca.crt"
    authority.write_text("the authority\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAPSTAN_SANDBOX_DIR", str(state))
        with AwsSandbox(kubernetes_endpoint="https://10.77.0.1:16443", kubernetes_ca=authority) as aws:
            aws.durations(read__lag=0, iam__propagation=0)
            yield aws


@pytest.fixture(scope="module")
def webhook(state: Path) -> Iterator[str]:
    """The URL of a running authenticator."""
    process = subprocess.Popen(
        [sys.executable, "-m", "sandbox.aws.authenticator", "--listen", "127.0.0.1:0"],
        stdout=subprocess.PIPE, text=True, cwd=ROOT, env={"CAPSTAN_SANDBOX_DIR": str(state), "PATH": "/usr/bin:/bin"},
    )
    assert process.stdout is not None
    yield process.stdout.readline().strip().rpartition(" at ")[2]
    process.terminate()
    assert process.wait(5) == 0
    process.stdout.close()


def token(client: Any, cluster: str, expires_s: int = 60, change: tuple[str, str] = ("", "")) -> str:
    """A token as the AWS command line makes it; `change` replaces a part of its URL after signing."""
    credentials = client._request_signer._credentials
    signer = RequestSigner(
        client.meta.service_model.service_id, "us-east-1", "sts", "v4", credentials, client.meta.events
    )
    url = signer.generate_presigned_url(
        {"method": "GET", "url": f"{client.meta.endpoint_url}/?Action=GetCallerIdentity&Version=2011-06-15",
         "body": {}, "headers": {"x-k8s-aws-id": cluster} if cluster else {}, "context": {}},
        region_name="us-east-1", expires_in=expires_s, operation_name="",
    ).replace(*change)
    return "k8s-aws-v1." + base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")


def review(webhook: str, given: str) -> dict[str, Any]:
    document = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": given}}
    request = urllib.request.Request(
        f"{webhook}/authenticate?timeout=30s", json.dumps(document).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        found: dict[str, Any] = json.load(answer)
    assert (found["apiVersion"], found["kind"]) == ("authentication.k8s.io/v1", "TokenReview")
    status: dict[str, Any] = found["status"]
    return status


@pytest.fixture
def owner(eks_aws: AwsSandbox) -> Account:
    """An account with the cluster "main", which uses access entries."""
    account = eks_aws.account()
    make_cluster(account, accessConfig={"authenticationMode": "API_AND_CONFIG_MAP"})
    return account


def test_a_cluster_answers_with_the_real_endpoint_and_authority(owner: Account) -> None:
    live = owner.client("eks").describe_cluster(name="main")["cluster"]
    assert live["endpoint"] == "https://10.77.0.1:16443"
    assert base64.b64decode(live["certificateAuthority"]["data"]) == b"the authority\n"


def test_the_creator_is_in_system_masters(owner: Account, webhook: str) -> None:
    status = review(webhook, token(owner.client("sts"), "main"))
    arn = f"arn:aws:iam::{owner.id}:user/operator"
    assert status["authenticated"] is True
    assert (status["user"]["username"], status["user"]["groups"]) == (arn, ["system:masters"])


def test_a_role_gets_the_groups_of_its_access_entry(owner: Account, webhook: str) -> None:
    role = f"arn:aws:iam::{owner.id}:role/dev"
    statement = json.loads(trust("ec2.amazonaws.com"))
    statement["Statement"][0]["Principal"] = {"AWS": f"arn:aws:iam::{owner.id}:root"}
    owner.client("iam").create_role(RoleName="dev", AssumeRolePolicyDocument=json.dumps(statement))
    keys = owner.client("sts").assume_role(RoleArn=role, RoleSessionName="jo")["Credentials"]
    as_role = owner.client(
        "sts", aws_access_key_id=keys["AccessKeyId"], aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )
    refused = review(webhook, token(as_role, "main"))
    assert (refused["authenticated"], "has no access to cluster main" in refused["error"]) == (False, True)
    eks = owner.client("eks")
    eks.create_access_entry(clusterName="main", principalArn=role, kubernetesGroups=["viewers"])
    user = review(webhook, token(as_role, "main"))["user"]
    assert (user["username"], user["groups"]) == (f"arn:aws:sts::{owner.id}:assumed-role/dev/jo", ["viewers"])
    eks.associate_access_policy(
        clusterName="main", principalArn=role, accessScope={"type": "cluster"},
        policyArn="arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy",
    )
    assert review(webhook, token(as_role, "main"))["user"]["groups"] == ["viewers", "system:masters"]


def test_in_config_map_mode_only_the_creator_gets_in(eks_aws: AwsSandbox, webhook: str) -> None:
    account = eks_aws.account()
    make_cluster(account, "old")
    assert review(webhook, token(account.client("sts"), "old"))["user"] == {
        "username": "kubernetes-admin", "uid": f"arn:aws:iam::{account.id}:user/operator",
        "groups": ["system:masters"], "extra": {"arn": [f"arn:aws:iam::{account.id}:user/operator"]},
    }


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"cluster": "other"}, "for no cluster"),
        ({"cluster": ""}, "does not cover"),
        ({"cluster": "main", "expires_s": 0}, "expired"),
        ({"cluster": "main", "change": ("Version=2011-06-15", "Version=2012-01-01")}, "signature is wrong"),
        ({"cluster": "main", "change": ("GetCallerIdentity", "GetSessionToken")}, "not for GetCallerIdentity"),
        ({"cluster": "main", "change": ("http://127.0.0.1:", "http://127.0.0.2:")}, "not that of a sandbox"),
        ({"cluster": "main", "change": ("http://127.0.0.1:", "https://127.0.0.1:")}, "not that of a sandbox"),
        ({"cluster": "main", "change": ("http://127.0.0.1", "http://10.0.0.1")}, "not that of a sandbox"),
        ({"cluster": "main", "change": ("http://127.0.0.1", "http://localhost.evil.test")}, "unreadable"),
    ],
)
def test_a_bad_token_is_not_authenticated(owner: Account, webhook: str, given: dict[str, Any], reason: str) -> None:
    made = token(owner.client("sts"), **given)
    if given.get("expires_s") == 0:
        wait_for(lambda: review(webhook, made)["authenticated"] is False)
    status = review(webhook, made)
    assert (status["authenticated"], reason in status["error"]) == (False, True), status


@pytest.mark.parametrize("given", ["", "k8s-aws-v1.", "k8s-aws-v1.%%%", "eyJhbGciOi", "k8s-aws-v1." + "A" * 20000])
def test_nonsense_is_not_authenticated(webhook: str, given: str) -> None:
    assert review(webhook, given)["authenticated"] is False


def test_a_wrong_secret_is_not_authenticated(owner: Account, webhook: str) -> None:
    status = review(webhook, token(owner.client("sts", aws_secret_access_key="wrong"), "main"))
    assert status["authenticated"] is False


def test_the_authenticator_leaves_no_trace_in_the_call_log(eks_aws: AwsSandbox, owner: Account, webhook: str) -> None:
    made = token(owner.client("sts"), "main")
    mark = eks_aws.mark()
    assert review(webhook, made)["authenticated"] is True
    assert eks_aws.calls(mark) == []
    assert eks_aws.mark() == mark


def test_a_stopped_sandbox_is_asked_no_more(state: Path, webhook: str, eks_aws: AwsSandbox) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAPSTAN_SANDBOX_DIR", str(state))
        with AwsSandbox(kubernetes_endpoint="https://10.77.0.1:16443", kubernetes_ca=state / "ca.crt") as other:
            made = token(other.client("sts"), "main")
            assert "no cluster" in review(webhook, made)["error"]
            port = other.url.rpartition(":")[2]
            assert (state / "run" / "aws" / f"{port}.json").stat().st_mode & 0o777 == 0o600
    assert "not that of a sandbox" in review(webhook, made)["error"]
    assert code_of(eks_aws.client("sts").get_caller_identity) == ""
