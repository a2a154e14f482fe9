"""Samples of repositories and images. The images' layouts are made here, byte by byte."""

from __future__ import annotations

import hashlib
import json
import tempfile
from pathlib import Path
from typing import Any

from sandbox.aws.testing import Account

from .contract import Sample, drift, scrubbed, tags_of
from .samples_network import is_refused

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


def put_blob(layout: Path, content: bytes) -> dict[str, Any]:
    """Writes a blob into a layout; its descriptor."""
    value = hashlib.sha256(content).hexdigest()
    (layout / "blobs" / "sha256").mkdir(parents=True, exist_ok=True)
    (layout / "blobs" / "sha256" / value).write_bytes(content)
    return {"digest": f"sha256:{value}", "size": len(content)}


def make_layout(layout: Path, *layers: bytes) -> str:
    """An OCI image layout with one image of these layers; its digest."""
    config = put_blob(layout, json.dumps({"architecture": "amd64", "os": "linux"}).encode())
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **config},
        "layers": [
            {"mediaType": "application/vnd.oci.image.layer.v1.tar", **put_blob(layout, layer)} for layer in layers
        ],
    }
    described = put_blob(layout, json.dumps(manifest).encode())
    (layout / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (layout / "index.json").write_text(
        json.dumps({"schemaVersion": 2, "manifests": [{"mediaType": MANIFEST, **described}]})
    )
    return str(described["digest"])


# -- repository ----------------------------------------------------------------------------------------------------
def _name(live: str) -> str:
    return live.partition(":repository/")[2]


def _repository(aws: Account, live: str) -> dict[str, Any]:
    ecr, name = aws.client("ecr"), _name(live)
    found = ecr.describe_repositories(repositoryNames=[name])["repositories"][0]
    found["tags"] = tags_of(ecr.list_tags_for_resource(resourceArn=live)["tags"])
    for member, call in (("lifecyclePolicyText", ecr.get_lifecycle_policy), ("policyText", ecr.get_repository_policy)):
        missing = is_refused("LifecyclePolicyNotFoundException", call, repositoryName=name) or is_refused(
            "RepositoryPolicyNotFoundException", call, repositoryName=name
        )
        found[member] = None if missing else json.loads(call(repositoryName=name)[member])
    return dict(scrubbed(found, "createdAt"))


def _lifecycle(days: int) -> dict[str, Any]:
    selection = {"tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": days}
    return {"rules": [{"rulePriority": 1, "selection": selection, "action": {"type": "expire"}}]}


_PULL = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Sid": "pull",
            "Effect": "Allow",
            "Principal": {"AWS": "arn:aws:iam::210987654321:root"},
            "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
        }
    ],
}


def _tag(key: str, value: str) -> Any:
    return lambda aws, live: aws.client("ecr").tag_resource(resourceArn=live, tags=[{"Key": key, "Value": value}])


repository = Sample(
    address="aws.ecr_repository/api",
    description={
        "aws.ecr_repository/api": {
            "immutable_tags": True,
            "scan_on_push": True,
            "kms_key": "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555",
            "lifecycle_policy": _lifecycle(14),
            "policy": _PULL,
            "tags": {"team": "core"},
        }
    },
    facts=_repository,
    gone=lambda aws, live: is_refused(
        "RepositoryNotFoundException", aws.client("ecr").describe_repositories, repositoryNames=[_name(live)]
    ),
    seen=lambda facts: {
        "name": facts["repositoryName"],
        "tags": facts["imageTagMutability"],
        "scan": facts["imageScanningConfiguration"]["scanOnPush"],
        "encryption": facts["encryptionConfiguration"]["encryptionType"],
        "days": facts["lifecyclePolicyText"]["rules"][0]["selection"]["countNumber"],
        "pull": facts["policyText"]["Statement"][0]["Sid"],
        "team": facts["tags"]["team"],
    },
    expect={
        "name": "shop-api",
        "tags": "IMMUTABLE",
        "scan": True,
        "encryption": "KMS",
        "days": 14,
        "pull": "pull",
        "team": "core",
    },
    changes={
        "immutable_tags": False,
        "scan_on_push": False,
        "lifecycle_policy": None,
        "policy": None,
        "tags": {"team": "data"},
    },
    replaces={"kms_key": "arn:aws:kms:us-east-1:123456789012:key/66666666-2222-3333-4444-555555555555"},
    drifts={
        "tags made movable": drift(
            lambda aws, live: aws.client("ecr").put_image_tag_mutability(
                repositoryName=_name(live), imageTagMutability="MUTABLE"
            ),
            "immutable_tags",
        ),
        "scanning off": drift(
            lambda aws, live: aws.client("ecr").put_image_scanning_configuration(
                repositoryName=_name(live), imageScanningConfiguration={"scanOnPush": False}
            ),
            "scan_on_push",
        ),
        "another lifecycle": drift(
            lambda aws, live: aws.client("ecr").put_lifecycle_policy(
                repositoryName=_name(live), lifecyclePolicyText=json.dumps(_lifecycle(1))
            ),
            "lifecycle_policy",
        ),
        "the policy deleted": drift(
            lambda aws, live: aws.client("ecr").delete_repository_policy(repositoryName=_name(live)), "policy"
        ),
        "a tag overwritten": drift(_tag("team", "other"), "tags"),
    },
    others_at_work={"a tag added": _tag("billing", "77")},
    read_calls={
        "DescribeRepositories": 1,
        "ListTagsForResource": 1,
        "GetLifecyclePolicy": 1,
        "GetRepositoryPolicy": 1,
    },
)

# -- image ---------------------------------------------------------------------------------------------------------
_SCRATCH = tempfile.TemporaryDirectory(prefix="capstan-layouts-")  # goes when the interpreter does
ONE = Path(_SCRATCH.name) / "one"
TWO = Path(_SCRATCH.name) / "two"
ONE_DIGEST = make_layout(ONE, b"a first layer", b"a second layer")
TWO_DIGEST = make_layout(TWO, b"a first layer", b"another second layer")


def _of_image(live: str) -> tuple[str, str]:
    """(name of the repository, digest)."""
    uri, _, digest = live.partition("@")
    return uri.partition("/")[2], digest


def _image(aws: Account, live: str) -> dict[str, Any]:
    name, digest = _of_image(live)
    found = aws.client("ecr").describe_images(repositoryName=name, imageIds=[{"imageDigest": digest}])
    detail = found["imageDetails"][0]
    return {"digest": detail["imageDigest"], "has_tag": "v1" in detail.get("imageTags", [])}


def _image_is_gone(aws: Account, live: str) -> bool:
    name, digest = _of_image(live)
    return is_refused(
        "ImageNotFoundException",
        aws.client("ecr").describe_images,
        repositoryName=name,
        imageIds=[{"imageDigest": digest}],
    )


def _take_tag(aws: Account, live: str) -> None:
    """The tag goes; the image stays, because it has another one."""
    ecr, (name, digest) = aws.client("ecr"), _of_image(live)
    image_ids = [{"imageDigest": digest}]
    manifest = ecr.batch_get_image(repositoryName=name, imageIds=image_ids)["images"][0]["imageManifest"]
    ecr.put_image(repositoryName=name, imageManifest=manifest, imageTag="kept", imageManifestMediaType=MANIFEST)
    ecr.batch_delete_image(repositoryName=name, imageIds=[{"imageTag": "v1"}])


image = Sample(
    address="aws.image/api",
    description={
        "aws.ecr_repository/images": {},
        "aws.ecr_repository/others": {},
        "aws.image/api": {"repository": "images", "source": str(ONE), "digest": ONE_DIGEST, "tag": "v1"},
    },
    facts=_image,
    gone=_image_is_gone,
    seen=lambda facts: facts,
    expect={"digest": ONE_DIGEST, "has_tag": True},
    fixed={
        "repository": "an image of another repository is another image; the older one stays",
        "source": "a new digest is a new image, see its own tests",
        "digest": "goes with the source",
        "tag": "tags are added, never taken away, see its own test",
    },
    outlives=True,
    drifts={"the tag removed": drift(_take_tag, "tag")},
    read_calls={
        "DescribeRepositories": 1,
        "ListTagsForResource": 2,
        "GetLifecyclePolicy": 2,
        "GetRepositoryPolicy": 2,
        "BatchGetImage": 1,
    },
)

SAMPLES = [repository, image]
