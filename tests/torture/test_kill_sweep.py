"""kill -9 at the API calls of a whole converge: the next run starts at once and converges, no duplicate, no orphan.

`make test` takes a seeded sample; `make torture` takes every call, before and after, with the parent alone and with its
whole tree; `make torture PART=2/4` the second of four parts of that, every one of which goes over all calls; with
`FROM=100` from its hundredth kill on, where an earlier sweep was ended.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from .arena import ONE_POD, Arena, Kill, Target, targets_of

SEED = int(os.environ.get("CAPSTAN_TORTURE_SEED", "1"))
SAMPLE = int(os.environ.get("CAPSTAN_TORTURE_SAMPLE", "20"))
SIDE_BY_SIDE = 4
WAYS = tuple((mode, tree) for mode in ("before", "after") for tree in (False, True))


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[list[Target], Counter[str]]]:
    """The calls of an undisturbed converge, and what is there after it."""
    with Arena("torture-ref", tmp_path_factory.mktemp("reference"), ONE_POD) as arena:
        arena.run()
        yield targets_of(arena), arena.inventory()


def kills(targets: list[Target], part: str, first: int = 1) -> list[Kill]:
    """Every kill of a part of the whole sweep ("1/1": all of it), from the `first` on (they count from 1); without a
    part the seeded sample of `make test`."""
    if not part:
        return random.Random(SEED).sample([Kill(target, *way) for target in targets for way in WAYS], SAMPLE)
    number, of = (int(word) for word in part.split("/"))
    if not 1 <= number <= of:
        raise ValueError(f"{part}: there is no such part")
    return [
        Kill(target, *way)
        for call, target in enumerate(targets)
        for turn, way in enumerate(WAYS)
        if (call + turn) % of == number - 1
    ][first - 1 :]


class Tally:
    """Says after each kill how far the sweep is."""

    def __init__(self, planned: int) -> None:
        self._planned = planned
        self._done = self._problems = 0
        self._began = time.monotonic()
        self._lock = threading.Lock()

    def count(self, kill: Kill, problem: str) -> None:
        with self._lock:
            self._done += 1
            self._problems += bool(problem)
            seconds = time.monotonic() - self._began
            print(f"{seconds:7.0f} s  {self._done} of {self._planned}, {self._problems} problems: {kill}", flush=True)
            if problem:
                print(problem, flush=True)  # the end of a sweep is hours away


def survive(kill: Kill, number: int, folder: Path, expected: Counter[str]) -> tuple[bool, str]:
    """Plays one kill; whether it hit, and what is wrong afterwards ("" when nothing is)."""
    stack = f"torture-{number}"
    try:
        with Arena(stack, folder / stack, ONE_POD) as arena:
            hit = arena.killed_run(replace(kill, target=of_stack(kill.target, stack)))
            arena.run()
            again = arena.run("--check")
            problem = "" if "changed=0" in again else f"{kill}: the run after the next one still has changes:\n{again}"
            found = arena.inventory()
            if found != expected:
                missing, extra = expected - found, found - expected
                problem = f"{kill}: missing {dict(missing)}, too many {dict(extra)}"
            return hit, problem
    except AssertionError as error:
        return False, f"{kill}: {error}"


def of_stack(target: Target, stack: str) -> Target:
    return replace(target, operation=target.operation.replace("torture-ref", stack))


def test_the_parts_of_the_sweep_together_are_all_of_it_each_kill_once() -> None:
    calls = [Target("ec2", "CreateVpc", nth) for nth in range(1, 6)]
    parts = [kill for number in range(1, 4) for kill in kills(calls, f"{number}/3")]
    assert len(parts) == 20
    assert sorted(map(str, parts)) == sorted(map(str, kills(calls, "1/1")))
    assert {kill.target.nth for kill in kills(calls, "2/3")} == {1, 2, 3, 4, 5}
    assert kills(calls, "2/3", 3) == kills(calls, "2/3")[2:]


@pytest.mark.cluster
@pytest.mark.timeout(0)
def test_a_killed_converge_leaves_nothing_that_the_next_run_does_not_mend(
    reference: tuple[list[Target], Counter[str]], tmp_path: Path
) -> None:
    targets, expected = reference
    planned = kills(targets, os.environ.get("CAPSTAN_TORTURE", ""), int(os.environ.get("CAPSTAN_TORTURE_FROM", "1")))
    tally = Tally(len(planned))

    def one(number: int) -> tuple[bool, str]:
        hit, problem = survive(planned[number], number, tmp_path, expected)
        tally.count(planned[number], problem)
        return hit, problem

    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        outcomes = list(pool.map(one, range(len(planned))))
    problems = [problem for _, problem in outcomes if problem]
    hits = sum(hit for hit, _ in outcomes)
    print(f"\n{len(planned)} kills planned, {hits} hit, {len(problems)} problems; {len(targets)} calls a converge")
    assert not problems, "\n\n".join(problems)
    assert hits >= len(planned) * 0.8, "too few runs made the call at which they were to be killed"
