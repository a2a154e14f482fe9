"""What images promise beyond the contract."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.errors import ApplyFailed, InvalidDescription

from .contract import Description
from .harness import World, differences, outputs
from .samples_identity import until
from .samples_images import INDEX, ONE, ONE_DIGEST, TWO, TWO_DIGEST, make_layout, put_blob


def _image(source: Path | str, **fields: Any) -> dict[str, Any]:
    return {
        "aws.ecr_repository/app": {},
        "aws.image/app": {"repository": "app", "source": str(source), **fields},
    }


def digests(world: World, repository: str, *wanted: str) -> list[str]:
    """Those of `wanted` that ECR has."""
    ids = [{"imageDigest": digest} for digest in wanted]
    answer = world.account.client("ecr").batch_get_image(repositoryName=repository, imageIds=ids)
    return [one["imageId"]["imageDigest"] for one in answer["images"]]


def test_the_plan_on_an_empty_account_shows_the_digest(world: World) -> None:
    change = world.plan(_image(ONE)).of("aws.image/app")
    assert change is not None
    assert change.fields["digest"] == (None, ONE_DIGEST)


def test_a_new_digest_is_pushed_with_only_the_layers_that_are_missing(world: World) -> None:
    world.converge(_image(ONE))
    first = outputs(world, _image(ONE), "aws.image/app")
    assert first["reference"].endswith(f"/shop-app@{ONE_DIGEST}")

    world.converge(_image(TWO))

    assert differences(world.plan(_image(TWO))) == {}
    assert digests(world, "shop-app", ONE_DIGEST, TWO_DIGEST) == [ONE_DIGEST, TWO_DIGEST]  # the older one stays


def test_an_image_for_several_platforms_is_pushed_whole(world: World, tmp_path: Path) -> None:
    make_layout(tmp_path, b"for this machine")
    one = json.loads((tmp_path / "index.json").read_text())["manifests"][0]
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [one]}
    top = {"mediaType": INDEX, **put_blob(tmp_path, json.dumps(index).encode())}
    (tmp_path / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [top]}))

    world.converge(_image(tmp_path))

    assert differences(world.plan(_image(tmp_path))) == {}
    assert outputs(world, _image(tmp_path), "aws.image/app")["digest"] == top["digest"]


def test_an_image_is_copied_from_another_repository_by_digest(world: World) -> None:
    world.converge(_image(ONE))
    reference = outputs(world, _image(ONE), "aws.image/app")["reference"]
    copy = {
        "aws.ecr_repository/copy": {},
        "aws.image/copy": {"repository": "copy", "source": reference},
        **_image(ONE),
    }
    world.converge(copy)
    assert differences(world.plan(copy)) == {}
    assert digests(world, "shop-copy", ONE_DIGEST) == [ONE_DIGEST]


def test_what_is_copied_never_has_a_name_on_disk_so_a_kill_leaves_nothing(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.converge(_image(ONE))
    reference = outputs(world, _image(ONE), "aws.image/app")["reference"]
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = tmp_path.stat().st_mtime_ns  # any name that comes or goes changes it
    copy = {"aws.ecr_repository/copy": {}, "aws.image/copy": {"repository": "copy", "source": reference}}
    world.converge({**copy, **_image(ONE)})
    assert digests(world, "shop-copy", ONE_DIGEST) == [ONE_DIGEST]
    assert tmp_path.stat().st_mtime_ns == before


def test_an_altered_layout_is_not_pushed(world: World, tmp_path: Path) -> None:
    digest = make_layout(tmp_path, b"a layer")
    manifest = tmp_path / "blobs" / "sha256" / digest.partition(":")[2]
    manifest.write_bytes(manifest.read_bytes() + b" ")
    with pytest.raises(ApplyFailed, match="altered"):
        world.converge(_image(tmp_path))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("/nowhere/at/all", "no OCI image layout at /nowhere/at/all"),
        ("registry.example/app:latest", "a digest is wanted"),
    ],
)
def test_a_source_that_is_none_gets_one_clear_message(world: World, source: str, message: str) -> None:
    with pytest.raises(InvalidDescription, match=message):
        world.plan(_image(source))


def test_a_source_with_another_digest_than_described_is_refused(world: World) -> None:
    with pytest.raises(InvalidDescription, match="its source has the digest"):
        world.plan(_image(ONE, digest=TWO_DIGEST))


def test_another_tag_points_to_the_same_image(world: World) -> None:
    world.converge(_image(ONE, tag="v1"))
    assert differences(world.plan(_image(ONE, tag="v2"))) == {"aws.image/app": ("update", {"tag"})}
    world.converge(_image(ONE, tag="v2"))
    assert differences(world.plan(_image(ONE, tag="v2"))) == {}
    found = world.account.client("ecr").describe_images(repositoryName="shop-app")["imageDetails"]
    assert [(one["imageDigest"], sorted(one["imageTags"])) for one in found] == [(ONE_DIGEST, ["v1", "v2"])]


def test_nothing_of_a_removed_image_is_deleted_until_its_repository_goes(world: World) -> None:
    world.converge(_image(ONE))
    only: Description = {"aws.ecr_repository/app": {}}
    assert differences(world.plan(only)) == {}
    world.converge({}, prune=True)
    until(lambda: world.account.client("ecr").describe_repositories()["repositories"] == [])
