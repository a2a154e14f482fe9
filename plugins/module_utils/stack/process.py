"""This process, as the holder of a lock: enough to say later, on the same machine, whether it still lives."""

from __future__ import annotations

import getpass
import os
import socket
from pathlib import Path

from ..engine.lease import Process

_PROC = Path("/proc")


def this_process() -> Process:
    """The calling process."""
    pid = os.getpid()
    return Process(who=_user(), host=socket.gethostname(), scope=_scope(), pid=pid, started=_started(pid))


def is_dead(process: Process) -> bool:
    """True only when `process` certainly lives no more: it was of this boot and pid namespace, and its pid is gone,
    is a zombie's, or belongs to a later process."""
    if not process.scope or process.scope != _scope() or not process.pid or not process.started:
        return False
    return _started(process.pid) != process.started


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name
        return f"uid {os.getuid()}"


def _scope() -> str:
    """Boot id and pid namespace; empty where the kernel does not tell."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {(_PROC / 'self/ns/pid').readlink()}"
    except OSError:
        return ""


def _started(pid: int) -> str:
    """Start time in clock ticks since boot; empty when there is no such (living) process."""
    try:
        # The command's name may hold spaces and brackets: the numbered fields begin after its last bracket.
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    state, start_time = fields[0], fields[19]
    return "" if state in ("Z", "X") else start_time
