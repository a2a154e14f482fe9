"""Which migrations are to be run, and whether what was run is what the files say. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from backend.migrations.scripts import MigrationError, Script, Version, version_order

# Other kinds of rows (schema creation, markers) carry no version or no checksum, and are left alone.
_VERSIONED = ("SQL", "JDBC", "BASELINE")


@dataclass(frozen=True, slots=True)
class Applied:
    """A row of the history table."""

    rank: int
    version: str | None
    description: str
    type: str
    script: str
    checksum: int | None
    installed_by: str
    installed_on: datetime
    success: bool


@dataclass(frozen=True, slots=True)
class Line:
    """One migration as `info` shows it."""

    version: str
    description: str
    state: str  # pending, success, baseline, future, missing, failed, changed
    installed_on: datetime | None


def _applied_by_order(history: Sequence[Applied]) -> dict[Version, Applied]:
    return {version_order(row.version): row for row in history if row.version and row.type in _VERSIONED}


def _baseline(history: Sequence[Applied]) -> Version:
    """Up to this version a baseline stands for the files."""
    return max((version_order(r.version) for r in history if r.type == "BASELINE" and r.version), default=())


def problems(scripts: Sequence[Script], history: Sequence[Applied]) -> list[str]:
    """Why the history and the files do not fit together; empty where they do.

    Rows newer than every file are no problem: an older release, rolled back to, must start on a newer schema.
    """
    known = {script.order: script for script in scripts}
    newest = max(known, default=())
    found = []
    for order, row in sorted(_applied_by_order(history).items()):
        script = known.get(order)
        if not row.success:
            found.append(f"{row.script} failed when it was run: mend the schema, then delete its row from the history.")
        elif row.type == "BASELINE" or order > newest:
            continue
        elif script is None:
            found.append(f"{row.script} was run, but its file is gone: bring the file back.")
        elif row.checksum is not None and script.checksum != row.checksum:
            found.append(
                f"{script.name} was changed after it was run (checksum {row.checksum} then, {script.checksum} now):"
                " undo the change and put it into a new migration."
            )
        elif row.description != script.description:
            found.append(f"{script.name} was run under the name {row.script!r}: give the file that name again.")
    return found


def pending(scripts: Sequence[Script], history: Sequence[Applied]) -> list[Script]:
    """What is to be run, in order. Raises MigrationError where a file is older than what was run already."""
    applied = _applied_by_order(history)
    baseline = _baseline(history)
    waiting = [script for script in scripts if script.order not in applied and script.order > baseline]
    newest = max(applied, default=())
    late = [script.name for script in waiting if script.order < newest]
    if late:
        raise MigrationError(f"{', '.join(late)}: older than what was run already; give it a higher version.")
    return waiting


def overview(scripts: Sequence[Script], history: Sequence[Applied]) -> list[Line]:
    """Files and history side by side, by version."""
    applied = _applied_by_order(history)
    known = {script.order: script for script in scripts}
    newest = max(known, default=())
    lines = []
    for order in sorted(applied.keys() | known.keys()):
        row, script = applied.get(order), known.get(order)
        if row is None and script is not None:
            lines.append(Line(script.version, script.description, "pending", None))
        elif row is not None:
            state = _state(row, script, order > newest)
            lines.append(Line(row.version or "", row.description, state, row.installed_on))
    return lines


def _state(row: Applied, script: Script | None, is_newer: bool) -> str:
    if not row.success:
        return "failed"
    if row.type == "BASELINE":
        return "baseline"
    if script is None:
        return "future" if is_newer else "missing"
    return "success" if row.checksum in (None, script.checksum) else "changed"
