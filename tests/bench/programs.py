"""The programs that this collection is compared with, in a Python environment of their own, made at the first use."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from sandbox.paths import paths_from

from .ground import BenchError

PLAYBOOKS = Path(__file__).parent / "peers"
_LOCK = Path(__file__).parent / "requirements.lock"


def environment_folder(cache: Path, lock: bytes, python: str) -> Path:
    """Where the environment of this lock file and Python lies: another content, another folder."""
    return cache / f"bench-{hashlib.sha256(lock + python.encode()).hexdigest()[:12]}"


def installed(lock: Path = _LOCK) -> Path:
    """The folder of the programs that `lock` pins. Raises BenchError when they cannot be installed."""
    folder = environment_folder(paths_from(os.environ).cache, lock.read_bytes(), sys.version)
    done = folder / ".done"  # the last thing written: half an environment is none
    if not done.exists():
        print(f"Installing the peers into {folder} …", flush=True)
        uv = str(Path(sys.executable).parent / "uv")
        _run(uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder))
        python = str(folder / "bin" / "python")
        into = ("--quiet", "--compile-bytecode", "--python", python)
        _run(uv, "pip", "install", *into, "--require-hashes", "-r", str(lock))
        done.touch()
    return folder / "bin"


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"{' '.join(command[:3])}: {done.stderr.strip()}")
