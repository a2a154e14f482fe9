"""Where running sandboxes note themselves, so that the token authenticator knows whom to ask."""

from __future__ import annotations

import json
import os
from pathlib import Path

from .world import Settings

# The authenticator's calls are no client's: the call log leaves them out, faults do not touch them.
AUTHENTICATOR_AGENT = "sandbox-authenticator"


def directory() -> Path:
    """The folder of the notes, one file `<port>.json` a running AWS API."""
    return Path(os.environ.get("CAPSTAN_SANDBOX_DIR", "/var/lib/capstan/sandbox")) / "run" / "aws"


def register(settings: Settings, port: int) -> Path | None:
    """Notes the API on `port` of this process; None when it serves no cluster. The file is the owner's only."""
    if settings.kubernetes_endpoint is None:
        return None
    folder = directory()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"{port}.json"
    staged = path.with_suffix(f".{os.getpid()}")
    with os.fdopen(os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump({"host": settings.listen.rpartition(":")[0], "port": port, "pid": os.getpid()}, file)
    staged.replace(path)
    return path


def is_registered(host: str, port: int) -> bool:
    """Whether a living process noted an API at exactly this loopback address (or at all of the machine's)."""
    try:
        note = json.loads((directory() / f"{port}.json").read_text())
        os.kill(int(note["pid"]), 0)
    except (OSError, ValueError, KeyError):
        return False
    return note.get("port") == port and note.get("host") in (host, "0.0.0.0")
