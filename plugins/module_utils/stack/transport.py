"""A rendered description on its way to another host."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..engine.description import Raw
from .run import Task
from .secret_refs import Given
from .settings import settings_from

_NOTHING: dict[str, list[Any]] = {"raws": [], "complete": [], "secrets": [], "given": []}


def description_text(task: Task) -> str:
    """What of `task` its arguments do not say, as JSON."""
    return json.dumps(
        {
            "raws": [asdict(raw) for raw in task.raws],
            "complete": sorted(task.complete),
            "secrets": sorted(task.secrets),
            "given": [[*key, asdict(one)] for key, one in sorted(task.given.items())],
        }
    )


def task_from(arguments: Mapping[str, Any], path: str, *, check: bool) -> Task:
    """The task that `arguments` and the description in the file `path` mean. Raises InvalidDescription."""
    sent = json.loads(Path(path).read_text(encoding="utf-8")) if path else _NOTHING
    return Task(
        settings=settings_from(arguments),
        raws=tuple(Raw(**raw) for raw in sent["raws"]),
        complete=frozenset(sent["complete"]),
        check=check,
        secrets=frozenset(sent["secrets"]),
        given={(component, source, name): Given(**one) for component, source, name, one in sent["given"]},
    )
