"""`make bench`, the second part: the user service beside the same service written with Flask, FastAPI and Falcon.

Each peer is one file in `peers`, as its users would write it, with the same checks on the same tables and tokens:
bearer token, session, rate limit and user in Redis, metrics, a span and a log line for each request, a correlation id.
What they answer is compared before each turn. The service under test has a core for itself, with one worker process;
load, PostgreSQL and Redis have the others. Services take turns, so a slow moment of the machine hits all of them.

Reads come from 10,000 users with their own tokens: 85 % ask for themselves, whom the cache holds, 15 % for somebody
whom nobody asked for yet. It ends with an error where an answer was none of success, or the share of hits is off. The
table says how busy the cores were, hence which side was the limit. Spring Boot is not measured here.

    python -m tests.bench.service --only ours flask --what get list --seconds 5 --rounds 3
    python -m tests.bench.service --only ours --what get --rounds 1 --connections 10000 --soak 120
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import sys
from pathlib import Path

from tests.bench.ground import BenchError
from tests.bench.programs import installed

from . import extras, load
from .contenders import NAMES, OURS
from .kernel import cores_of
from .report import median_of, operation_table, process_table
from .turns import OPERATIONS, Bench, interleaved
from .world import World

_LOCK = Path(__file__).with_name("requirements.lock")


def bench(given: argparse.Namespace) -> None:
    """Measures and prints."""
    names = [name for name in NAMES if name in given.only]
    operations = [operation for operation in OPERATIONS if operation in given.what]
    load.program()
    extras.allow_files(given.connections)
    cores = cores_of(os.sched_getaffinity(0))
    programs = installed(_LOCK)
    os.sched_setaffinity(0, cores.others)
    print("Filling the database …", flush=True)
    with World() as world:
        ground = Bench(world, programs, cores, given.seconds)
        results = interleaved(ground, names, operations, given.rounds)
        print(f"\nMedians of {given.rounds} rounds of {given.seconds:g} s\n")
        for operation in operations:
            print(operation_table(operation, results), end="\n\n")
        print(process_table(results), end="\n\n", flush=True)
        if OURS not in results:
            return
        most = None
        if "get" in operations:
            most = median_of(results[OURS], lambda turn: turn.operations["get"].load.per_second)
        for sentence in extras.of_ours(
            ground, most, logins="login" in operations, soak_min=given.soak, connections=given.connections
        ):
            print(sentence, flush=True)


def main() -> int:
    """Measures and prints; 1 with a message when it cannot."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.service")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES, help="which services")
    parser.add_argument("--what", nargs="+", choices=OPERATIONS, default=OPERATIONS, help="which operations")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long each operation is measured")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--soak", type=float, default=0.0, metavar="MINUTES", help="reads from ours for that long")
    parser.add_argument("--connections", type=int, default=0, help="as many to ours, 100 of them at work")
    given = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}", flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything that was started ends, too
    try:
        bench(given)
    except BenchError as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
