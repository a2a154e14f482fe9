"""State folders of test sandboxes, in memory where there is room.

A database is a thousand files, and half of them again for each CREATE DATABASE. On ext4 making them takes a second of
processor where other files were deleted shortly before, as tests do all the time: each new inode is looked for past all
of those (ext4's recently_deleted()). In memory it takes a tenth.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path

from sandbox.process import Process, is_alive, process_of

MEMORY = Path("/dev/shm")
_PLENTY_BYTES = 2 << 30  # some dozen sandboxes with a database each
_OWNED = re.compile(r"aws-sandbox-(\d+)-(\d+)-(\d+)-\w+")


def temporary_state(memory: Path = MEMORY, plenty_bytes: int = _PLENTY_BYTES) -> tempfile.TemporaryDirectory[str]:
    """A new folder below `memory` if that has `plenty_bytes` free, else among the machine's temporary ones.

    Folders whose processes were killed are removed first: nobody else gives their memory back.
    """
    owner = process_of(os.getpid())
    if owner is None or not memory.is_dir() or shutil.disk_usage(memory).free < plenty_bytes:
        return tempfile.TemporaryDirectory(prefix="aws-sandbox-")
    namespace = Path("/proc/self/ns/pid").stat().st_ino  # containers may share this memory, but not their pids
    for folder in memory.iterdir():
        found = _OWNED.fullmatch(folder.name)
        if found and int(found[1]) == namespace and not is_alive(Process(int(found[2]), int(found[3]))):
            shutil.rmtree(folder, ignore_errors=True)
    return tempfile.TemporaryDirectory(prefix=f"aws-sandbox-{namespace}-{owner.pid}-{owner.started}-", dir=memory)
