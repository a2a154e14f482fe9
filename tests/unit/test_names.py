"""A rule of ansible-test's slow pylint check, told within a second: a bare underscore is no name in a collection."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PLUGINS = Path(__file__).parents[2] / "plugins"
FILES = sorted(PLUGINS.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PLUGINS)))
def test_what_is_not_used_has_a_word_after_its_underscore(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        name = node.id if isinstance(node, ast.Name) else node.arg if isinstance(node, ast.arg) else ""
        assert name != "_", f"line {getattr(node, 'lineno', 0)}: say what it is: _sep, _before"
