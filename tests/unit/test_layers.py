"""The layers point one way: checked on the imports of every file."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLUGINS = ROOT / "plugins"
# room -> the rooms below plugins/ whose files it may import
MAY_IMPORT = {
    "module_utils/engine": {"module_utils/engine"},
    "module_utils/aws": {"module_utils/aws", "module_utils/engine"},
    "module_utils/kube": {"module_utils/kube", "module_utils/engine"},
    "module_utils/stack": {"module_utils/stack", "module_utils/aws", "module_utils/kube", "module_utils/engine"},
    "plugin_utils": {"plugin_utils", "module_utils/stack", "module_utils/kube", "module_utils/engine"},
    "filter": {"plugin_utils", "module_utils/engine"},
    "modules": {"module_utils/stack", "module_utils/engine"},
    "action": {"plugin_utils", "module_utils/stack", "module_utils/engine"},
    "doc_fragments": set(),
}
FILES = sorted(path for path in PLUGINS.rglob("*.py") if path.name != "__init__.py")


def imports(path: Path) -> list[str]:
    """The absolute dotted names that a file imports; relative ones as paths below plugins/."""
    found: list[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.append(node.module or "")
        elif isinstance(node, ast.ImportFrom):
            base = path.parents[node.level - 1].relative_to(PLUGINS)
            names = [node.module.replace(".", "/")] if node.module else [alias.name for alias in node.names]
            found += [f"plugins/{base / name}" for name in names]
    return found


def room_of(inside: str) -> str:
    """The room of a path below plugins/."""
    parts = inside.split("/")
    return "/".join(parts[:2]) if parts[0] == "module_utils" else parts[0]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PLUGINS)))
def test_a_plugin_file_imports_only_from_its_own_room_and_those_below(path: Path) -> None:
    room = room_of(str(path.relative_to(PLUGINS)))
    for name in imports(path):
        assert not name.startswith(("sandbox", "backend", "tests", "kubernetes", "boto3"))
        if name.startswith("plugins/"):
            assert room_of(name.removeprefix("plugins/")) in MAY_IMPORT[room], name
        elif name.startswith("ansible_collections.capstan.fullstack.plugins."):
            inside = name.removeprefix("ansible_collections.capstan.fullstack.plugins.").replace(".", "/")
            assert room_of(inside) in MAY_IMPORT[room], name


@pytest.mark.parametrize("room", ["app/backend/backend", "sandbox"])
def test_the_service_and_the_sandbox_do_not_know_the_plugins(room: str) -> None:
    files = sorted((ROOT / room).rglob("*.py"))
    assert files
    for path in files:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and node.level == 0 else []
            assert not [name for name in names if name.startswith(("ansible", "plugins"))], path


def test_the_engine_knows_neither_aws_nor_kubernetes() -> None:
    for path in (PLUGINS / "module_utils" / "engine").glob("*.py"):
        names = {name.partition(".")[0] for name in imports(path) if not name.startswith("plugins/")}
        assert not names & {"botocore", "boto3", "urllib3", "kubernetes", "ansible", "yaml"}, path
