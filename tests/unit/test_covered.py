"""Too little coverage fails a test run: lines and branches are looked at each by themselves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.covered import main


def report(folder: Path, *, lines: int, branches: int) -> str:
    """Of 200 lines and 100 branches, so many were run; all that is missing is in b.py."""
    totals = {"covered_lines": lines, "num_statements": 200, "covered_branches": branches, "num_branches": 100}
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


def test_a_package_without_branches_has_run_all_of_them(tmp_path: Path) -> None:
    path = tmp_path / "coverage.json"
    totals = {"covered_lines": 1, "num_statements": 1, "covered_branches": 0, "num_branches": 0}
    path.write_text(json.dumps({"totals": totals, "files": {}}))
    assert main([str(path), "90", "85"]) == 0
