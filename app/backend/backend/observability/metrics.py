"""Counters, gauges and timers, cheap enough for every request: less than a microsecond each.

A meter has a name with dots, as the actuator shows it (`http.server.requests`), and a unit; Prometheus gets the same
name in its own form (`http_server_requests_seconds`). Values with the same tags are one series.

Each thread counts in cells of its own, so counting takes no lock; reading adds the cells up, and takes over those of
threads that have ended.
"""

from __future__ import annotations

import threading
import weakref
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

Tags = tuple[str, ...]  # values, in the order of the meter's tag names

# Seconds; the edges that dashboards and alerts ask about (50, 150, 200, 300 and 500 ms) are among them.
BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Description:
    """What a meter is. `unit` is "" (a number), "seconds" or "bytes"."""

    name: str
    text: str
    unit: str = ""
    tags: tuple[str, ...] = ()

    def prometheus(self, suffix: str = "") -> str:
        """The name as Prometheus has it."""
        name = self.name.replace(".", "_")
        unit = f"_{self.unit}" if self.unit else ""
        return f"{name}{unit}{suffix}"


class _Cells(threading.local):
    """Lists of numbers, by tags: one set for each thread that counts, in `mine`, each of which is made where it is
    missing (`new`)."""

    def __init__(self, all_cells: _AllCells) -> None:
        # Runs in each thread that asks for the first time.
        self.mine: dict[Tags, list[float]] = {}
        self._size = all_cells.size
        all_cells.add(threading.current_thread(), self.mine)

    def new(self, tags: Tags) -> list[float]:
        """This thread's numbers for `tags`, to be changed in place."""
        cell = self.mine[tags] = [0.0] * self._size
        return cell


class _AllCells:
    """The cells of all threads."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._lock = threading.Lock()
        self._threads: list[tuple[weakref.ref[threading.Thread], dict[Tags, list[float]]]] = []
        self._ended: dict[Tags, list[float]] = {}

    def add(self, thread: threading.Thread, cells: dict[Tags, list[float]]) -> None:
        """One more thread counts."""
        with self._lock:
            self._threads.append((weakref.ref(thread), cells))

    def sums(self) -> dict[Tags, list[float]]:
        """All threads' numbers together."""
        with self._lock:
            living = []
            for thread, cells in self._threads:
                if (known := thread()) is not None and known.is_alive():
                    living.append((thread, cells))
                else:
                    _add(self._ended, cells)
            self._threads = living
            total = {tags: list(numbers) for tags, numbers in self._ended.items()}
        for _thread, cells in living:
            _add(total, cells)
        return total


def _add(total: dict[Tags, list[float]], cells: Mapping[Tags, list[float]]) -> None:
    for tags, numbers in list(cells.items()):  # its thread may add a series meanwhile
        known = total.setdefault(tags, [0.0] * len(numbers))
        for position, number in enumerate(numbers):
            known[position] += number


class Counter:
    """Only ever grows."""

    kind = "counter"

    def __init__(self, what: Description) -> None:
        self.what = what
        self._all = _AllCells(1)
        self._cells = _Cells(self._all)

    def series(self, *tags: str) -> Callable[[], None]:
        """What counts one more of these tags."""
        cells = self._cells

        def count() -> None:
            try:
                cells.mine[tags][0] += 1.0
            except KeyError:
                cells.new(tags)[0] += 1.0

        return count

    def add(self, *tags: str, by: float = 1.0) -> None:
        """Counts `by` more."""
        cells = self._cells
        (cells.mine.get(tags) or cells.new(tags))[0] += by

    def values(self) -> dict[Tags, float]:
        """Series to value; one without tags is there from the start."""
        counted = {tags: numbers[0] for tags, numbers in self._all.sums().items()}
        return counted or ({} if self.what.tags else {(): 0.0})


class Asked:
    """Kept somewhere else, and asked for when it is read. `kind`: gauge or counter."""

    def __init__(self, what: Description, kind: str, ask: Callable[[], float]) -> None:
        self.what = what
        self.kind = kind
        self._ask = ask

    def values(self) -> dict[Tags, float]:
        """Series to value."""
        return {(): self._ask()}


@dataclass(frozen=True, slots=True)
class Timed:
    """A timer's series: how many there were, their sum, and how many were no longer than each of `BOUNDS_S`."""

    count: float
    total_s: float
    up_to: tuple[float, ...]


class Timer:
    """How often, and how long: a histogram."""

    kind = "histogram"

    def __init__(self, what: Description) -> None:
        self.what = what
        self._all = _AllCells(len(BOUNDS_S) + 2)
        self._cells = _Cells(self._all)

    def series(self, *tags: str) -> Callable[[float], None]:
        """What records one more of these tags, given the seconds that it took."""
        cells = self._cells

        def record(seconds: float) -> None:
            try:
                cell = cells.mine[tags]
            except KeyError:
                cell = cells.new(tags)
            cell[bisect_left(BOUNDS_S, seconds)] += 1.0
            cell[-1] += seconds

        return record

    def values(self) -> dict[Tags, Timed]:
        """Series to figures."""
        return {tags: _timed(numbers) for tags, numbers in self._all.sums().items()}


def _timed(numbers: list[float]) -> Timed:
    up_to, count = [], 0.0
    for number in numbers[: len(BOUNDS_S)]:
        count += number
        up_to.append(count)
    return Timed(count + numbers[len(BOUNDS_S)], numbers[-1], tuple(up_to))


Meter = Counter | Asked | Timer
M = TypeVar("M", Counter, Asked, Timer)


@dataclass(slots=True)
class Registry:
    """The meters of a process, by name."""

    meters: dict[str, Meter] = field(default_factory=dict)

    def counter(self, name: str, text: str, *tags: str) -> Counter:
        """A new counter."""
        return self._new(Counter(Description(name, text, "", tags)))

    def timer(self, name: str, text: str, *tags: str) -> Timer:
        """A new timer, in seconds."""
        return self._new(Timer(Description(name, text, "seconds", tags)))

    def gauge(self, name: str, text: str, ask: Callable[[], float], unit: str = "") -> None:
        """A gauge; `ask` gives its value now."""
        self._new(Asked(Description(name, text, unit), "gauge", ask))

    def asked_counter(self, name: str, text: str, ask: Callable[[], float], unit: str = "") -> None:
        """A counter that somebody else keeps."""
        self._new(Asked(Description(name, text, unit), "counter", ask))

    def _new(self, meter: M) -> M:
        if meter.what.name in self.meters:
            raise ValueError(f"there is a meter {meter.what.name} already")
        self.meters[meter.what.name] = meter
        return meter


# -- in Prometheus' words: the text format 0.0.4


def to_prometheus(meters: Iterable[Meter]) -> str:
    """All series, for a scrape."""
    lines: list[str] = []
    for meter in meters:
        what = meter.what
        name = what.prometheus("_total" if meter.kind == "counter" else "")
        lines += [f"# HELP {name} {_escaped(what.text)}", f"# TYPE {name} {meter.kind}"]
        if isinstance(meter, Timer):
            for tags, timed in sorted(meter.values().items()):
                lines += _histogram(name, what.tags, tags, timed)
        else:
            values = sorted(meter.values().items())
            lines += [f"{name}{_labels(what.tags, tags)} {value:.15g}" for tags, value in values]
    return "\n".join(lines) + "\n"


def _histogram(name: str, names: tuple[str, ...], tags: Tags, timed: Timed) -> list[str]:
    names = (*names, "le")
    lines = [
        f"{name}_bucket{_labels(names, (*tags, f'{bound:g}'))} {number:.15g}"
        for bound, number in zip(BOUNDS_S, timed.up_to, strict=True)
    ]
    lines.append(f"{name}_bucket{_labels(names, (*tags, '+Inf'))} {timed.count:.15g}")
    plain = _labels(names[:-1], tags)
    return [*lines, f"{name}_sum{plain} {timed.total_s:.15g}", f"{name}_count{plain} {timed.count:.15g}"]


def _labels(names: tuple[str, ...], values: Tags) -> str:
    if not names:
        return ""
    pairs = (f'{name}="{_escaped(value, quotes=True)}"' for name, value in zip(names, values, strict=True))
    return "{" + ",".join(pairs) + "}"


def _escaped(text: str, *, quotes: bool = False) -> str:
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quotes else text
