"""Which images there are, what each is made from, and the hash that decides whether it is up to date."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sandbox.paths import CLONE

HERE = Path(__file__).parent
# Never part of an image: tests, what tools leave in a checkout, and what the frontend's own build makes.
IGNORED = frozenset({"__pycache__", "node_modules", ".venv", "dist", ".pytest_cache", ".mypy_cache", ".ruff_cache",
                     "coverage", ".coverage", "test-results", "tests"})


@dataclass(frozen=True)
class Image:
    """An image built from a folder with a Containerfile.

    `parent` is the image that its BASE_IMAGE argument names. `prepare` is a script in the folder that is run on this
    machine first. `tag` is set for those that the sandbox itself puts into its registry, as ``<name>:<tag>``.
    """

    name: str
    folder: Path
    parent: str = ""
    prepare: str = ""
    tag: str = ""


BASES = (
    Image("base-debian", HERE / "base-debian"),
    Image("base-python", HERE / "base-python", parent="base-debian"),
    Image("base-nginx", HERE / "base-nginx", parent="base-debian"),
    Image("postgres", HERE / "postgres", parent="base-debian", tag="15"),
    Image("redis", HERE / "redis", parent="base-debian", tag="7"),
)
APPLICATIONS = (
    Image("backend", CLONE / "app/backend", parent="base-python"),
    Image("frontend", CLONE / "app/frontend", parent="base-nginx", prepare="build.sh"),
)


def sources(folder: Path) -> Iterator[Path]:
    """The files of a folder that can end up in its image, in a fixed order."""
    for below, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in IGNORED)
        for name in sorted(names):
            if name not in IGNORED and not name.endswith(".pyc"):
                yield Path(below) / name


def content_hash(folder: Path, *others: str) -> str:
    """16 hex digits over the names, modes and contents of `folder` and over `others`, such as the parent's hash."""
    digest = hashlib.sha256("\0".join(others).encode())
    for source in sources(folder):
        # An executable bit is content too; other mode bits depend on the umask of who cloned.
        executable = "x" if os.access(source, os.X_OK) else "-"
        digest.update(f"\0{source.relative_to(folder)}\0{executable}\0".encode())
        digest.update(hashlib.sha256(source.read_bytes()).digest())
    return digest.hexdigest()[:16]
