"""A role of the user's own with one mistake in it, beside the collection's network role."""

from __future__ import annotations

from pathlib import Path

from tests.torture.arena import ROOT

SPECS = "---\nargument_specs: {main: {options: {}}}\n"
STACK_ROLES = [{"role": "network", "scope": "platform"}, {"role": "walls"}]


def with_role(folder: Path, resources: str) -> dict[str, str]:
    """The environment in which `walls` is a role that describes `resources`."""
    for name, text in (("meta/argument_specs.yml", SPECS), ("templates/resources.yml.j2", resources)):
        path = folder / "walls" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return {"ANSIBLE_ROLES_PATH": f"{ROOT / 'roles'}:{folder}"}
