"""Names, checksums and order of migrations: no database."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from backend.migrations.plan import Applied, overview, pending, problems
from backend.migrations.runner import java_hash, lock_number
from backend.migrations.scripts import MigrationError, checksum, script_from_file, scripts_in


def test_checksums_are_signed_and_blind_to_line_ends() -> None:
    # CRC-32 of "123456789" is 0xCBF43926, the check value of the algorithm's definition.
    assert checksum(b"123456789") == 0xCBF43926 - 2**32
    assert checksum(b"1234\n5678\r\n9\r") == 0xCBF43926 - 2**32
    assert checksum(b"\xef\xbb\xbf123456789") == 0xCBF43926 - 2**32
    assert checksum(b"") == 0


def test_the_lock_is_the_one_that_flyway_takes() -> None:
    # Seen in pg_locks while Flyway 10.22 was migrating.
    assert lock_number("public") == 77433833903597
    assert java_hash("hello") == 99162322
    assert java_hash("polygenelubricants") == -2147483648


@pytest.mark.parametrize(
    "name", ["V1_Create.sql", "v1__x.sql", "V__x.sql", "V1__.sql", "U__undo.sql", "R1__x.sql", "notes.sql"]
)
def test_a_name_without_a_version_is_refused(name: str) -> None:
    with pytest.raises(MigrationError, match="the name of a migration looks like"):
        script_from_file(name, b"")


def test_versions_are_numbers_not_text(tmp_path: Path) -> None:
    for name in ("V10__c.sql", "V9__b.sql", "V1_2__a.sql"):
        (tmp_path / name).write_text("")
    assert [script.version for script in scripts_in(tmp_path)] == ["1.2", "9", "10"]


def test_two_files_of_one_version_are_refused(tmp_path: Path) -> None:
    for name in ("V1__a.sql", "V1.0__b.sql"):
        (tmp_path / name).write_text("")
    with pytest.raises(MigrationError, match="have the same version"):
        scripts_in(tmp_path)


def applied(version: str, **changes: Any) -> Applied:
    values: dict[str, Any] = {
        "rank": 1,
        "version": version,
        "description": "x",
        "type": "SQL",
        "script": f"V{version}__x.sql",
        "checksum": 0,
        "installed_by": "app",
        "installed_on": datetime(2026, 1, 1),
        "success": True,
    }
    return Applied(**(values | changes))


def files(*versions: str) -> list[Any]:
    return [script_from_file(f"V{version}__x.sql", b"") for version in versions]


def test_a_file_older_than_what_was_run_is_refused() -> None:
    with pytest.raises(MigrationError, match=r"V2__x\.sql: older than what was run already"):
        pending(files("1", "2", "3"), [applied("1"), applied("3")])


def test_a_run_file_that_is_gone_is_a_problem() -> None:
    assert problems(files("1", "3"), [applied("1"), applied("2"), applied("3")]) == [
        "V2__x.sql was run, but its file is gone: bring the file back, or `repair` to forget it."
    ]


def test_a_renamed_file_is_a_problem() -> None:
    (problem,) = problems(files("1"), [applied("1", description="y", script="V1__y.sql")])
    assert problem == "V1__x.sql was run under the name 'V1__y.sql': give the file that name again, or `repair`."


def test_a_failed_row_of_another_tool_is_a_problem() -> None:
    (problem,) = problems(files("1"), [applied("1", success=False)])
    assert "failed when it was run" in problem


def test_a_baseline_stands_for_the_files_up_to_it() -> None:
    history = [applied("2", type="BASELINE", checksum=None, description="<< Flyway Baseline >>")]
    assert problems(files("1", "2", "3"), history) == []
    assert [script.version for script in pending(files("1", "2", "3"), history)] == ["3"]


def test_every_state_has_its_name_in_the_overview() -> None:
    history = [
        applied("1", type="BASELINE"),
        applied("2", checksum=7),
        applied("3", success=False),
        applied("4"),
        applied("5"),
        applied("9"),
    ]
    lines = overview(files("2", "3", "5", "6"), history)
    assert [(line.version, line.state) for line in lines] == [
        ("1", "baseline"),
        ("2", "changed"),
        ("3", "failed"),
        ("4", "missing"),
        ("5", "success"),
        ("6", "pending"),
        ("9", "future"),
    ]


@pytest.mark.parametrize("kind", ["DELETE", "UNDO_SQL"])
def test_what_was_taken_back_is_pending_whoever_did_that_and_in_whatever_words(kind: str) -> None:
    history = [applied("1"), applied("2", rank=2), applied("2", rank=3, type=kind)]
    assert [script.version for script in pending(files("1", "2"), history)] == ["2"]
    assert [line.state for line in overview(files("1", "2"), history)] == ["success", "undone"]


def test_what_was_deleted_by_a_repair_and_has_no_file_is_not_shown() -> None:
    history = [applied("1"), applied("2", rank=2), applied("2", rank=3, type="DELETE")]
    assert [line.version for line in overview(files("1"), history)] == ["1"]
