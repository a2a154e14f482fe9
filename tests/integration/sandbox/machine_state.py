"""What a machine looks like from outside: everything that a sandbox could leave behind, read without its code."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# Programs that only a sandbox runs on a machine that has none; Python ones are told apart by their arguments.
PROGRAMS = frozenset({
    "containerd", "containerd-shim", "containerd-shim-runc-v2", "coredns", "docker-registry", "etcd", "kube-apiserver",
    "kube-controller-manager", "kube-proxy", "kube-scheduler", "kubelet", "metrics-server", "pause", "program", "runc",
})
PYTHON_DAEMONS = frozenset({"127.0.0.1:4566", "127.0.0.1:21362", "volumes"})
# Kernel settings that move by themselves.
VOLATILE = ("kernel/random/", "kernel/ns_last_pid", "kernel/pty/nr", "net/netfilter/nf_conntrack_count",
            "kernel/perf_event_max_sample_rate", "kernel/keys/", "net/ipv4/tcp_mem", "net/ipv4/udp_mem")
SHARED_FOLDERS = ("/run/containerd", "/var/lib/cni", "/var/lib/kubelet", "/var/log/containers", "/run/netns",
                  "/opt/containerd")


@dataclass(frozen=True)
class MachineState:
    """Sets that can be compared; each line says what it is."""

    processes: frozenset[str]
    mounts: frozenset[str]
    network_namespaces: frozenset[str]
    links: frozenset[str]
    control_groups: frozenset[str]
    packet_filter: frozenset[str]
    settings: frozenset[str]
    shared_files: frozenset[str]


def machine_state() -> MachineState:
    """The machine as it is now."""
    return MachineState(
        processes=frozenset(_processes()),
        mounts=frozenset(_mounts()),
        network_namespaces=frozenset(_network_namespaces()),
        links=frozenset(link.name for link in Path("/sys/class/net").iterdir()),
        control_groups=frozenset(_control_groups()),
        packet_filter=frozenset(_packet_filter()),
        settings=frozenset(_settings()),
        shared_files=frozenset(str(file) for root in SHARED_FOLDERS for file in _tree(Path(root))),
    )


def _processes() -> Iterator[str]:
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
            arguments = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        name = Path(arguments[0]).name
        if state not in "ZX" and (name in PROGRAMS or PYTHON_DAEMONS.intersection(arguments)):
            yield f"{folder.name} {' '.join(arguments)[:120]}"


def _mounts() -> Iterator[str]:
    """Every mount point but those in /tmp, where other programs of the machine are at work."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        point = line.split()[4]
        if not point.startswith("/tmp/"):
            yield point


def _control_groups() -> Iterator[str]:
    """The outermost groups of every hierarchy: those of other programs change further inside."""
    root = Path("/sys/fs/cgroup")
    return (str(folder) for pattern in ("*", "*/*") for folder in root.glob(pattern) if folder.is_dir())


def _network_namespaces() -> Iterator[str]:
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split()
        if " - nsfs " in line and fields[3].startswith("net:"):
            yield fields[3]


def _packet_filter() -> Iterator[str]:
    for family in ("iptables", "ip6tables"):
        saved = subprocess.run([f"{family}-save"], capture_output=True, text=True, check=True).stdout
        for line in saved.splitlines():
            if line.startswith((":", "*", "-A")):
                yield f"{family} {line.split(' [')[0]}"


def _settings() -> Iterator[str]:
    for root in ("kernel", "vm", "net/ipv4", "net/bridge", "net/netfilter", "net/ipv6"):
        for file in Path("/proc/sys", root).rglob("*"):
            name = str(file.relative_to("/proc/sys"))
            if name.startswith(VOLATILE) or not file.is_file():
                continue
            try:
                yield f"{name}={file.read_text().strip()}"
            except OSError:
                continue


def _tree(root: Path) -> Iterator[Path]:
    if root.exists():
        yield root
        yield from root.rglob("*")
