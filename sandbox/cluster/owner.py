"""Whose sandbox runs on this machine: there is room for one."""

from __future__ import annotations

import datetime
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sandbox import process
from sandbox.paths import Paths


class OwnerError(Exception):
    """Another clone's sandbox lives on this machine, or someone is at work on it right now."""


@dataclass(frozen=True)
class Owner:
    """Who made the sandbox: the checkout, a process of it, when (UTC, ISO 8601)."""

    clone: str
    pid: int
    process_started: int
    started: str


Situation = Literal["none", "ours", "foreign", "remains"]


def situation(owner: Owner | None, *, clone: str, living: bool, state_exists: bool) -> Situation:
    """What stands in the way of a start. What lives without a readable owner is nobody's: remains."""
    if owner is not None and living:
        return "ours" if owner.clone == clone else "foreign"
    return "remains" if state_exists else "none"


def read(paths: Paths) -> Owner | None:
    """The owner on record."""
    try:
        return Owner(**json.loads(paths.owner.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def write(paths: Paths, clone: Path, holder: process.Process) -> None:
    """Records that `clone` owns the sandbox, proven alive by `holder`."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    owner = Owner(clone=str(clone), pid=holder.pid, process_started=holder.started, started=now)
    partial = paths.owner.with_suffix(".partial")
    partial.write_text(json.dumps(owner.__dict__) + "\n")
    partial.replace(paths.owner)


def living(paths: Paths) -> set[str]:
    """The names of the components that live, by their pid files; ``owner`` for the process on record."""
    alive = {file.stem for file in paths.run.glob("*.pid") if process.is_alive(process.load(file))}
    owner = read(paths)
    if owner and process.is_alive(process.Process(owner.pid, owner.process_started)):
        alive.add("owner")
    return alive


def foreign_message(owner: Owner) -> str:
    """What a second clone is told."""
    return (f"A sandbox of another clone runs on this machine: {owner.clone} (since {owner.started}). "
            f"It was left alone. End it there (make -C {owner.clone} down) and try again.")


@contextmanager
def alone(paths: Paths) -> Iterator[None]:
    """Holds the lock of the one `up` or `down` at work. Raises OwnerError, naming the other, when it is taken."""
    paths.lock.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(paths.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "r+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OwnerError(f"Another start or stop of the sandbox is under way (process {lock.read().strip()}). "
                             "Wait until it is through.") from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield
