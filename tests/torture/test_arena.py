"""What an arena leaves behind when it is closed."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import pytest

from .arena import Arena


def repositories(stack: str) -> set[str]:
    """What the shared registry holds of a stack, as its own interface tells."""
    with urllib.request.urlopen("http://127.0.0.1:5000/v2/_catalog?n=1000") as answer:
        return {name for name in json.load(answer)["repositories"] if name.startswith(f"{stack}-")}


@pytest.mark.cluster
@pytest.mark.timeout(300)
def test_a_closed_arena_leaves_no_repository_in_the_shared_registry(tmp_path: Path) -> None:
    stack = "arena-leaves"
    with Arena(stack, tmp_path / "arena") as arena:
        arena.run("-e", json.dumps({"stack_components": ["registry"]}))
        assert repositories(stack) == {f"{stack}-platform-backend", f"{stack}-platform-frontend"}
    assert repositories(stack) == set()
