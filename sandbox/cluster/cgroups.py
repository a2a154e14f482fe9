"""The control groups that hold the pods: one folder in each v1 hierarchy, or one in the v2 tree.

The kubelet puts pods below a root of ours, which must exist before it starts; it makes the rest.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from pathlib import Path

from sandbox.paths import NODE_NAME
from sandbox.process import wait_until

MOUNTS = Path("/proc/self/mounts")
# What the kubelet needs of the v2 tree; v1 has each as a hierarchy of its own.
V2_CONTROLLERS = ("cpuset", "cpu", "io", "memory", "pids", "hugetlb")


def roots(mounts: str, name: str = NODE_NAME) -> list[Path]:
    """The folders of our control group, from the text of /proc/self/mounts.

    v1: one folder in each hierarchy. v2: one in its tree. A v2 tree beside v1 holds no controller, but runc puts
    processes into it all the same.
    """
    kinds = ("cgroup", "cgroup2")
    return [Path(line.split()[1]) / name for line in mounts.splitlines() if line.split()[2] in kinds]


def is_v2(mounts: str) -> bool:
    """Whether the machine has the unified hierarchy alone."""
    kinds = {line.split()[2] for line in mounts.splitlines()}
    return "cgroup2" in kinds and "cgroup" not in kinds


def controllers_to_enable(available: str, enabled: str) -> str:
    """What to write to ``cgroup.subtree_control`` so that children get what the kubelet needs; empty: nothing."""
    missing = [name for name in V2_CONTROLLERS if name in available.split() and name not in enabled.split()]
    return " ".join(f"+{name}" for name in missing)


def create(name: str = NODE_NAME) -> None:
    """Makes our folders; on v2 also hands the controllers down to them."""
    mounts = MOUNTS.read_text()
    for folder in roots(mounts, name):
        folder.mkdir(exist_ok=True)
        if is_v2(mounts):
            _enable(folder.parent)
            _enable(folder)


def _enable(folder: Path) -> None:
    wanted = controllers_to_enable((folder / "cgroup.controllers").read_text(),
                                   (folder / "cgroup.subtree_control").read_text())
    if wanted:
        (folder / "cgroup.subtree_control").write_text(wanted)


def members(folders: Iterable[Path]) -> set[int]:
    """The pids of every process in these groups and below."""
    found: set[int] = set()
    for folder in folders:
        for listing in folder.rglob("cgroup.procs"):
            try:
                found.update(int(pid) for pid in listing.read_text().split())
            except OSError:
                continue
    return found


def ours(name: str = NODE_NAME) -> list[Path]:
    """Those of our folders that exist."""
    return [folder for folder in roots(MOUNTS.read_text(), name) if folder.is_dir()]


def remove(name: str = NODE_NAME, timeout_s: float = 10) -> list[Path]:
    """Removes our folders, deepest first; answers those that would not go within `timeout_s` (a process is inside)."""
    left: list[Path] = []

    def gone() -> bool:
        left[:] = [folder for folder in ours(name) if not _remove_tree(folder)]
        return not left

    wait_until(gone, timeout_s)
    return left


def _remove_tree(folder: Path) -> bool:
    """Whether the group and those below it are gone. The kernel empties a group a moment after its last process."""
    for below, _, _ in os.walk(folder, topdown=False):
        try:
            Path(below).rmdir()
        except FileNotFoundError:
            continue
        except OSError as error:
            if error.errno == errno.EBUSY:
                return False
            raise
    return True
