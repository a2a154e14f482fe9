"""What the sandbox changes on the machine outside its own folders, and how it is put back.

Before the first change everything that will change is written down in ``before.json``; ``down`` restores from there.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from sandbox.cluster import firewall
from sandbox.paths import BRIDGE, NODE_IP, POD_CIDR, SERVICE_CIDR, Paths

SYSCTL = Path("/proc/sys")
# Changed by the CNI plugins, kube-proxy and the kubelet (their sources name them).
SYSCTLS = (
    "net/ipv4/ip_forward",
    "net/ipv4/conf/all/route_localnet",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)
# Made by containerd, runc, CNI plugins and the kubelet whatever their settings say.
FIXED_FOLDERS = (
    "/run/containerd", "/run/containerd/s", "/run/containerd/runc", "/run/containerd/runc/k8s.io",
    "/var/lib/cni", "/var/lib/cni/results", "/var/lib/cni/networks", "/var/lib/kubelet",
    "/var/lib/kubelet/device-plugins", "/var/log/containers", "/opt/containerd",
)
MNT_DETACH = 2


class MachineError(Exception):
    """The machine refused a change."""


def remember(paths: Paths) -> None:
    """Writes down, once, what is about to be changed."""
    if paths.before.exists():
        return
    before = {
        "sysctls": {name: value for name in SYSCTLS if (value := _read_sysctl(name)) is not None},
        "absent": [folder for folder in FIXED_FOLDERS if not Path(folder).exists()],
        "firewall": firewall.snapshot(),
    }
    partial = paths.before.with_suffix(".partial")
    partial.write_text(json.dumps(before))
    partial.replace(paths.before)


def recall(paths: Paths) -> Mapping[str, Any]:
    """What `remember` wrote; empty where nothing was changed yet."""
    try:
        content = json.loads(paths.before.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def has_network() -> bool:
    """Whether our bridge is there. Without it our addresses would be looked for outside the machine."""
    return (Path("/sys/class/net") / BRIDGE).exists()


def network_up() -> None:
    """Makes the bridge that is pod gateway, node address and API address in one. Repeating it changes nothing."""
    if not has_network():
        _ip("link", "add", BRIDGE, "type", "bridge")
    _ip("address", "replace", f"{NODE_IP}/{POD_CIDR.split('/')[1]}", "dev", BRIDGE)
    _ip("link", "set", BRIDGE, "up")
    # What is asked of a service that is not there (yet) must end on the bridge, not leave by the default route.
    _ip("route", "replace", SERVICE_CIDR, "dev", BRIDGE)
    (SYSCTL / "net/ipv4/ip_forward").write_text("1\n")


def network_down(before: Mapping[str, Any]) -> None:
    """Removes rules, chains and the bridge with all its ports."""
    firewall.clean()
    for family, saved in before.get("firewall", {}).items():
        firewall.drop_empty_tables(family, saved)
    if has_network():
        _ip("link", "delete", BRIDGE)


def restore_sysctls(before: Mapping[str, Any]) -> None:
    """Puts the kernel's settings back."""
    for name, value in before.get("sysctls", {}).items():
        if name in SYSCTLS and _read_sysctl(name) != value:
            (SYSCTL / name).write_text(f"{value}\n")


def mounts_below(folder: Path, mountinfo: str) -> list[str]:
    """Mount points in `folder`, innermost first, from the text of /proc/self/mountinfo (blanks are octal there)."""
    points = [line.split()[4].replace("\\040", " ") for line in mountinfo.splitlines()]
    below = [point for point in points if Path(point) != folder and Path(point).is_relative_to(folder)]
    return sorted(below, key=len, reverse=True)


def unmount_below(folder: Path) -> None:
    """Takes every mount in `folder` away, even those still in use."""
    libc = ctypes.CDLL(None, use_errno=True)
    for point in mounts_below(folder, Path("/proc/self/mountinfo").read_text()):
        libc.umount2(os.fsencode(point), MNT_DETACH)
    left = mounts_below(folder, Path("/proc/self/mountinfo").read_text())
    if left:
        raise MachineError(f"still mounted: {', '.join(left)}")


def shim_addresses(paths: Paths) -> set[Path]:
    """The sockets of our containers' shims: they lie in a folder shared with every containerd of the machine."""
    bundles = (paths.run / "containerd").glob("io.containerd.runtime.v2.task/*/*/address")
    return {Path(bundle.read_text().removeprefix("unix://")) for bundle in bundles}


def container_ids(paths: Paths) -> set[str]:
    """The ids of our containers, by the bundles that containerd keeps of them."""
    return {bundle.name for bundle in (paths.run / "containerd").glob("io.containerd.runtime.v2.task/*/*")}


def remove_outside(paths: Paths, sockets: Iterable[Path], containers: Iterable[str], before: Mapping[str, Any]) -> None:
    """Removes our things from folders that other programs share, and folders that only we brought about."""
    for socket in sockets:
        socket.unlink(missing_ok=True)
    for container in containers:
        shutil.rmtree(Path("/run/containerd/runc/k8s.io") / container, ignore_errors=True)
    for cached in Path("/var/lib/cni/results").glob("*"):
        if cached.name.startswith(("sandbox-", "cni-loopback-")):
            cached.unlink(missing_ok=True)
    for link in Path("/var/log/containers").glob("*.log"):
        if link.is_symlink() and link.readlink().is_relative_to(paths.log):
            link.unlink(missing_ok=True)
    absent = before.get("absent", [])
    if "/var/lib/kubelet" in absent:
        shutil.rmtree("/var/lib/kubelet", ignore_errors=True)
    for folder in sorted((name for name in absent if name in FIXED_FOLDERS), key=len, reverse=True):
        with suppress(OSError):  # someone else's things are in it by now: it stays
            Path(folder).rmdir()


def _read_sysctl(name: str) -> str | None:
    try:
        return (SYSCTL / name).read_text().strip()
    except OSError:
        return None


def _ip(*argv: str) -> None:
    answer = subprocess.run(["ip", *argv], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                            check=False)
    if answer.returncode:
        raise MachineError(f"ip {' '.join(argv)}: {answer.stderr.strip()}")
