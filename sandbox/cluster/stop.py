"""Takes a sandbox away: processes, mounts, network, control groups, settings, files; whatever state it is in.

Nothing is asked to shut down in order: what it knows is forgotten anyway. Works on half-started and half-dead ones.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from sandbox import process
from sandbox.cluster import cgroups, machine
from sandbox.cluster.components import components
from sandbox.console import Console
from sandbox.paths import Paths

# Those that make new processes come first.
FIRST = ("kubelet", "volumes", "containerd")
GRACE_S = 3.0


class StopError(Exception):
    """Something could not be taken away; the message names it."""


def remove(paths: Paths, console: Console) -> None:
    """Everything of the sandbox, its state included; the cache stays. Repeating it changes nothing."""
    before = machine.recall(paths)
    with console.step("stop the sandbox") as step:
        _end_processes(paths, step.say)
        step.say("mounts")
        sockets, containers = machine.shim_addresses(paths), machine.container_ids(paths)
        machine.unmount_below(paths.state)
        step.say("network")
        machine.network_down(before)
        step.say("control groups")
        left = cgroups.remove()
        if left:
            raise StopError(f"control groups with processes inside: {', '.join(map(str, left))}")
        machine.restore_sysctls(before)
        machine.remove_outside(paths, sockets, containers, before)
        step.say("files")
        _forget(paths)
        step.done_as("stopped; nothing is left but the cache")


def _end_processes(paths: Paths, say: Callable[[str], None]) -> None:
    """Daemons first those that start others, then the pods, then whatever still carries our mark."""
    spared = process.ancestors(os.getpid())
    for names in (FIRST, tuple(component.name for component in components(paths) if component.name not in FIRST)):
        say(", ".join(names))
        recorded = (process.load(paths.run / f"{name}.pid") for name in names)
        # The AWS API ends its database servers in order; the others know nothing worth a farewell.
        process.end((p.pid for p in recorded if process.is_alive(p) and p), grace_s=GRACE_S if "aws" in names else 0)
        process.end(cgroups.members(cgroups.ours()), grace_s=0)
    say("processes left over")
    for _ in range(5):
        left = (process.marked(str(paths.state)) | process.working_below(paths.aws)
                | cgroups.members(cgroups.ours())) - spared
        if not left:
            return
        process.end(left, grace_s=0)
    raise StopError(f"these processes do not end: {sorted(left)}")


def _forget(paths: Paths) -> None:
    """Removes the state. The record of what was changed goes last: a stop that was killed can be repeated."""
    if not paths.state.exists():
        return
    for entry in paths.state.iterdir():
        if entry == paths.before:
            continue
        if entry.is_dir() and not entry.is_symlink():
            _remove_tree(entry)
        else:
            entry.unlink(missing_ok=True)
    paths.before.unlink(missing_ok=True)
    paths.state.rmdir()


def _remove_tree(folder: Path) -> None:
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise StopError(f"{folder} cannot be removed: {error}") from error
