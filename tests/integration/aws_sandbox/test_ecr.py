"""ECR over a real registry."""

from __future__ import annotations

import hashlib
import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.aws.testing import Account, AwsSandbox

from .conftest import code_of, wait_for

OCI = "application/vnd.oci.image.manifest.v1+json"


@pytest.fixture(scope="module")
def aws_with_registry(registry: str) -> Iterator[AwsSandbox]:
    with AwsSandbox(registry=registry) as aws:
        aws.durations(read__lag=0)
        yield aws


@pytest.fixture
def ecr(aws_with_registry: AwsSandbox) -> Any:
    return aws_with_registry.account().client("ecr")


def push(registry: str, repository: str, reference: str, content: str) -> str:
    """An image of one layer, pushed as a container tool would; its digest."""
    def send(method: str, url: str, body: bytes = b"", kind: str = "application/octet-stream") -> Any:
        request = urllib.request.Request(url, body or None, {"Content-Type": kind}, method=method)
        return urllib.request.urlopen(request, timeout=10)

    parts = []
    for body in (b'{"architecture":"amd64","os":"linux"}', content.encode()):
        digest = "sha256:" + hashlib.sha256(body).hexdigest()
        place = send("POST", f"http://{registry}/v2/{repository}/blobs/uploads/").headers["Location"]
        send("PUT", f"{place}&digest={digest}", body)
        parts.append({"digest": digest, "size": len(body)})
    manifest = json.dumps({
        "schemaVersion": 2, "mediaType": OCI,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **parts[0]},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", **parts[1]}],
    }).encode()
    digest = "sha256:" + hashlib.sha256(manifest).hexdigest()
    send("PUT", f"http://{registry}/v2/{repository}/manifests/{reference or digest}", manifest, OCI)
    return digest


def test_a_repository_has_the_registry_s_address(ecr: Any, registry: str) -> None:
    made = ecr.create_repository(repositoryName="a/one", tags=[{"Key": "k", "Value": "v"}])["repository"]
    assert made["repositoryUri"] == f"{registry}/a/one"
    assert ecr.describe_repositories()["repositories"][0]["repositoryUri"] == f"{registry}/a/one"
    assert ecr.list_tags_for_resource(resourceArn=made["repositoryArn"])["tags"] == [{"Key": "k", "Value": "v"}]
    assert code_of(ecr.create_repository, repositoryName="a/one") == "RepositoryAlreadyExistsException"
    token = ecr.get_authorization_token()["authorizationData"][0]
    assert token["proxyEndpoint"] == f"http://{registry}"


def test_images_are_what_was_pushed(ecr: Any, registry: str) -> None:
    ecr.create_repository(repositoryName="a/two")
    assert ecr.describe_images(repositoryName="a/two")["imageDetails"] == []
    digest = push(registry, "a/two", "v1", "content")
    push(registry, "a/two", "latest", "content")
    (image,) = ecr.describe_images(repositoryName="a/two")["imageDetails"]
    assert (image["imageDigest"], sorted(image["imageTags"])) == (digest, ["latest", "v1"])
    assert image["imageSizeInBytes"] == len('{"architecture":"amd64","os":"linux"}') + len("content")
    ids = ecr.list_images(repositoryName="a/two")["imageIds"]
    assert sorted(i["imageTag"] for i in ids) == ["latest", "v1"]
    found = ecr.batch_get_image(repositoryName="a/two", imageIds=[{"imageTag": "v1"}, {"imageTag": "no"}])
    assert [i["imageId"] for i in found["images"]] == [{"imageDigest": digest, "imageTag": "v1"}]
    assert "sha256:" + hashlib.sha256(found["images"][0]["imageManifest"].encode()).hexdigest() == digest
    assert [f["failureCode"] for f in found["failures"]] == ["ImageNotFound"]


def test_an_image_without_a_tag_is_found_by_its_digest(ecr: Any, registry: str) -> None:
    ecr.create_repository(repositoryName="a/three")
    digest = push(registry, "a/three", "", "untagged")
    (image,) = ecr.describe_images(repositoryName="a/three", imageIds=[{"imageDigest": digest}])["imageDetails"]
    assert (image["imageDigest"], "imageTags" in image) == (digest, False)
    missing = {"imageDigest": "sha256:" + "0" * 64}
    assert code_of(ecr.describe_images, repositoryName="a/three", imageIds=[missing]) == "ImageNotFoundException"


def test_a_tag_is_deleted_alone_and_an_image_with_its_last_tag(ecr: Any, registry: str) -> None:
    ecr.create_repository(repositoryName="a/four")
    digest = push(registry, "a/four", "one", "x")
    push(registry, "a/four", "two", "x")
    ecr.batch_delete_image(repositoryName="a/four", imageIds=[{"imageTag": "one"}])
    (image,) = ecr.describe_images(repositoryName="a/four")["imageDetails"]
    assert (image["imageDigest"], image["imageTags"]) == (digest, ["two"])
    ecr.batch_delete_image(repositoryName="a/four", imageIds=[{"imageTag": "two"}])
    missing = {"repositoryName": "a/four", "imageIds": [{"imageDigest": digest}]}
    assert code_of(ecr.describe_images, **missing) == "ImageNotFoundException"


def test_a_repository_with_images_is_deleted_only_by_force(ecr: Any, registry: str) -> None:
    ecr.create_repository(repositoryName="a/five")
    digest = push(registry, "a/five", "v1", "x")
    assert code_of(ecr.delete_repository, repositoryName="a/five") == "RepositoryNotEmptyException"
    ecr.delete_repository(repositoryName="a/five", force=True)
    assert code_of(ecr.describe_images, repositoryName="a/five") == "RepositoryNotFoundException"
    ecr.create_repository(repositoryName="a/five")
    missing = {"repositoryName": "a/five", "imageIds": [{"imageDigest": digest}]}
    assert code_of(ecr.describe_images, **missing) == "ImageNotFoundException"
    ecr.delete_repository(repositoryName="a/five")


def test_a_manifest_is_put_again_under_another_tag(ecr: Any, registry: str) -> None:
    ecr.create_repository(repositoryName="a/six")
    digest = push(registry, "a/six", "v1", "x")
    manifest = ecr.batch_get_image(repositoryName="a/six", imageIds=[{"imageTag": "v1"}])["images"][0]["imageManifest"]
    put = {"repositoryName": "a/six", "imageManifest": manifest, "imageTag": "v2"}
    assert ecr.put_image(**put)["image"]["imageId"] == {"imageDigest": digest, "imageTag": "v2"}
    assert code_of(ecr.put_image, **put) == "ImageAlreadyExistsException"
    layer = json.loads(manifest)["layers"][0]["digest"]
    unknown = manifest.replace(layer, "sha256:" + "0" * 64)
    assert code_of(ecr.put_image, **{**put, "imageManifest": unknown}) == "LayersNotFoundException"


def test_images_come_in_pages(ecr: Any, registry: str) -> None:
    ecr.create_repository(repositoryName="a/seven")
    for number in range(3):
        push(registry, "a/seven", f"v{number}", f"content {number}")
    pages = [
        [image["imageTags"][0] for image in page["imageDetails"]]
        for page in ecr.get_paginator("describe_images").paginate(
            repositoryName="a/seven", PaginationConfig={"PageSize": 2})
    ]
    assert [len(page) for page in pages] == [2, 1]
    assert sorted(tag for page in pages for tag in page) == ["v0", "v1", "v2"]


def test_without_a_registry_images_are_simulated(account: Account) -> None:
    ecr = account.client("ecr")
    ecr.create_repository(repositoryName="plain")
    wait_for(lambda: code_of(ecr.describe_images, repositoryName="plain") == "")
    assert ecr.describe_images(repositoryName="plain")["imageDetails"] == []
