"""The repositories as ECR shows them, and the image in one."""

from __future__ import annotations

import json
import os
import urllib.request
from pathlib import Path
from typing import Any

import pytest

LAYOUT = Path(os.environ.get("CAPSTAN_SANDBOX_DIR") or "/var/lib/capstan/sandbox") / "images/redis"


@pytest.fixture(scope="module")
def ecr(aws: Any) -> Any:
    return aws("ecr")


@pytest.fixture(scope="module")
def repositories(ecr: Any) -> dict[str, dict[str, Any]]:
    found = ecr.describe_repositories()["repositories"]
    return {
        item["repositoryName"]: item
        for item in found
        if item["repositoryName"].startswith("molecule-registry-platform-")
    }


def test_each_image_has_a_repository(repositories: dict[str, dict[str, Any]]) -> None:
    assert set(repositories) == {"molecule-registry-platform-cache", "molecule-registry-platform-pushed-by-others"}


def test_tags_stay_and_pushed_images_are_scanned(repositories: dict[str, dict[str, Any]]) -> None:
    for item in repositories.values():
        assert item["imageTagMutability"] == "IMMUTABLE"
        assert item["imageScanningConfiguration"]["scanOnPush"] is True


def test_a_repository_keeps_five_images(ecr: Any, repositories: dict[str, dict[str, Any]]) -> None:
    for name in repositories:
        (rule,) = json.loads(ecr.get_lifecycle_policy(repositoryName=name)["lifecyclePolicyText"])["rules"]
        assert rule["selection"] == {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 5}
        assert rule["action"] == {"type": "expire"}


def test_the_image_is_the_one_of_the_layout(ecr: Any) -> None:
    (manifest,) = json.loads((LAYOUT / "index.json").read_text())["manifests"]
    (image,) = ecr.describe_images(repositoryName="molecule-registry-platform-cache")["imageDetails"]
    assert image["imageDigest"] == manifest["digest"]
    assert image["imageTags"] == ["7"]


def test_the_registry_serves_it_by_its_tag(repositories: dict[str, dict[str, Any]]) -> None:
    host, _sep, name = repositories["molecule-registry-platform-cache"]["repositoryUri"].partition("/")
    accepted = {"Accept": "application/vnd.oci.image.manifest.v1+json"}
    request = urllib.request.Request(f"http://{host}/v2/{name}/manifests/7", headers=accepted)
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert len(json.load(answer)["layers"]) >= 2


def test_nothing_was_pushed_where_somebody_else_does_it(ecr: Any) -> None:
    assert ecr.describe_images(repositoryName="molecule-registry-platform-pushed-by-others")["imageDetails"] == []
