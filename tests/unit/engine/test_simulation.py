"""The engine under seeded interleavings, kills, lost answers, lagging reads and two runs at once; and the simulation
itself, which has to find every planted defect."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .simulation.defects import DEFECTS, plant

HERE = Path(__file__).parent
ENGINE = HERE.parents[2] / "plugins" / "module_utils" / "engine"
SEEDS = int(os.environ.get("CAPSTAN_SEEDS", "10000"))
FAULTS = (
    "kill before read",
    "kill after read",
    "kill before write",
    "kill after write",
    "executed after death",
    "lost answer",
    "lost request",
    "throttle",
    "lagging read",
    "not yet",
    "freeze",
    "two at once",
    "lock held",
    "denied read",
    "drift",
    "conflict",
    "through another",
    "record judged",
)

# Where the search for these begins, because it once ended there; all seeds are tried, so only time hangs on it.
BEGIN = {
    "the client token is left out": 870,
    "no note before a create that nothing else makes unique": 1230,
    "the notes of a killed run are not polled": 1230,
    "no read after a lost create": 170,
    "a renewal counts from its end": 240,
    "what lies in something that is replaced stays behind": 150,
    "the way into what was replaced is kept": 150,
    "nothing is finished": 230,
    "the plan is not made again under the lock": 310,
    "one after the other": 80,
}


def play(module_utils: Path, *options: str) -> dict[str, Any]:
    """Plays seeds in a process of its own, against the engine in `module_utils`."""
    command = [sys.executable, "-m", "simulation", *options]
    environment = {**os.environ, "PYTHONPATH": f"{module_utils}{os.pathsep}{HERE}"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@pytest.mark.timeout(3000)
def test_every_seed_ends_as_described_and_every_fault_is_hit_five_hundred_times() -> None:
    result = play(ENGINE.parent, "--seeds", f"0:{SEEDS}")
    problems = [f"seed {failure['seed']}: {failure['problem']}" for failure in result["failures"]]
    assert not problems, "\n".join(problems)
    assert result["played"] == SEEDS
    rare = {fault: result["hits"].get(fault, 0) for fault in FAULTS if result["hits"].get(fault, 0) < SEEDS // 20}
    assert not rare


@pytest.mark.timeout(1500)
@pytest.mark.parametrize("name", DEFECTS)
def test_a_planted_defect_is_found(name: str, tmp_path: Path) -> None:
    plant(name, ENGINE, tmp_path)
    begin = min(BEGIN.get(name, 0), SEEDS)
    for seeds in (f"{begin}:{SEEDS}", f"0:{begin}"):
        if play(tmp_path, "--seeds", seeds, "--stop-at", "1")["failures"]:
            return
    pytest.fail(f"{SEEDS} seeds did not notice: {name}")
