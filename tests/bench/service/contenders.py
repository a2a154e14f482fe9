"""Who takes part: how each is called, started, and asked how many reads its cache answered."""

from __future__ import annotations

import re
import sys
from pathlib import Path

PEERS = Path(__file__).with_name("peers")
OURS, CLUSTERED = "ours", "cluster"
NAMES = (OURS, CLUSTERED, "flask", "fastapi", "falcon")
TITLES = {
    OURS: "this service",
    CLUSTERED: "this service, Redis in cluster mode",
    "flask": "Flask, gunicorn",
    "fastapi": "FastAPI, uvicorn",
    "falcon": "Falcon, granian",
}
THREADS = "8"


def is_ours(name: str) -> bool:
    """Whether it is no peer."""
    return name in (OURS, CLUSTERED)


def command_of(name: str, programs: Path, port: int) -> list[str]:
    """How it is started: one worker process each; eight threads where it is threads that serve."""
    address = f"127.0.0.1:{port}"
    if name == "flask":
        threads = ("--worker-class", "gthread", "--workers", "1", "--threads", THREADS)
        return [str(programs / "gunicorn"), *threads, "--keep-alive", "75", "--bind", address, "flask_app:app"]
    if name == "fastapi":
        loop = ("--loop", "uvloop", "--http", "httptools", "--workers", "1", "--no-access-log")
        return [str(programs / "uvicorn"), *loop, "--host", "127.0.0.1", "--port", str(port), "fastapi_app:app"]
    if name == "falcon":
        threads = ("--interface", "wsgi", "--workers", "1", "--blocking-threads", THREADS)
        return [str(programs / "granian"), *threads, "--host", "127.0.0.1", "--port", str(port), "falcon_app:app"]
    return [sys.executable, "-m", "backend"]


def cache_reads_in(metrics: str) -> tuple[int, int]:
    """(hits, misses) of users in a page of Prometheus' text format."""
    found = {"hit": 0, "miss": 0}
    for line in metrics.splitlines():
        tags = re.fullmatch(r"cache_gets_total\{(.*)\} (\S+)", line)
        if tags and 'cache="users"' in tags[1]:
            for result in found:
                if f'result="{result}"' in tags[1]:
                    found[result] += int(float(tags[2]))
    return found["hit"], found["miss"]
