"""Processes that are timed, their calls counted, and the table of medians."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.bench.contest import Contestant, Logs, RunFailed, Taken, changed_in, kube_calls, lines_since, measured, table
from tests.bench.programs import environment_folder


def contestant(folder: Path, *command: str, group: str = "aws", title: str = "it", ours: bool = False) -> Contestant:
    return Contestant(
        group=group,
        title=title,
        command=command,
        environment={},
        folder=folder,
        account="111111111111",
        kube_user="operator",
        ours=ours,
    )


def event(user: str, verb: str, uri: str = "/api/v1/x", stage: str = "ResponseComplete", as_user: str = "") -> str:
    found: dict[str, Any] = {"stage": stage, "verb": verb, "requestURI": uri, "user": {"username": user}}
    return json.dumps({**found, **({"impersonatedUser": {"username": as_user}} if as_user else {})})


def test_calls_are_counted_by_who_made_them_and_a_dry_run_is_no_write() -> None:
    lines = [
        event("operator", "get"),
        event("operator", "patch"),
        event("operator", "patch", "/api/v1/x?dryRun=All"),
        event("operator", "patch", stage="ResponseStarted"),
        event("other", "patch"),
        event("operator", "patch", as_user="other"),
        event("admin", "delete", as_user="operator"),
    ]
    assert kube_calls(lines, "operator") == [False, True, False, True]
    assert kube_calls(lines, "") == []


def test_changes_are_read_from_the_recap() -> None:
    recap = "web : ok=2    changed=1    unreachable=0\ndb : ok=2    changed=12   unreachable=0\n"
    assert changed_in(recap) == 13
    assert changed_in("deployment.apps/web serverside-applied\n") == 0


def test_a_run_is_measured_with_its_calls_alone(tmp_path: Path) -> None:
    audit = tmp_path / "audit.log"
    audit.write_text(event("operator", "patch") + "\n")  # before the run
    line = event("operator", "patch")
    program = f"open({str(audit)!r}, 'a').write({line!r} + chr(10)); sum(range(3_000_000)); print('changed=4')"
    aws = [
        {"account": "111111111111", "write": True},
        {"account": "111111111111", "write": False},
        {"account": "222222222222", "write": True},
    ]
    logs = Logs(lambda: 7, lambda mark: aws if mark == 7 else [], audit, tmp_path / "output")
    taken = measured(contestant(tmp_path, sys.executable, "-c", program), logs)
    assert (taken.calls, taken.writes, taken.changed) == (3, 2, 4)
    assert 0.01 < taken.processor_s < 60
    assert taken.seconds > 0.01


def test_calls_are_counted_on_when_the_audit_log_is_rotated(tmp_path: Path) -> None:
    audit = tmp_path / "audit.log"
    audit.write_text("before\n")
    with audit.open() as log:
        log.seek(0, os.SEEK_END)
        with audit.open("a") as more:
            more.write("one\n")
        audit.rename(tmp_path / "audit-1.log")
        audit.write_text("two\n")
        assert list(lines_since(log, audit)) == ["one\n", "two\n"]


def test_a_run_that_fails_says_what_it_printed(tmp_path: Path) -> None:
    audit = tmp_path / "audit.log"
    audit.touch()
    logs = Logs(lambda: 0, lambda mark: [], audit, tmp_path / "output")
    with pytest.raises(RunFailed, match=r"it: exit status 3\nno such luck"):
        measured(contestant(tmp_path, sys.executable, "-c", "print('no such luck'); raise SystemExit(3)"), logs)


def test_the_table_has_medians_and_sets_each_beside_ours_of_its_group(tmp_path: Path) -> None:
    ours = contestant(tmp_path, title="site.yml", ours=True)
    peer = contestant(tmp_path, title="amazon.aws")
    other = contestant(tmp_path, title="kubectl", group="kubernetes")
    lines = table(
        {
            ours: [Taken(2.0, 1.0, 40, 0, 0), Taken(9.0, 1.5, 40, 0, 0), Taken(2.5, 1.0, 40, 0, 0)],
            peer: [Taken(75.0, 30.0, 300, 1, 1)],
            other: [Taken(1.0, 0.5, 30, 30, 0)],
        }
    ).splitlines()
    assert lines[2:] == [
        "| aws: **site.yml** | 2.50 | 2.00-9.00 |  | 1.00 | 40 | 0 | 0 |",
        "| aws: amazon.aws | 75.00 | 75.00-75.00 | 30.0 | 30.00 | 300 | 1 | 1 |",
        "| kubernetes: kubectl | 1.00 | 1.00-1.00 |  | 0.50 | 30 | 30 | 0 |",
    ]


def test_another_lock_or_python_is_another_environment(tmp_path: Path) -> None:
    folders = {environment_folder(tmp_path, lock, python) for lock in (b"a", b"b") for python in ("3.11", "3.12")}
    assert len(folders) == 4
    assert {folder.parent for folder in folders} == {tmp_path}
