"""A plan as lines for a reader who has to decide: what happens, to which field, why, and what it costs."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

SIGNS = {"create": "+", "update": "~", "replace": "-/+", "delete": "-", "adopt": "=", "none": " "}
COLORS = {"create": "green", "update": "yellow", "replace": "purple", "delete": "red", "adopt": "cyan"}
_WIDTH = 160  # characters of one value before it is cut
_INDENT = " " * 8


@dataclass(frozen=True)
class Line:
    """One line and its color ("" for none)."""

    text: str
    color: str = ""


def plan_lines(entries: Iterable[Mapping[str, Any]], *, with_fields: bool = True) -> Iterator[Line]:
    """The lines for a plan's `entries` (see `shown.entries`).

    A creation is one line: all of its fields are new, and --diff prints them. Changed fields are shown `with_fields`;
    without them where --diff prints those, too.
    """
    for entry in entries:
        action = "none" if entry.get("held") else entry["action"]
        sign = "-?" if entry.get("held") else SIGNS[action]
        color = COLORS.get(action, "")
        notes = list(_notes(entry))
        head = f"  {sign:>3} {entry['address']}"
        yield Line(f"{head}  {notes[0]}" if len(notes) == 1 else head, color)
        if len(notes) > 1:
            yield from (Line(f"{_INDENT}# {note}", color) for note in notes)
        if with_fields and action in ("adopt", "update", "replace"):
            for name, pair in entry.get("fields", {}).items():
                yield from (Line(_INDENT + text, color) for text in _field(name, pair))
        yield from (Line(_INDENT + text) for text in _standing(entry))


def _notes(entry: Mapping[str, Any]) -> Iterator[str]:
    if entry.get("because"):
        yield f"replaced because of {', '.join(entry['because'])}"
    if entry.get("disruption"):
        yield f"disruption: {', '.join(entry['disruption'])}"
    if entry.get("data_at_stake"):
        yield f"destroys {entry['data_at_stake']}"
    for key in ("held", "refused"):
        if entry.get(key):
            yield entry[key]
    if entry.get("waits"):
        yield f"waits: {entry['waits']}"


def _standing(entry: Mapping[str, Any]) -> Iterator[str]:
    """What is different and stays so."""
    for name, kept in entry.get("kept", {}).items():
        mover = kept["moved_by"] or "somebody else"
        yield f"{name}: stays {_short(kept['live'])}, moved by {mover} (described: {_short(kept['described'])})"
    for name, strangers in entry.get("foreign", {}).items():
        yield from (f"{name}: foreign, kept: {_short(stranger)}" for stranger in strangers)


def _field(name: str, pair: Mapping[str, Any]) -> Iterator[str]:
    before, after = pair["before"], pair["after"]
    if isinstance(before, list) and isinstance(after, list):
        yield from _entries(name, before, after)
    elif isinstance(before, dict) and isinstance(after, dict):
        for key in sorted(before.keys() | after.keys()):
            if before.get(key) != after.get(key):
                yield from _field(f"{name}.{key}", {"before": before.get(key), "after": after.get(key)})
    elif isinstance(before, str) and isinstance(after, str) and "\n" in before + after:
        yield f"{name}:"
        lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=1)
        yield from (f"  {line}" for line in list(lines)[2:])
    else:
        yield f"{name}: {_short(before)} -> {_short(after)}"


def _entries(name: str, before: list[Any], after: list[Any]) -> Iterator[str]:
    gone = [entry for entry in before if entry not in after]
    new = [entry for entry in after if entry not in before]
    if not gone and not new:
        yield f"{name}: {_short(before)} -> {_short(after)}"
    yield from (f"{name}: - {_short(entry)}" for entry in gone)
    yield from (f"{name}: + {_short(entry)}" for entry in new)


def _short(value: Any) -> str:
    text = value if isinstance(value, str) and "\n" not in value else json.dumps(value, ensure_ascii=False)
    text = '""' if text == "" else text
    return text if len(text) <= _WIDTH else f"{text[:_WIDTH]}… ({len(text)} characters)"


def summary(counts: Mapping[str, int], *, done: bool = False, unplanned: int = 0) -> str:
    """`Plan: 41 to create, 0 to update, …` (`No changes …`); with `done` what was done."""
    if not done and not unplanned and not any(number for action, number in counts.items() if action != "none"):
        unchanged = counts.get("none", 0)
        return (
            f"No changes: all {unchanged} resources are as described." if unchanged else "No changes: nothing is there."
        )
    words = {"create": "created", "update": "updated", "replace": "replaced", "delete": "deleted", "adopt": "adopted"}
    head = "Done" if done else "Plan"
    shown = [action for action in words if action != "adopt" or counts.get(action)]
    parts = [f"{counts.get(action, 0)} {words[action] if done else f'to {action}'}" for action in shown]
    if not done and counts.get("held"):
        parts.append(f"{counts['held']} no longer described (prune is off)")
    if not done:
        parts.append(f"{counts.get('none', 0)} unchanged")
    if unplanned:
        parts.append(f"{unplanned} not planned")
    return f"{head}: {', '.join(parts)}."
