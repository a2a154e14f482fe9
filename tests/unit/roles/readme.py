"""READMEs of roles, made from what the roles say themselves: `python -m tests.unit.roles.readme` writes them anew.

Their argument specs give the purpose and the options, the kinds in their templates the IAM actions, and Molecule's
converge file the example, so that nothing in a README can be wrong for long.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[3]
ROLES = ROOT / "roles"
_KIND = re.compile(r"^\{?\s*(aws\.[a-z_]+)/", re.MULTILINE)
_API_KIND = re.compile(r"^kind: (\w+)$", re.MULTILINE)
_MARKUP = re.compile(r"\b[OVCE]\(([^()]*)\)")
_SERVICE = re.compile(r"\b([a-z0-9]+):([A-Z]\w+(?:, (?![a-z0-9]+:)[A-Z]\w+)*)")


def role_names() -> list[str]:
    """All roles, by name."""
    return sorted(path.parent.name for path in ROLES.glob("*/meta"))


def specs(role: str) -> Mapping[str, Any]:
    """The argument spec of a role's entry point."""
    found: Mapping[str, Any] = yaml.safe_load((ROLES / role / "meta/argument_specs.yml").read_text())
    main: Mapping[str, Any] = found["argument_specs"]["main"]
    return main


def defaults(role: str) -> Mapping[str, Any]:
    """The defaults of a role, untemplated."""
    return yaml.safe_load((ROLES / role / "defaults/main.yml").read_text()) or {}


def kinds(role: str) -> list[str]:
    """The AWS kinds that a role describes."""
    template = ROLES / role / "templates/resources.yml.j2"
    return sorted(set(_KIND.findall(template.read_text()))) if template.is_file() else []


def objects(role: str) -> list[str]:
    """The kinds of Kubernetes objects that a role describes."""
    texts = (path.read_text() for path in (ROLES / role / "templates/manifests").glob("*.j2"))
    return sorted({kind for text in texts for kind in _API_KIND.findall(text)})


def actions(kind_names: list[str]) -> list[str]:
    """The IAM actions that these kinds need, from their classes' own words."""
    from ansible_collections.capstan.fullstack.plugins.module_utils.aws.index import KINDS

    found: set[str] = set()
    for kind in kind_names:
        words = " ".join((inspect.getdoc(KINDS[kind]) or "").split()).partition("Actions: ")[2]
        for service, names in _SERVICE.findall(words):
            found |= {f"{service}:{name}" for name in names.split(", ")}
    return sorted(found)


def readme(role: str) -> str:
    """The README of a role."""
    spec = specs(role)
    parts = [f"# {role}", f"{_plain(spec['short_description'])}."]
    parts += [_plain(text) for text in _texts(spec["description"])]
    parts += ["## What it makes", "\n".join(_made(role))]
    parts += ["## Variables", "\n".join(_table(spec.get("options", {})))]
    parts += ["Variables that all roles share are in [the overview of the roles](../README.md)."]
    wanted = actions(kinds(role))
    if wanted:
        parts += ["## IAM actions that it needs", ", ".join(f"`{action}`" for action in wanted) + "."]
        parts += [
            "Besides these, every run needs `sts:GetCallerIdentity` and the actions of its lock, "
            "`ssm:GetParametersByPath`, `ssm:PutParameter` and `ssm:DeleteParameter`."
        ]
    example = (ROOT / "molecule" / role / "converge.yml").read_text().removeprefix("---\n")
    parts += ["## Example", f"The play of its [Molecule scenario](../../molecule/{role}):"]
    parts += [f"```yaml\n{example.rstrip()}\n```"]
    return "\n\n".join(parts) + "\n"


def _made(role: str) -> Iterator[str]:
    yield from (f"- `{kind}`" for kind in kinds(role))
    yield from (f"- `{kind}` (Kubernetes)" for kind in objects(role))


def _table(options: Mapping[str, Any]) -> Iterator[str]:
    yield "| variable | type | default | meaning |"
    yield "| --- | --- | --- | --- |"
    yield from _rows(options, "")


def _rows(options: Mapping[str, Any], above: str) -> Iterator[str]:
    for name, option in options.items():
        where = f"{above}{name}"
        kind = option["type"] + (f" of {option['elements']}" if "elements" in option else "")
        meaning = " ".join(_plain(text) for text in _texts(option["description"]))
        if "choices" in option:
            meaning += " One of " + ", ".join(f"`{choice}`" for choice in option["choices"]) + "."
        if option.get("no_log"):
            meaning += " Secret: masked everywhere."
        yield f"| `{where}` | {kind} | {_default(option)} | {meaning} |"
        deeper = f"{where}[]." if option["type"] == "list" else f"{where}."
        yield from _rows(option.get("options", {}), deeper)


def _default(option: Mapping[str, Any]) -> str:
    if option.get("required"):
        return "required"
    if "default" not in option:
        return "unset"
    default = option["default"]
    if isinstance(default, (list, dict)) and default and "options" in option:
        return "see `defaults/main.yml`"
    text = yaml.safe_dump(default, default_flow_style=True, width=1000).replace("\n...", "").strip()
    return f"`{text}`"


def _texts(description: str | list[str]) -> list[str]:
    return [description] if isinstance(description, str) else list(description)


def _plain(text: str) -> str:
    return _MARKUP.sub(r"`\1`", text).replace("|", "\\|")


def main() -> int:
    """Writes every README."""
    from ansible.plugins.loader import init_plugin_loader

    init_plugin_loader([str(ROOT / "collections")])
    sys.path.insert(0, str(ROOT / "collections"))
    for role in role_names():
        (ROLES / role / "README.md").write_text(readme(role))
    return 0


if __name__ == "__main__":
    sys.exit(main())
