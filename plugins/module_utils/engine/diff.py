"""What turns a live resource into its description: pure, no API, no clock, and it says why."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .fields import Field
from .resource import Live
from .values import UNSET, Unknown, Unset, contains, plain


@dataclass(frozen=True)
class Difference:
    """`fields`: name -> (live, desired). `because`: the create-only ones among them.

    `kept`: initial fields that somebody else moved, name -> (live, desired): shown, never proposed.
    `foreign`: entries of open sets that are not ours and stay.
    """

    fields: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    because: tuple[str, ...] = ()
    kept: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    foreign: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.fields)


@dataclass
class _Found:
    fields: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    kept: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    foreign: dict[str, tuple[Any, ...]] = field(default_factory=dict)


def diff(desired: Mapping[str, Any], live: Live | None, meaning: Callable[[str], Field]) -> Difference:
    """What turns `live` (None: absent) into `desired`. UNSET keeps it, None means nothing, an unknown differs."""
    if live is None:
        return Difference({name: (None, value) for name, value in desired.items() if value is not UNSET})
    found = _Found()
    for name, value in desired.items():
        if isinstance(value, Unset):
            continue
        _compare(name, value, live, meaning(name), desired, found)
    for name, entries in live.foreign.items():
        if name not in desired and entries and not _closed(meaning(name), desired):
            found.foreign[name] = entries
    found.foreign = {name: rest for name, all_ in found.foreign.items() if (rest := _unusual(all_, meaning(name)))}
    because = tuple(sorted(name for name in found.fields if meaning(name).create_only))
    return Difference(found.fields, because, found.kept, found.foreign)


def _compare(name: str, value: Any, live: Live, meaning: Field, desired: Mapping[str, Any], found: _Found) -> None:
    before = live.fields.get(name)
    if meaning.open_set:
        _compare_open_set(name, value, live, meaning, desired, found)
    elif meaning.initial:
        if not same(before, value, meaning) and not contains(value, Unknown):
            found.kept[name] = (before, value)
    elif not same(before, value, meaning):
        found.fields[name] = (before, value)


def _compare_open_set(
    name: str, value: Any, live: Live, meaning: Field, desired: Mapping[str, Any], found: _Found
) -> None:
    """Entries of ours that are missing or too many; foreign ones stay unless the set is closed."""
    if isinstance(value, Mapping):
        before = dict(live.fields.get(name) or {})
        wanted = {key: item for key, item in value.items() if item is not None}
        after = {key: item for key, item in before.items() if key in value or not _closed(meaning, desired)}
        after = {key: item for key, item in after.items() if key not in value} | wanted
        if plain(after) != plain(before):
            found.fields[name] = (before, after)
        return
    ours, foreign = list(live.fields.get(name) or ()), list(live.foreign.get(name, ()))
    wanted_entries = list(value or ())
    strangers = [entry for entry in foreign if entry not in wanted_entries]
    if _closed(meaning, desired):
        if not same(ours + foreign, wanted_entries, meaning):
            found.fields[name] = (ours + foreign, wanted_entries)
        return
    adopted = [entry for entry in foreign if entry in wanted_entries]
    if not same(ours + adopted, wanted_entries, meaning):
        found.fields[name] = (ours + foreign, wanted_entries + strangers)
    if strangers:
        found.foreign[name] = tuple(strangers)


def _unusual(entries: tuple[Any, ...], meaning: Field) -> tuple[Any, ...]:
    return tuple(entry for entry in entries if meaning.usual is None or not meaning.usual(entry))


def _closed(meaning: Field, desired: Mapping[str, Any]) -> bool:
    return bool(meaning.closed_by and desired.get(meaning.closed_by))


def same(before: Any, after: Any, meaning: Field) -> bool:
    """Does the live value already satisfy the desired one?"""
    if contains(after, Unknown):
        return False
    if meaning.normalise is not None:
        before, after = meaning.normalise(before), meaning.normalise(after)
    if after is None:
        return before in (None, "", [], {}, ())
    if meaning.floor and isinstance(before, (int, float)):
        return before >= after
    if meaning.version_prefix and isinstance(before, str):
        return before == after or before.startswith(f"{after}.")
    if meaning.unordered and isinstance(before, (list, tuple, set, frozenset)):
        return sorted(map(_key, before)) == sorted(map(_key, after))
    if isinstance(before, (list, tuple)) and isinstance(after, (list, tuple)):
        return list(before) == list(after)
    return bool(before == after)


def _key(value: Any) -> str:
    return repr(plain(value))
