"""Which migrations are to be run, and whether what was run is what the files say. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from backend.migrations.scripts import (
    REPEATABLE,
    UNDO,
    VERSIONED,
    MigrationError,
    Script,
    Version,
    version_order,
)

# Types of rows as Flyway has them; those of other kinds (schema creation) are left alone.
SQL, BASELINE, DELETED = "SQL", "BASELINE", "DELETE"
_RUN = (SQL, "JDBC", BASELINE)
# The first two come from Flyway's paid editions. The free one (10.22) does not even start on a history with either, so
# what is taken back here is noted as deleted: to both it is pending then.
_TAKEN_BACK = ("UNDO_SQL", "UNDO_JDBC", DELETED)


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
    """One migration as `info` shows it; `version` is empty for a repeatable one."""

    version: str
    description: str
    state: str  # pending, success, baseline, future, missing, failed, changed, undone, outdated
    installed_on: datetime | None


@dataclass(frozen=True, slots=True)
class Repair:
    """What brings the history and the files together again."""

    forget: tuple[Applied, ...]  # rows of failed runs: nothing of them counts
    align: tuple[tuple[Applied, Script], ...]  # rows that get the checksum and description of their file
    mark_deleted: tuple[Applied, ...]  # what was run and has no file any more


class State:
    """What the history says, the later row counting."""

    def __init__(self, history: Sequence[Applied]) -> None:
        self.versions: dict[Version, Applied] = {}
        self.repeatables: dict[str, Applied] = {}
        self.undone: dict[Version, Applied] = {}
        self.failed: list[Applied] = []
        for row in sorted(history, key=lambda row: row.rank):
            self._add(row)
        self.newest: Version = max(self.versions, default=())
        # Up to this version a baseline stands for the files.
        self.baseline: Version = max((key for key, row in self.versions.items() if row.type == BASELINE), default=())

    def _add(self, row: Applied) -> None:
        if not row.success and row.type in (*_RUN, *_TAKEN_BACK):
            self.failed.append(row)
        if row.version is None:
            if row.type in _RUN:
                self.repeatables[row.description] = row
            elif row.type == DELETED:
                self.repeatables.pop(row.description, None)
            return
        order = version_order(row.version)
        if row.type in _RUN:
            self.versions[order] = row
            self.undone.pop(order, None)
        elif row.type in _TAKEN_BACK and row.success:
            self.versions.pop(order, None)
            self.undone[order] = row


def of_kind(scripts: Sequence[Script], kind: str) -> dict[Version, Script]:
    """The scripts of VERSIONED or UNDO, by version."""
    return {script.order: script for script in scripts if script.kind == kind}


def problems(scripts: Sequence[Script], history: Sequence[Applied]) -> list[str]:
    """Why the history and the files do not fit together; empty where they do.

    Rows newer than every file are no problem: an older release, rolled back to, must start on a newer schema.
    """
    state, known = State(history), of_kind(scripts, VERSIONED)
    found = [f"{row.script} failed when it was run: mend the schema, then `repair`." for row in state.failed]
    for row, script in _recorded(state, known):
        if script is None:
            found.append(f"{row.script} was run, but its file is gone: bring the file back, or `repair` to forget it.")
        elif row.checksum is not None and script.checksum != row.checksum:
            found.append(
                f"{script.name} was changed after it was run (checksum {row.checksum} then, {script.checksum} now):"
                " undo the change and put it into a new migration. `repair` accepts the file as it is."
            )
        elif row.description != script.description:
            found.append(
                f"{script.name} was run under the name {row.script!r}: give the file that name again, or `repair`."
            )
    return found


def _recorded(state: State, known: dict[Version, Script]) -> Iterator[tuple[Applied, Script | None]]:
    """The rows of versions that files should be there for, with their file."""
    newest = max(known, default=())
    for order, row in sorted(state.versions.items()):
        if row.success and row.type != BASELINE and order <= newest:
            yield row, known.get(order)


def pending(scripts: Sequence[Script], history: Sequence[Applied]) -> list[Script]:
    """What is to be run, in order. Raises MigrationError where a file is older than what was run already."""
    state = State(history)
    versioned = of_kind(scripts, VERSIONED)
    waiting = [script for order, script in sorted(versioned.items()) if order not in state.versions]
    waiting = [script for script in waiting if script.order > state.baseline]
    late = [script.name for script in waiting if script.order < state.newest]
    if late:
        raise MigrationError(f"{', '.join(late)}: older than what was run already; give it a higher version.")
    return waiting + [script for script in scripts if script.kind == REPEATABLE and _outdated(script, state)]


def _outdated(script: Script, state: State) -> bool:
    row = state.repeatables.get(script.description)
    return row is None or not row.success or row.checksum != script.checksum


def undoing(scripts: Sequence[Script], history: Sequence[Applied], down_to: str | None) -> list[tuple[Script, Applied]]:
    """The undo files to run, newest version first, with the row of what each takes back: that of the newest version, or
    of all above `down_to`.

    Raises MigrationError where one of them has no undo file, or nothing was run.
    """
    state, undo = State(history), of_kind(scripts, UNDO)
    run = [order for order, row in sorted(state.versions.items(), reverse=True) if row.type != BASELINE]
    if down_to is None:
        wanted = run[:1]
        if not wanted:
            raise MigrationError("nothing was run that could be taken back.")
    else:
        wanted = [order for order in run if order > version_order(down_to)]
    without = [str(state.versions[order].version) for order in wanted if order not in undo]
    if without:
        raise MigrationError(f"version {', '.join(without)} cannot be taken back: there is no U{without[0]}__….sql.")
    return [(undo[order], state.versions[order]) for order in wanted]


def repairing(scripts: Sequence[Script], history: Sequence[Applied]) -> Repair:
    """What `repair` does, as Flyway's does it."""
    state, known = State(history), of_kind(scripts, VERSIONED)
    align, deleted = [], []
    for row, script in _recorded(state, known):
        if script is None:
            deleted.append(row)
        elif (row.checksum, row.description) != (script.checksum, script.description):
            align.append((row, script))
    return Repair(tuple(state.failed), tuple(align), tuple(deleted))


def overview(scripts: Sequence[Script], history: Sequence[Applied]) -> list[Line]:
    """Files and history side by side: by version, then the repeatable ones by name."""
    state, known = State(history), of_kind(scripts, VERSIONED)
    newest = max(known, default=())
    lines = []
    for order in sorted(state.versions.keys() | known.keys() | state.undone.keys()):
        row, script = state.versions.get(order), known.get(order)
        undone = state.undone.get(order)
        if row is not None:
            said = _said(row, script, order > newest)
            lines.append(Line(row.version or "", row.description, said, row.installed_on))
        elif undone is not None and (script is not None or undone.type != DELETED):
            lines.append(Line(undone.version or "", undone.description, "undone", undone.installed_on))
        elif script is not None:
            lines.append(Line(script.version, script.description, "pending", None))
    return lines + _repeatable_lines(scripts, state)


def _said(row: Applied, script: Script | None, is_newer: bool) -> str:
    if not row.success:
        return "failed"
    if row.type == BASELINE:
        return "baseline"
    if script is None:
        return "future" if is_newer else "missing"
    return "success" if row.checksum in (None, script.checksum) else "changed"


def _repeatable_lines(scripts: Sequence[Script], state: State) -> list[Line]:
    lines = []
    known = {script.description: script for script in scripts if script.kind == REPEATABLE}
    for description in sorted(known.keys() | state.repeatables.keys()):
        row, script = state.repeatables.get(description), known.get(description)
        if row is None:
            said = "pending"
        elif not row.success:
            said = "failed"
        elif script is None:
            said = "missing"
        else:
            said = "outdated" if _outdated(script, state) else "success"
        lines.append(Line("", description, said, row.installed_on if row else None))
    return lines
