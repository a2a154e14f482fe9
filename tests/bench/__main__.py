"""`make bench`: what a run that has nothing to do costs, as ratios measured in one run on this machine.

Compared are whole processes: `ansible-playbook` with nothing but a debug task; the same with as many debug tasks as the
environment has resources (what one task a resource costs even if it did nothing); and the playbook of the converged
sandbox in check mode and for real. Medians of five, taken in turn.
"""

from __future__ import annotations

import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROUNDS = 5


def seconds(*arguments: str) -> float:
    """How long a whole `ansible-playbook` takes. Ends the bench when it fails."""
    began = time.monotonic()
    command = [sys.executable, "-m", "ansible", "playbook", *arguments]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{done.stdout}\nThe environment has to be up and converged: make up")
    return time.monotonic() - began


def empty_play(folder: Path, tasks: int) -> Path:
    """A playbook of `tasks` debug tasks."""
    task = {"name": "Nothing", "ansible.builtin.debug": {"msg": ""}}
    play = {"name": "Nothing", "hosts": "localhost", "gather_facts": False, "connection": "local"}
    path = folder / f"empty-{tasks}.yml"
    path.write_text(json.dumps([{**play, "tasks": [task] * tasks}]))
    return path


def main() -> None:
    """Measures and prints."""
    site = ("-i", "inventories/sandbox", "playbooks/site.yml")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plan = folder / "plan.json"
        seconds(*site, "-e", f"stack_plan_path={plan}")
        resources = int(re.findall(r"all (\d+) resources", json.loads(plan.read_text())["summary"])[0])
        runs = {
            "one debug task": ("-i", "localhost,", str(empty_play(folder, 1))),
            f"{resources} debug tasks": ("-i", "localhost,", str(empty_play(folder, resources))),
            f"site.yml --check, {resources} resources, no change": (*site, "--check"),
            f"site.yml, {resources} resources, no change": site,
        }
        times: dict[str, list[float]] = {title: [] for title in runs}
        for _ in range(ROUNDS):
            for title, arguments in runs.items():
                times[title].append(seconds(*arguments))
    base = statistics.median(times["one debug task"])
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; medians of {ROUNDS}")
    for title, taken in times.items():
        median = statistics.median(taken)
        print(f"{median:7.2f} s  {median / base:5.1f} x  {title}  ({min(taken):.2f}-{max(taken):.2f})")


if __name__ == "__main__":
    main()
