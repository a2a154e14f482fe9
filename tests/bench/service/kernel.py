"""Cores, and what the kernel says of processes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.bench.ground import BenchError

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Cores:
    """Where things run: the service under test has one core for itself."""

    service: int
    others: frozenset[int]


def cores_of(usable: set[int]) -> Cores:
    """The last one is the service's. Raises BenchError where there is only one."""
    if len(usable) < 2:
        raise BenchError("The benchmark needs two cores: one for the service, one for load, database and cache.")
    return Cores(max(usable), frozenset(usable - {max(usable)}))


@dataclass(frozen=True)
class Stat:
    """What the kernel says of a process."""

    pid: int
    session: int
    processor_s: float


@dataclass(frozen=True)
class Memory:
    """Resident memory of a process: its own, and what it shares with others."""

    own_mib: float
    shared_mib: float


def stat_from_proc(text: str) -> Stat:
    """Source: proc(5), `/proc/<pid>/stat`; the name in brackets may hold anything."""
    fields = text.rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    return Stat(int(text.split(maxsplit=1)[0]), int(fields[3]), ticks / _TICKS)


def memory_from_proc(text: str) -> Memory:
    """Source: proc(5), `/proc/<pid>/smaps_rollup`, in KiB."""
    found = {line.split(":")[0]: int(line.split()[1]) for line in text.splitlines()[1:]}
    own = found["Private_Clean"] + found["Private_Dirty"]
    return Memory(own / 1024, (found["Rss"] - own) / 1024)


def together_mib(memories: Iterable[Memory]) -> float:
    """Of processes forked from each other: what they share counts once."""
    each = list(memories)
    return sum(one.own_mib for one in each) + max((one.shared_mib for one in each), default=0.0)


def busy_s_in(stat: str, cores: Iterable[int]) -> float:
    """Seconds that these cores together have worked for anybody since the machine's start. Source: proc(5), stat."""
    wanted = {f"cpu{core}" for core in cores}
    ticks = 0
    for line in stat.splitlines():
        name, *fields = line.split()
        if name in wanted:
            user, nice, system, _idle, _iowait, irq, softirq = map(int, fields[:7])
            ticks += user + nice + system + irq + softirq
    return ticks / _TICKS


def busy_s(cores: Iterable[int]) -> float:
    """The same now."""
    return busy_s_in(Path("/proc/stat").read_text(), cores)


def processes_of(leader: int) -> Iterator[Stat]:
    """All processes of a session."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it ended meanwhile
            stat = stat_from_proc(path.read_text())
            if stat.session == leader:
                yield stat


def memory_of(stats: Iterable[Stat]) -> Iterator[Memory]:
    """Of each of these processes that is still there."""
    for stat in stats:
        with suppress(OSError):
            yield memory_from_proc(Path(f"/proc/{stat.pid}/smaps_rollup").read_text())
