"""A scratch collection of roles, rendered by ansible itself."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.description import Raw
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.errors import InvalidDescription
from ansible_collections.capstan.fullstack.plugins.module_utils.stack.settings import RoleUse, StackNames
from ansible_collections.capstan.fullstack.plugins.plugin_utils.rendering import Renderer, Rendering


def whole_manifests(text: str, component: str, owner: str, source: str) -> list[Raw]:
    """One resource per template, its text as it is: what becomes of manifests is the Kubernetes provider's part."""
    return [Raw(f"kube.Text/{source.rpartition('/')[2]}", {"text": text}, component, owner, source)]


class Roles:
    """Roles beside a playbook in a scratch folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.loader = DataLoader()
        self.loader.set_basedir(str(folder))

    def write(self, role: str, **files: str) -> None:
        """One file per argument: `templates__resources` is templates/resources.yml.j2, and so on."""
        names = {
            "defaults": "defaults/main.yml",
            "private": "vars/main.yml",
            "specs": "meta/argument_specs.yml",
            "resources": "templates/resources.yml.j2",
        }
        files.setdefault("specs", "argument_specs: {main: {options: {}}}")
        for key, text in files.items():
            path = self.folder / "roles" / role / names.get(key, f"templates/manifests/{key}.yaml.j2")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text).lstrip("\n"))

    def variables(self, text: str) -> dict[str, Any]:
        """Variables as an inventory gives them: with their file, trusted as templates."""
        path = self.folder / "inventory.yml"
        path.write_text(textwrap.dedent(text).lstrip("\n"))
        return dict(self.loader.load_from_file(str(path), cache="none", trusted_as_template=True) or {})

    def render(self, *uses: str | RoleUse, variables: str = "", shared: bool = False) -> Rendering:
        """What a stack "shop" on "shop-platform" (or on the shared "base") renders from these roles."""
        names = StackNames("shop", "base" if shared else "shop-platform", shared)
        renderer = Renderer(self.loader, self.variables(variables), names, whole_manifests)
        return renderer.render([use if isinstance(use, RoleUse) else RoleUse(use) for use in uses])

    def problems(self, *uses: str | RoleUse, variables: str = "") -> list[str]:
        """What is said when these roles cannot be rendered."""
        with pytest.raises(InvalidDescription) as caught:
            self.render(*uses, variables=variables)
        return list(caught.value.problems)


@pytest.fixture
def roles(tmp_path: Path) -> Iterator[Roles]:
    yield Roles(tmp_path)
