"""What the process does with memory that it does not need any more."""

from __future__ import annotations

import os
import subprocess
import sys

from app.backend.tests.conftest import BACKEND

# As the tables of the caches: large, made anew again and again, each time by some thread; what is kept lies in between.
CHURN = """
import threading
from pathlib import Path
from backend.server import keep_memory_small

def resident_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

def work():
    together.wait()
    for _ in range(40):
        tables = [bytearray(300_000) for _ in range(4)]
        kept.append(bytearray(2_000))
        del tables

keep_memory_small()
together, kept, before = threading.Barrier(8), [], resident_bytes()
threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(resident_bytes() - before)
"""


def test_what_one_thread_freed_is_there_for_all() -> None:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(BACKEND)}
    made = subprocess.run([sys.executable, "-c", CHURN], env=environment, capture_output=True, text=True, check=True)
    assert int(made.stdout) < 6 * 2**20, "3 MiB; 10 where each thread keeps its own"
