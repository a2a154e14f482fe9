"""Whole processes timed in turn, with what they cost: seconds, processor time, API calls; and the table of it."""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

RUN_LIMIT_S = 900.0
_WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})


class RunFailed(Exception):
    """A run that should have succeeded did not; the text ends with what it printed."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Contestant:
    """One way to do the work of `group`. `ours`: the one that the others of its group are measured against."""

    group: str
    title: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    folder: Path
    account: str = ""  # whose AWS calls are its own; "": it makes none
    kube_user: str = ""  # the same for calls of the Kubernetes API
    ours: bool = False
    aws_matters: bool = True  # is it worth measuring again when only the AWS API's pace changed


@dataclass(frozen=True)
class Taken:
    """What one run took."""

    seconds: float
    processor_s: float  # of all its processes, user and system
    calls: int
    writes: int
    changed: int  # by its own account; 0 where it gives none


@dataclass(frozen=True)
class Logs:
    """Where calls are counted: `aws` gives the sandbox's records after a mark, `audit` is the cluster's log.

    `output`: a file for what a run prints.
    """

    mark: Callable[[], int]
    aws: Callable[[int], list[dict[str, Any]]]
    audit: Path
    output: Path


def measured(contestant: Contestant, logs: Logs) -> Taken:
    """One run of it. Raises RunFailed."""
    mark = logs.mark()
    with logs.output.open("w") as log, logs.audit.open() as audit:
        audit.seek(0, os.SEEK_END)
        began = time.monotonic()
        process = subprocess.Popen(
            contestant.command,
            cwd=contestant.folder,
            env=dict(contestant.environment),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - began
        kube = kube_calls(lines_since(audit, logs.audit), contestant.kube_user)
    process.returncode = os.waitstatus_to_exitcode(status)
    text = logs.output.read_text()
    if process.returncode:
        raise RunFailed(f"{contestant.title}: exit status {process.returncode}\n{text[-4000:]}")
    aws = [call["write"] for call in logs.aws(mark) if call["account"] == contestant.account]
    calls = [*aws, *kube]
    return Taken(seconds, usage.ru_utime + usage.ru_stime, len(calls), sum(calls), changed_in(text))


def changed_in(output: str) -> int:
    """How many tasks changed something, by the recap of an `ansible-playbook`; 0 for what is none."""
    return sum(int(number) for number in re.findall(r"\bchanged=(\d+)", output))


def lines_since(log: TextIO, path: Path) -> Iterable[str]:
    """What was added to `log`, opened from `path`; with its successor when it was rotated meanwhile."""
    yield from log
    if os.fstat(log.fileno()).st_ino != path.stat().st_ino:
        with path.open() as following:
            yield from following


def kube_calls(lines: Iterable[str], user: str) -> list[bool]:
    """Of each call that `user` (itself, or impersonated) finished: did it write. A dry run is no write."""
    found = []
    for line in lines:
        if not user or user not in line:
            continue
        event = json.loads(line)
        who = (event.get("impersonatedUser") or event["user"])["username"]
        if event["stage"] == "ResponseComplete" and who == user:
            found.append(event["verb"] in _WRITES and "dryRun=" not in event["requestURI"])
    return found


def table(results: Mapping[Contestant, list[Taken]]) -> str:
    """The medians as a table of Markdown, each beside the one of its group that is ours."""
    lines = [
        "| | seconds | range | times ours | processor s | API calls | of them writes | says changed |",
        "| --- | --: | --- | --: | --: | --: | --: | --: |",
    ]
    for one, runs in results.items():
        seconds = [run.seconds for run in runs]
        median, last = statistics.median(seconds), runs[-1]
        ours = next((each for each in results if each.ours and each.group == one.group), None)
        ratio = "" if ours in {None, one} else f"{median / statistics.median(t.seconds for t in results[ours]):.1f}"
        title = f"**{one.title}**" if one.ours else one.title
        processor = statistics.median(run.processor_s for run in runs)
        lines.append(
            f"| {one.group}: {title} | {median:.2f} | {min(seconds):.2f}-{max(seconds):.2f} | {ratio} "
            f"| {processor:.2f} | {last.calls} | {last.writes} | {last.changed} |"
        )
    return "\n".join(lines)
