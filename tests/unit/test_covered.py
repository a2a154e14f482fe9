"""Too little coverage fails a test run: lines and branches are looked at each by themselves."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.covered import main


def report(folder: Path, *, lines: int, branches: int) -> str:
    """Of 200 lines and 100 branches, so many were run; all that is missing is in b.py."""
    totals = {"percent_statements_covered": lines / 2, "percent_branches_covered": branches}
    files = {
        "a.py": {"summary": {"missing_lines": 0, "missing_branches": 0}},
        "b.py": {"summary": {"missing_lines": 200 - lines, "missing_branches": 100 - branches}},
    }
    path = folder / "coverage.json"
    path.write_text(json.dumps({"totals": totals, "files": files}))
    return str(path)


def test_enough_of_both_is_enough(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([report(tmp_path, lines=181, branches=86), "90", "85"]) == 0
    assert "90.5 % of the lines" in capsys.readouterr().out


@pytest.mark.parametrize(("lines", "branches"), [(180, 100), (200, 85)])
def test_too_little_of_either_fails_and_says_of_which_file(
    lines: int, branches: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([report(tmp_path, lines=lines, branches=branches), "90", "85"]) == 1
    shown = capsys.readouterr().err
    assert f"b.py: {200 - lines} lines, {100 - branches} branches" in shown
    assert "a.py" not in shown


def test_a_package_without_branches_has_run_all_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module, path = tmp_path / "plain.py", tmp_path / "coverage.json"
    module.write_text("value = 1\n")
    commands = (["run", "--branch", str(module)], ["json", "-q", "-o", str(path)])
    monkeypatch.chdir(tmp_path)
    for command in commands:
        subprocess.run([sys.executable, "-m", "coverage", *command], check=True, timeout=60)
    assert main([str(path), "90", "85"]) == 0
