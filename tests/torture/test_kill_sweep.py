"""kill -9 at the API calls of a whole converge: the next run starts at once and converges, no duplicate, no orphan.

`make test` takes a seeded sample; `make torture` (CAPSTAN_TORTURE=all) takes every call, before and after, with the
parent alone and with its whole tree.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from .arena import Arena, Kill, Target, targets_of

SEED = int(os.environ.get("CAPSTAN_TORTURE_SEED", "1"))
SAMPLE = int(os.environ.get("CAPSTAN_TORTURE_SAMPLE", "20"))
SIDE_BY_SIDE = 4


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[list[Target], Counter[str]]]:
    """The calls of an undisturbed converge, and what is there after it."""
    with Arena("torture-ref", tmp_path_factory.mktemp("reference")) as arena:
        arena.run()
        yield targets_of(arena), arena.inventory()


def kills(targets: list[Target]) -> list[Kill]:
    """Every kill for `make torture`, a seeded sample for `make test`."""
    everything = [
        Kill(target, mode, tree) for target in targets for mode in ("before", "after") for tree in (False, True)
    ]
    if os.environ.get("CAPSTAN_TORTURE") == "all":
        return everything
    return random.Random(SEED).sample(everything, SAMPLE)


def survive(kill: Kill, number: int, folder: Path, expected: Counter[str]) -> tuple[bool, str]:
    """Plays one kill; whether it hit, and what is wrong afterwards ("" when nothing is)."""
    stack = f"torture-{number}"
    try:
        with Arena(stack, folder / stack) as arena:
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


@pytest.mark.cluster
@pytest.mark.timeout(0)
def test_a_killed_converge_leaves_nothing_that_the_next_run_does_not_mend(
    reference: tuple[list[Target], Counter[str]], tmp_path: Path
) -> None:
    targets, expected = reference
    planned = kills(targets)
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        outcomes = list(pool.map(lambda n: survive(planned[n], n, tmp_path, expected), range(len(planned))))
    problems = [problem for _, problem in outcomes if problem]
    hits = sum(hit for hit, _ in outcomes)
    print(f"\n{len(planned)} kills planned, {hits} hit, {len(problems)} problems; {len(targets)} calls a converge")
    assert not problems, "\n\n".join(problems)
    assert hits >= len(planned) * 0.8, "too few runs made the call at which they were to be killed"
