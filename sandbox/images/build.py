"""Builds images into OCI layouts, one folder a content hash, and puts the sandbox's own into its registry."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from sandbox.console import Console, Step
from sandbox.images import rootfs
from sandbox.images.catalogue import HERE, Image, content_hash
from sandbox.paths import REGISTRY, Paths

LAYOUT_TAG = "latest"
AT_ONCE = 2
KEPT = 4
HOST_AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
# Settings of this machine's pip that a build needs and an image must not keep.
PIP_SETTINGS = ("index-url", "extra-index-url", "trusted-host", "timeout", "retries", "proxy")


class ImageError(Exception):
    """An image could not be built or pushed; the message holds the tool's last lines."""


@dataclass(frozen=True)
class Layout:
    """An image as an OCI layout: its name, its folder, and the folder's name, the hash of what it was made from."""

    name: str
    folder: Path

    @property
    def key(self) -> str:
        """The hash of the inputs."""
        return self.folder.name

    @property
    def reference(self) -> str:
        """The layout as buildah and skopeo name it."""
        return f"oci:{self.folder}:{LAYOUT_TAG}"

    @property
    def build_name(self) -> str:
        """Its name while others are built from it; the same on every machine."""
        return f"localhost/capstan/{self.name}:{self.key}"

    @property
    def digest(self) -> str:
        """The digest of the manifest, ``sha256:…``."""
        (manifest,) = json.loads((self.folder / "index.json").read_text())["manifests"]
        return str(manifest["digest"])


def build_images(paths: Paths, console: Console, images: Iterable[Image]) -> dict[str, Layout]:
    """Every image in its newest form, by name; builds only what changed, two at a time, parents first.

    Links them in the state. A parent that is not among `images` must be linked there already.
    """
    made: dict[str, Layout] = {}
    waiting = list(images)
    while waiting:
        names = {image.name for image in waiting}
        ready = [image for image in waiting if image.parent not in names]
        waiting = [image for image in waiting if image.parent in names]
        with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
            parents = [made.get(image.parent) or _linked(paths, image.parent) for image in ready]
            layouts = pool.map(lambda image, parent: _build_image(paths, console, image, parent), ready, parents)
            made |= {layout.name: layout for layout in layouts}
    return made


def _build_image(paths: Paths, console: Console, image: Image, parent: Layout | None) -> Layout:
    key = content_hash(image.folder, parent.key if parent else rootfs.key())
    layout = Layout(image.name, paths.cache / "images" / image.name / key)
    if not layout.folder.is_dir():
        with console.step(f"build image {image.name}") as step:
            _make(paths, image, parent, layout, step)
            step.done_as(f"image {image.name} built ({_megabytes(layout.folder)} MB)")
    link(paths, layout)
    forget_old(layout)
    return layout


def forget_old(layout: Layout) -> None:
    """Removes the oldest layouts of an image: the newest few stay, so that going back and forth builds nothing."""
    others = [folder for folder in layout.folder.parent.iterdir() if folder != layout.folder]
    for folder in sorted(others, key=lambda folder: folder.stat().st_mtime, reverse=True)[KEPT - 1:]:
        shutil.rmtree(folder, ignore_errors=True)


def build_program(paths: Paths, name: str, program: Path) -> Layout:
    """An image that holds one static program, as ``/program``."""
    layout = Layout(name, paths.cache / "images" / name / content_hash(HERE / "program", str(program)))
    if not layout.folder.is_dir():
        with tempfile.TemporaryDirectory(prefix="capstan-image-") as folder:
            shutil.copytree(HERE / "program", folder, dirs_exist_ok=True)
            shutil.copy2(program, Path(folder) / "program")
            _build(paths, Path(folder), layout, None, {})
    return layout


def push(layout: Layout, tag: str) -> None:
    """Copies a layout into the sandbox's registry as ``<name>:<tag>``, blobs that are there left out."""
    _run(["skopeo", "copy", "--quiet", "--insecure-policy", "--dest-tls-verify=false", layout.reference,
          f"docker://{REGISTRY}/{layout.name}:{tag}"])


def link(paths: Paths, layout: Layout) -> None:
    """Points ``<state>/images/<name>`` at the layout, in one step."""
    paths.images.mkdir(parents=True, exist_ok=True)
    place = paths.images / layout.name
    if place.is_symlink() and place.readlink() == layout.folder:
        return
    partial = paths.images / f".{layout.name}.partial"
    partial.unlink(missing_ok=True)
    partial.symlink_to(layout.folder)
    partial.replace(place)


def _linked(paths: Paths, name: str) -> Layout | None:
    if not name:
        return None
    place = paths.images / name
    if not place.exists():
        raise ImageError(f"The base image {name} is not there yet. Start the sandbox first.")
    return Layout(name, place.resolve())


def _make(paths: Paths, image: Image, parent: Layout | None, layout: Layout, step: Step) -> None:
    if image.prepare:
        step.say(image.prepare)
        _run([str(image.folder / image.prepare)], cwd=image.folder, environ=tool_environment(os.environ))
    with tempfile.TemporaryDirectory(prefix="capstan-image-") as folder:
        scratch = Path(folder)
        if parent:
            context = image.folder
            step.say("buildah")
        else:
            step.say("debootstrap")
            context = _root_context(paths, image, scratch)
        _build(paths, context, layout, parent, _mounts(scratch) if parent else {})


def _root_context(paths: Paths, image: Image, scratch: Path) -> Path:
    tar = paths.cache / "rootfs" / f"{rootfs.SUITE}-{rootfs.key()}.tar"
    if not tar.exists():
        rootfs.make(tar)
        for old in tar.parent.glob("*.tar"):
            if old != tar:
                old.unlink()
    context = scratch / "context"
    shutil.copytree(image.folder, context)
    os.link(tar, context / "rootfs.tar") if _same_device(tar, scratch) else shutil.copy(tar, context / "rootfs.tar")
    return context


def _same_device(one: Path, other: Path) -> bool:
    return one.stat().st_dev == other.stat().st_dev


def tool_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of scripts that build on this machine: the locked tools come first."""
    tools = Path(__file__).parents[2] / ".venv/bin"
    return {**environ, "PATH": f"{tools}:{environ.get('PATH', '/usr/sbin:/usr/bin:/sbin:/bin')}"}


def _mounts(scratch: Path) -> dict[Path, str]:
    """What RUN steps see of this machine and the image does not keep: pip's settings and the trusted authorities.

    Proxy variables are passed on by buildah itself.
    """
    settings = scratch / "pip.conf"
    answer = subprocess.run([str(Path(__file__).parents[2] / ".venv/bin/pip"), "config", "list"], capture_output=True,
                            text=True, stdin=subprocess.DEVNULL, check=False)
    settings.write_text(pip_settings(answer.stdout))
    mounts = {settings: "/etc/pip.conf"}
    if HOST_AUTHORITIES.exists():
        mounts[HOST_AUTHORITIES] = str(HOST_AUTHORITIES)
    return mounts


def pip_settings(listed: str) -> str:
    """A pip.conf from ``pip config list``'s lines (``global.timeout='60'``): what reaches the index, no local path."""
    lines = ["[global]", f"cert = {HOST_AUTHORITIES}", "disable-pip-version-check = true", "no-cache-dir = true"]
    for line in listed.splitlines():
        name, _, value = line.partition("=")
        setting = name.rpartition(".")[2]
        if setting in PIP_SETTINGS:
            lines.append(f"{setting} = {value.strip(chr(39))}")
    return "".join(f"{line}\n" for line in lines)


def _build(paths: Paths, context: Path, layout: Layout, parent: Layout | None, mounts: Mapping[Path, str]) -> None:
    layout.folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{layout.name}-", dir=paths.cache) as folder:
        partial = Path(folder) / "layout"
        # Storage of its own for each build: nothing of it stays, and builds do not wait for each other.
        buildah = ["buildah", "--root", f"{folder}/root", "--runroot", f"{folder}/run", "--storage-driver", "overlay"]
        arguments = []
        if parent:
            # By a name of its own: the image's history keeps it, and a path of this machine does not belong there.
            storage = f"containers-storage:[overlay@{folder}/root+{folder}/run]"
            _run(["skopeo", "copy", "--quiet", "--insecure-policy", parent.reference, f"{storage}{parent.build_name}"])
            arguments = [f"--build-arg=BASE_IMAGE={parent.build_name}"]
        build = [*buildah, "build", "--isolation", "chroot", "--format", "oci", "--timestamp", "0", "--quiet",
                 *arguments,
                 *(f"--volume={host}:{inside}:ro" for host, inside in mounts.items()),
                 "--file", str(context / "Containerfile"), "--tag", layout.build_name, str(context)]
        _run(build)
        _run([*buildah, "push", "--quiet", layout.build_name, f"oci:{partial}:{LAYOUT_TAG}"])
        if layout.folder.is_dir():
            return  # another build was faster, with the same result
        partial.replace(layout.folder)


def _run(argv: Sequence[str], *, cwd: Path | None = None, environ: Mapping[str, str] | None = None) -> None:
    answer = subprocess.run(argv, cwd=cwd, env=None if environ is None else dict(environ), stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if answer.returncode:
        last = "\n".join(answer.stdout.splitlines()[-25:])
        raise ImageError(f"{Path(argv[0]).name} failed:\n{last}")


def _megabytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) // 1_000_000
