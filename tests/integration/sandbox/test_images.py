"""Images are built by the real tools, from a tiny base instead of Debian."""

from __future__ import annotations

import io
import json
import os
import tarfile
from pathlib import Path

import pytest

from sandbox.console import Console
from sandbox.images.build import ImageError, Layout, build_images, build_program, forget_old
from sandbox.images.catalogue import Image
from sandbox.paths import Paths

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A file that passes for a static program."""
    path = tmp_path / "made-by-a-compiler" / "tool"
    path.parent.mkdir()
    path.write_bytes(b"\x7fELF of a tool")
    path.chmod(0o755)
    return path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The folder of an image with one file."""
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "Containerfile").write_text("ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nCOPY greeting /greeting\nUSER 7:7\n")
    (folder / "greeting").write_text("hello\n")
    return folder


def place(tmp_path: Path, name: str) -> Paths:
    paths = Paths(state=tmp_path / name / "state", cache=tmp_path / name / "cache")
    paths.cache.mkdir(parents=True)
    return paths


def with_parent(paths: Paths, program: Path) -> Image:
    """The program's image, linked in the state, as others find it."""
    layout = build_program(paths, "tool", program)
    paths.images.mkdir(parents=True)
    (paths.images / "tool").symlink_to(layout.folder)
    return Image("greeter", Path(), parent="tool")


def blob(layout: Layout, digest: str) -> bytes:
    return (layout.folder / "blobs" / digest.replace(":", "/")).read_bytes()


def files_of(layout: Layout) -> dict[str, bytes]:
    found = {}
    for layer in json.loads(blob(layout, layout.digest))["layers"]:
        with tarfile.open(fileobj=io.BytesIO(blob(layout, layer["digest"])), mode="r:*") as archive:
            for entry in archive:
                content = archive.extractfile(entry)
                if content:
                    found[entry.name] = content.read()
    return found


def test_an_image_holds_what_its_folder_says_on_top_of_its_parent(tmp_path: Path, program: Path, source: Path) -> None:
    paths = place(tmp_path, "a")
    greeter = Image("greeter", source, parent=with_parent(paths, program).parent)
    layout = build_images(paths, Console(), [greeter])["greeter"]
    assert files_of(layout) == {"program": b"\x7fELF of a tool", "greeting": b"hello\n"}
    config = json.loads(blob(layout, json.loads(blob(layout, layout.digest))["config"]["digest"]))
    assert config["config"]["User"] == "7:7"
    assert (paths.images / "greeter").resolve() == layout.folder


def test_two_machines_make_the_same_image(tmp_path: Path, program: Path, source: Path) -> None:
    digests = set()
    for name in ("a", "b"):
        paths = place(tmp_path, name)
        greeter = Image("greeter", source, parent=with_parent(paths, program).parent)
        digests.add(build_images(paths, Console(), [greeter])["greeter"].digest)
        (source / "greeting").touch()
    assert len(digests) == 1


def test_an_image_is_built_once_until_its_folder_changes(tmp_path: Path, program: Path, source: Path) -> None:
    paths = place(tmp_path, "a")
    greeter = Image("greeter", source, parent=with_parent(paths, program).parent)
    first = build_images(paths, Console(), [greeter])["greeter"]
    said = io.StringIO()
    assert build_images(paths, Console(stream=said), [greeter])["greeter"] == first
    assert said.getvalue() == ""
    (source / "greeting").write_text("good bye\n")
    second = build_images(paths, Console(), [greeter])["greeter"]
    assert second.digest != first.digest
    assert (paths.images / "greeter").resolve() == second.folder


def test_what_is_prepared_on_this_machine_ends_up_in_the_image(tmp_path: Path, program: Path, source: Path) -> None:
    (source / "build.sh").write_text("#!/bin/sh\nmkdir -p dist && echo bundled > dist/page\n")
    (source / "build.sh").chmod(0o755)
    (source / "Containerfile").write_text("ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nCOPY dist/ /srv/\n")
    paths = place(tmp_path, "a")
    greeter = Image("greeter", source, parent=with_parent(paths, program).parent, prepare="build.sh")
    assert files_of(build_images(paths, Console(), [greeter])["greeter"])["srv/page"] == b"bundled\n"


def test_a_build_that_fails_says_why_and_leaves_no_image(tmp_path: Path, program: Path, source: Path) -> None:
    (source / "Containerfile").write_text("ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nCOPY no-such-file /\n")
    paths = place(tmp_path, "a")
    greeter = Image("greeter", source, parent=with_parent(paths, program).parent)
    with pytest.raises(ImageError, match="no-such-file"):
        build_images(paths, Console(), [greeter])
    assert not list((paths.cache / "images").glob("greeter/*"))
    assert [entry.name for entry in paths.cache.iterdir()] == ["images"]


def test_the_newest_few_forms_of_an_image_stay_in_the_cache_and_the_one_in_use_always(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("in-use", "second", "third", "fourth", "fifth")]
    for age, folder in enumerate(reversed(folders)):
        folder.mkdir()
        os.utime(folder, (1000 - age, 1000 - age))
    forget_old(Layout("greeter", folders[0]))
    assert {folder.name for folder in tmp_path.iterdir()} == {"in-use", "fifth", "fourth", "third"}
