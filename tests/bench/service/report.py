"""The figures of all rounds, as tables; and what is computed from series of them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from .contenders import OURS, TITLES
from .load import Load


@dataclass(frozen=True)
class Measured:
    """One operation in one round."""

    load: Load
    core_share: float  # of the service's core, how much its processes used
    others_share: float  # of all other cores, how much anybody used: load, database, cache


@dataclass(frozen=True)
class Turn:
    """One service's turn: started, measured, stopped. `hits`: the share of reads that the cache answered, if read.

    Memory: once every hot user and caller was served, and after all operations.
    """

    first_answer_s: float
    warm_mib: float
    memory_mib: float
    operations: Mapping[str, Measured]
    hits: float | None


def median_of(turns: Sequence[Turn], value: Callable[[Turn], float]) -> float:
    """The median over rounds."""
    return statistics.median(value(turn) for turn in turns)


def operation_table(operation: str, results: Mapping[str, Sequence[Turn]]) -> str:
    """One operation, a service a row, each beside ours."""

    def per_second(turns: Sequence[Turn]) -> float:
        return median_of(turns, lambda turn: turn.operations[operation].load.per_second)

    lines = [
        f"| {operation} | requests/s | range | ours is times as fast | p50 ms | p99 ms | of its core | of the others |",
        "| --- | --: | --- | --: | --: | --: | --: | --: |",
    ]
    for name, turns in results.items():
        rates = [turn.operations[operation].load.per_second for turn in turns]
        ratio = f"{per_second(results[OURS]) / per_second(turns):.1f}" if OURS in results and name != OURS else ""
        p50 = median_of(turns, lambda turn: turn.operations[operation].load.ms(0.5))
        p99 = median_of(turns, lambda turn: turn.operations[operation].load.ms(0.99))
        busy = median_of(turns, lambda turn: turn.operations[operation].core_share)
        others = median_of(turns, lambda turn: turn.operations[operation].others_share)
        lines.append(
            f"| {_title(name)} | {per_second(turns):.0f} | {min(rates):.0f}-{max(rates):.0f} | {ratio} "
            f"| {p50:.2f} | {p99:.2f} | {busy:.0%} | {others:.0%} |"
        )
    return "\n".join(lines)


def process_table(results: Mapping[str, Sequence[Turn]]) -> str:
    """What each service takes as a process."""
    lines = ["| | first answer s | memory MiB | after all of it | hits |", "| --- | --: | --: | --: | --: |"]
    for name, turns in results.items():
        first = median_of(turns, lambda turn: turn.first_answer_s)
        warm = median_of(turns, lambda turn: turn.warm_mib)
        memory = median_of(turns, lambda turn: turn.memory_mib)
        hits = [turn.hits for turn in turns if turn.hits is not None]
        least = f"{min(hits):.1%}" if hits else ""
        lines.append(f"| {_title(name)} | {first:.2f} | {warm:.0f} | {memory:.0f} | {least} |")
    return "\n".join(lines)


def slope(points: Sequence[tuple[float, float]]) -> float:
    """By how much y grows for each x, by least squares. 0 for fewer than two points."""
    if len(points) < 2:
        return 0.0
    return statistics.linear_regression([x for x, _ in points], [y for _, y in points]).slope


def apart(one: Sequence[float], other: Sequence[float]) -> float:
    """How far the medians are apart, as a share of the smaller."""
    medians = sorted((statistics.median(one), statistics.median(other)))
    return medians[1] / medians[0] - 1


def _title(name: str) -> str:
    return f"**{TITLES[name]}**" if name == OURS else TITLES[name]
