"""What of a plan people and results may see: plain data, secrets as their words."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ..engine.plan import MARKS, Change, Plan
from ..engine.values import Secret, Unknown, plain

SECRET = "(secret)"


def blanked(value: Any, secrets: frozenset[str]) -> Any:
    """`value` (plain data) with every text of `secrets` in it blanked. Ones of up to three characters are left."""
    if not secrets:
        return value
    if isinstance(value, str):
        for secret in sorted(secrets, key=len, reverse=True):
            if len(secret) > 3:
                value = value.replace(secret, SECRET)
        return value
    if isinstance(value, Mapping):
        return {blanked(key, secrets): blanked(item, secrets) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [blanked(item, secrets) for item in value]
    return value


def fields_shown(change: Change) -> dict[str, dict[str, Any]]:
    """Field -> {before, after} of a change, for a delete what is live. Secret fields show only that they differ."""
    pairs: Mapping[str, tuple[Any, Any]] = change.fields
    if change.action == "delete" and change.live is not None:
        pairs = {name: (value, None) for name, value in change.live.fields.items() if value not in (None, [], {})}
    shown: dict[str, dict[str, Any]] = {}
    for name, (before, after) in pairs.items():
        veil = _veiled if name != MARKS and _is_secret(change, name) else plain
        shown[name] = {"before": veil(before), "after": veil(after)}
    return shown


def _is_secret(change: Change, name: str) -> bool:
    """A kind may list live things with fields that are not its own (an apply set its members): it veils them itself."""
    if change.cls is None:
        return False
    try:
        return change.cls.meaning(name).secret
    except KeyError:
        return False


def _veiled(value: Any) -> Any:
    return plain(value) if value is None or isinstance(value, (Secret, Unknown)) else SECRET


def entry(change: Change) -> dict[str, Any]:
    """One change as a result lists it; keys that say nothing are left out."""
    shown: dict[str, Any] = {
        "address": change.address,
        "action": change.action,
        "stack": change.owner,
        "component": change.component,
        "id": change.live.id if change.live is not None else "",
        "fields": fields_shown(change),
        "because": list(change.because),
        "disruption": list(change.disruption),
        "data_at_stake": change.data_at_stake,
        "kept": {
            name: {"live": plain(live), "described": plain(wanted), "moved_by": _mover(change, name)}
            for name, (live, wanted) in change.difference.kept.items()
        },
        "foreign": {name: plain(list(entries)) for name, entries in change.difference.foreign.items()},
        "waits": change.waits,
        "held": change.held,
        "refused": change.refused,
    }
    return {key: value for key, value in shown.items() if value not in ("", [], {}, ())}


def _mover(change: Change, name: str) -> str:
    return change.live.moved_by.get(name, "") if change.live is not None else ""


def says_something(change: Change) -> bool:
    """Is there anything about this change that a reader of the plan has to know?"""
    difference = change.difference
    return bool(change.action != "none" or change.refused or change.waits or difference.kept or difference.foreign)


def entries(plan: Plan, secrets: frozenset[str]) -> list[dict[str, Any]]:
    """Everything of `plan` that says something, in its order."""
    return [blanked(entry(change), secrets) for change in plan.changes if says_something(change)]


def differences(plan: Plan, secrets: frozenset[str]) -> list[dict[str, str]]:
    """What `--diff` prints: one entry per resource that changes, only the fields that do, a line for each value."""
    found = []
    for change in plan.changes:
        if not change.writes:
            continue
        fields = blanked(fields_shown(change), secrets)
        if change.action == "create":
            fields = {name: pair for name, pair in fields.items() if pair["after"] not in ({}, [])}
        header = f"{change.address} ({_title(change)})"
        sides = {side: _text({name: pair[side] for name, pair in fields.items()}) for side in ("before", "after")}
        found.append({"before_header": header, "after_header": header, **sides})
    return found


def _text(fields: Mapping[str, Any]) -> str:
    return "".join(f"{line}\n" for name, value in fields.items() for line in value_lines(name, value))


def value_lines(name: str, value: Any) -> Iterator[str]:
    """A value as lines that say each by itself what they are about, so that a diff of some of them can be read."""
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from value_lines(f"{name}.{key}", item)
    elif isinstance(value, list) and value:
        for item in value:
            flat = item if isinstance(item, str) else json.dumps(item, ensure_ascii=False)
            yield from value_lines(f"{name}[]", flat)
    elif isinstance(value, str) and "\n" in value:
        yield f"{name}: |"
        yield from (f"  {line}" for line in value.splitlines())
    elif value is not None:
        yield f"{name}: {value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)}"


def _title(change: Change) -> str:
    if change.because:
        return f"{change.action}: {', '.join(change.because)}"
    return change.action
