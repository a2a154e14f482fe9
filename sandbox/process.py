"""Daemons of the sandbox: started detached, found again by pid file, ended by pid.

A pid alone can belong to someone else later, so a pid file holds ``<pid> <start time>`` (field 22 of
/proc/PID/stat, clock ticks since boot), and every daemon carries a mark in its environment that its children inherit.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

MARK = "CAPSTAN_SANDBOX_MARK"
PROC = Path("/proc")


@dataclass(frozen=True)
class Process:
    """A process, told apart from a later one with the same pid by when it started (clock ticks since boot)."""

    pid: int
    started: int


@dataclass(frozen=True)
class Stat:
    """What this module needs of /proc/PID/stat: the state letter, the parent and the start time."""

    state: str
    parent: int
    started: int


def stat_from(text: str) -> Stat:
    """The fields of one /proc/PID/stat line. The command name may hold blanks and brackets: split after its last."""
    fields = text.rpartition(")")[2].split()
    return Stat(state=fields[0], parent=int(fields[1]), started=int(fields[19]))


def stat_of(pid: int) -> Stat | None:
    """The live process's fields, None where there is none. A zombie counts as gone: it holds nothing any more."""
    try:
        stat = stat_from((PROC / str(pid) / "stat").read_text())
    except (OSError, IndexError):
        return None
    return None if stat.state in "ZX" else stat


def process_of(pid: int) -> Process | None:
    """The identity of the live process `pid`."""
    stat = stat_of(pid)
    return Process(pid, stat.started) if stat else None


def is_alive(process: Process | None) -> bool:
    """Whether just this process still lives."""
    return process is not None and process_of(process.pid) == process


def save(pid_file: Path, process: Process) -> None:
    """Writes the pid file in one step, so that no reader sees half of it."""
    partial = pid_file.with_suffix(".partial")
    partial.write_text(f"{process.pid} {process.started}\n")
    partial.replace(pid_file)


def load(pid_file: Path) -> Process | None:
    """The process that `pid_file` names, living or not; None where there is no readable file."""
    try:
        pid, started = pid_file.read_text().split()
        return Process(int(pid), int(started))
    except (OSError, ValueError):
        return None


def spawn(argv: Sequence[str], *, log: Path, pid_file: Path, mark: str, cwd: Path | None = None,
          environ: Mapping[str, str] | None = None) -> Process:
    """Starts `argv` in a session of its own, its output appended to `log`. Raises OSError when it cannot be run."""
    environment = {**(os.environ if environ is None else environ), MARK: mark}
    with log.open("ab") as out:
        child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=cwd or "/",
                                 env=environment, start_new_session=True, close_fds=True)
    process = process_of(child.pid) or Process(child.pid, 0)
    save(pid_file, process)
    return process


def all_pids() -> Iterator[int]:
    """Every process id there is now."""
    return (int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit())


def marked(mark: str) -> set[int]:
    """Live processes that carry `mark` in their environment: the daemons and what they started."""
    wanted = f"{MARK}={mark}".encode()
    found = set()
    for pid in all_pids():
        try:
            environment = (PROC / str(pid) / "environ").read_bytes()
        except OSError:
            continue
        if wanted in environment.split(b"\0") and stat_of(pid):
            found.add(pid)
    return found


def working_below(folder: Path) -> set[int]:
    """Live processes whose working directory lies in `folder`: database servers rewrite their environment."""
    found = set()
    for pid in all_pids():
        try:
            cwd = str((PROC / str(pid) / "cwd").readlink()).removesuffix(" (deleted)")
        except OSError:
            continue
        if Path(cwd).is_relative_to(folder) and stat_of(pid):
            found.add(pid)
    return found


def ancestors(pid: int) -> set[int]:
    """`pid` and all its parents: what must never be ended while it runs."""
    line: set[int] = set()
    while pid > 0 and pid not in line:
        line.add(pid)
        stat = stat_of(pid)
        pid = stat.parent if stat else 0
    return line


def wait_until(condition: Callable[[], bool], timeout_s: float, every_s: float = 0.05) -> bool:
    """Whether `condition` became true within `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(every_s)
    return True


def end(pids: Iterable[int], *, grace_s: float) -> set[int]:
    """Ends processes: asks (SIGTERM, SIGCONT for stopped ones), after `grace_s` kills. Answers what still lives."""
    processes = {process for pid in pids if (process := process_of(pid))}
    if grace_s > 0:
        _signal(processes, signal.SIGTERM)
        _signal(processes, signal.SIGCONT)
        wait_until(lambda: not any(map(is_alive, processes)), grace_s)
    _signal({process for process in processes if is_alive(process)}, signal.SIGKILL)
    wait_until(lambda: not any(map(is_alive, processes)), 10)
    return {process.pid for process in processes if is_alive(process)}


def _signal(processes: Iterable[Process], number: signal.Signals) -> None:
    for process in processes:
        if is_alive(process):
            try:
                os.kill(process.pid, number)
            except ProcessLookupError:
                continue
