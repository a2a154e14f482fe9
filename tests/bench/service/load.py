"""Load by wrk: started with prepared requests, and its figures read.

wrk adds to its latencies those of the requests that it would have sent while it waited for a slow answer (coordinated
omission), so a standstill shows in the percentiles.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.bench.ground import BenchError

SCRIPT = Path(__file__).with_name("load.lua")
TIMEOUT_S = 10
_HINT = "wrk is not installed. It is a Debian package: sandbox/bootstrap.sh --tests (or apt-get install wrk)"


@dataclass(frozen=True, kw_only=True)
class Requests:
    """What is sent: files with one path, token or body a line, each taken in turn."""

    method: str
    paths: Path
    tokens: Path | None = None
    bodies: Path | None = None
    connections: int


@dataclass(frozen=True)
class Load:
    """What one run of wrk measured. `latency_us`: how many answers took so many microseconds."""

    requests: int
    seconds: float
    errors: Mapping[str, int]
    latency_us: Mapping[int, int]

    @property
    def per_second(self) -> float:
        """Answers a second."""
        return self.requests / self.seconds

    def ms(self, share: float) -> float:
        """The latency that this share of the answers stayed within, in milliseconds."""
        return percentile(self.latency_us, share) / 1000


def load_from_text(text: str) -> Load:
    """What the script printed at the end of wrk's output. Raises ValueError where it is not there."""
    line = next((line for line in reversed(text.splitlines()) if line.startswith("{")), "")
    found = json.loads(line)
    errors = {name: count for name, count in found["errors"].items() if count}
    return Load(found["requests"], found["duration_us"] / 1e6, errors, dict(found["latency_us"]))


def percentile(counts: Mapping[int, int], share: float) -> int:
    """The smallest value that `share` of all are at or below. 0 where there are none."""
    wanted, seen = share * sum(counts.values()), 0
    for value in sorted(counts):
        seen += counts[value]
        if seen >= wanted:
            return value
    return 0


def together(loads: Iterable[Load]) -> Load:
    """Several runs as one."""
    each = list(loads)
    latency_us: Counter[int] = Counter()
    errors: Counter[str] = Counter()
    for one in each:
        latency_us.update(one.latency_us)
        errors.update(one.errors)
    return Load(sum(one.requests for one in each), sum(one.seconds for one in each), errors, latency_us)


def program() -> str:
    """Where wrk is. Raises BenchError, which says how to get it."""
    found = shutil.which("wrk")
    if found is None:
        raise BenchError(_HINT)
    return found


def sent(port: int, requests: Requests, seconds: float, think_ms: float = 0.0) -> Load:
    """Sends them for that long. Raises BenchError where an answer was none of success, or did not come."""
    files = [str(path or "-") for path in (requests.paths, requests.tokens, requests.bodies)]
    command = [program(), "-t1", f"-c{requests.connections}", f"-d{max(1, round(seconds))}s", f"--timeout={TIMEOUT_S}s"]
    command += ["-s", str(SCRIPT), f"http://127.0.0.1:{port}", "--", requests.method, *files, f"{think_ms:.3f}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        load = load_from_text(done.stdout)
    except ValueError:
        raise BenchError(f"wrk: exit status {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}") from None
    if load.errors or not load.requests:
        raise BenchError(f"{requests.method}: {load.requests} answers, among them or besides errors: {load.errors}")
    return load
