"""The result of a task: one shape for check and real runs, small enough for whoever collects it."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..engine.errors import CapstanError, InvalidDescription
from ..engine.plan import Plan, gaps_of, outlook
from ..engine.values import plain
from .plan_text import summary
from .shown import blanked, differences, entries

LIMIT = 500_000  # characters of JSON that plan and diff may have together: AWX drops results above 700,000 bytes

EMPTY: dict[str, Any] = {
    "changed": False,
    "plan": [],
    "diff": [],
    "digest": "",
    "summary": "",
    "counts": {},
    "unreadable": {},
    "unplanned": [],
    "notices": [],
    "outputs": {},
    "left": [],
    "stats": {},
}


def planned(plan: Plan, secrets: frozenset[str]) -> dict[str, Any]:
    """What every result says about its plan."""
    return {
        "plan": entries(plan, secrets),
        "diff": differences(plan, secrets),
        "digest": plan.digest(),
        "summary": summary(plan.counts(), unplanned=len(plan.unplanned)),
        "counts": plan.counts(),
        "unreadable": dict(sorted(plan.unreadable.items())),
        "unplanned": list(plan.unplanned),
        "notices": list(plan.notices),
    }


def foreseen(plan: Plan, secrets: frozenset[str]) -> dict[str, Any]:
    """The outputs that the stack will have, as far as they are known."""
    return shown_outputs({change.address: outlook(change) for change in plan.changes if change.resource}, secrets)


def shown_outputs(outputs: Mapping[str, Mapping[str, Any]], secrets: frozenset[str]) -> dict[str, Any]:
    """Outputs by address, secrets as their words."""
    found: dict[str, Any] = blanked(
        {address: plain(dict(values)) for address, values in sorted(outputs.items())}, secrets
    )
    return found


def failure(error: CapstanError, secrets: frozenset[str]) -> dict[str, Any]:
    """A failed result: every failure in `msg`, a line each."""
    lines = error.problems if isinstance(error, InvalidDescription) else (str(error),)
    return {"failed": True, "msg": blanked("\n".join(lines), secrets)}


def plan_failures(plan: Plan, expected_digest: str = "") -> list[str]:
    """Why a plan cannot be carried out as it is: a line each."""
    lines = gaps_of(plan)
    if expected_digest and expected_digest != plan.digest():
        lines.append(
            f"expected_digest is {expected_digest[:12]}…, but this plan's is {plan.digest()[:12]}…: look at it again."
        )
    return lines + [f"{change.refused}." for change in plan.changes if change.refused]


def approval_notices(plan: Plan, prune_limit: int, expected_digest: str) -> list[str]:
    """What an apply of this plan would ask for."""
    deletes = [change for change in plan.changes if change.action == "delete" and change.writes]
    if len(deletes) <= prune_limit or expected_digest:
        return []
    return [
        f"prune would delete {len(deletes)} resources, more than prune_limit ({prune_limit}): an apply needs "
        f"expected_digest {plan.digest()}"
    ]


def fitted(result: dict[str, Any], plan_path: str, stack: str) -> dict[str, Any]:
    """`result` as a task returns it. The plan goes to `plan_path` if there is one.

    It goes to a file in any case when it is too large, and leaves only addresses and actions behind; and when the task
    failed: ansible prints all of a failed result, and the reason would drown in it.
    """
    large = len(json.dumps([result["plan"], result["diff"]])) > LIMIT
    failed = bool(result.get("failed"))
    path = _write(result, plan_path, stack) if plan_path or large or (failed and result["plan"]) else ""
    if path:
        result = {**result, "plan_path": path}
    if failed:
        return bare(result)
    if not large:
        return result
    short = [{key: change[key] for key in ("address", "action", "held") if key in change} for change in result["plan"]]
    notice = f"the plan is too large for a task's result; all of it is in {path}"
    return {**result, "plan": short, "diff": [], "notices": [*result["notices"], notice]}


def bare(result: Mapping[str, Any]) -> dict[str, Any]:
    """A failed result without what only repeats the plan, and without what is empty."""
    return {
        key: value
        for key, value in result.items()
        if key == "changed" or (value and key not in ("plan", "diff", "outputs", "counts", "summary"))
    }


def _write(result: Mapping[str, Any], plan_path: str, stack: str) -> str:
    """The plan as JSON in a file that only its owner can read, put there in one step. Raises CapstanError."""
    path = Path(plan_path) if plan_path else _state_folder() / f"{stack}.plan.json"
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor, scratch = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # made with mode 0600
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump({key: result[key] for key in ("plan", "digest", "summary")}, file, indent=1, sort_keys=True)
        Path(scratch).replace(path)
    except OSError as error:
        raise CapstanError(f"the plan cannot be written to {path}: {error.strerror}.") from error
    return str(path)


def _state_folder() -> Path:
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "capstan" / "plans"
