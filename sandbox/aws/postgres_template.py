"""The data folder that every database instance begins with: made by initdb once, and copied.

initdb takes several times the processor time of all the rest that a new instance needs. Copies share the system
identifier; it matters only to replicas, and the sandbox has none.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

BINARIES = Path("/usr/lib/postgresql/15/bin")
ADMIN = "rdsadmin"
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": "/nonexistent"}
# Small log segments: the first one is a good part of what is copied.
_ARGUMENTS = (
    "-U",
    ADMIN,
    "--no-sync",
    "--no-instructions",
    "--encoding=UTF8",
    "--locale=C.UTF-8",
    "--wal-segsize=1",
    "--auth=reject",
    "--auth-local=trust",
)


class PostgresFailed(Exception):
    """A server that could not be made or started; the text holds the end of its log."""


class Template:
    """A fresh data folder for each PostgreSQL below `folder`, without any password; safe in several processes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def copy_to(self, data: Path) -> None:
        """Makes `data`, which is not there yet, in a folder of the user postgres. Raises PostgresFailed, OSError."""
        kept = self._folder / _key()
        if not kept.is_dir():
            self._folder.mkdir(parents=True, exist_ok=True)
            # One makes it, and the others wait: they need it, too. The lock goes with its process.
            with (self._folder / ".lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if not kept.is_dir():
                    self._make(data, kept)
                    return
        _copy(kept, data)

    def _make(self, data: Path, kept: Path) -> None:
        # In place: the user postgres reaches the instance's folder, but maybe not the cache.
        _run([*as_postgres("KILL"), str(BINARIES / "initdb"), "-D", str(data), *_ARGUMENTS])
        partial = kept.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)  # of one that was killed
        _copy(data, partial)
        partial.rename(kept)


@functools.cache
def _key() -> str:
    """A name for all that the content depends on: PostgreSQL's version, the arguments, whose files they are."""
    version = _run([str(BINARIES / "initdb"), "--version"])
    return hashlib.sha256(repr((version, _ARGUMENTS, os.geteuid())).encode()).hexdigest()[:12]


def _copy(source: Path, target: Path) -> None:
    _run(["setpriv", "--pdeathsig=KILL", "--", "cp", "--archive", "--reflink=auto", str(source), str(target)])


def as_postgres(death_signal: str) -> list[str]:
    """A prefix that runs a command as the user postgres, ended by `death_signal` when the sandbox dies."""
    who = ["--reuid=postgres", "--regid=postgres", "--init-groups"] if os.geteuid() == 0 else []
    return ["setpriv", *who, f"--pdeathsig={death_signal}", "--"]


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, cwd="/", env=ENVIRONMENT, check=False)
    if done.returncode != 0:
        raise PostgresFailed(f"{Path(command[0]).name}: {done.stderr.strip()[-500:]}")
    return done.stdout
