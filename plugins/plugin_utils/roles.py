"""The roles that make up a stack: where they are, and what their files say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.utils.collection_loader._collection_finder import _get_collection_role_path

from ..module_utils.engine.errors import InvalidDescription
from ..module_utils.stack.settings import COLLECTION, RoleUse

ENTRY_POINT = "main"
RESOURCES = "templates/resources.yml.j2"
MANIFESTS = "templates/manifests"


@dataclass(frozen=True)
class Role:
    """A role's files, loaded but not templated. `templates`: paths below `path`, in the order of their names."""

    use: RoleUse
    path: Path
    defaults: Mapping[str, Any]
    private: Mapping[str, Any]
    options: Mapping[str, Mapping[str, Any]]
    resources: str  # "" when it describes none
    manifests: tuple[str, ...]

    @property
    def component(self) -> str:
        return self.use.component

    def shown(self, template: str) -> str:
        """How messages name one of its files."""
        return f"roles/{self.path.name}/{template}"


def load_roles(uses: Sequence[RoleUse], loader: DataLoader) -> list[Role]:
    """The files of `uses`. Raises InvalidDescription with every role that is missing or cannot be read."""
    problems: list[str] = []
    roles: list[Role] = []
    for use in uses:
        try:
            roles.append(_load(use, loader))
        except InvalidDescription as error:
            problems.extend(error.problems)
    names = [use.component for use in uses]
    problems += [f"role {name} is listed twice." for name in sorted({name for name in names if names.count(name) > 1})]
    if problems:
        raise InvalidDescription(*problems)
    return roles


def _load(use: RoleUse, loader: DataLoader) -> Role:
    path = find_role(use.role, Path(loader.get_basedir()))
    resources = RESOURCES if (path / RESOURCES).is_file() else ""
    manifests = sorted((path / MANIFESTS).glob("*.yaml.j2"))
    return Role(
        use=use,
        path=path,
        defaults=_mapping(path, "defaults/main.yml", loader),
        private=_mapping(path, "vars/main.yml", loader),
        options=_options(use, path, loader),
        resources=resources,
        manifests=tuple(str(file.relative_to(path)) for file in manifests),
    )


def find_role(name: str, playbook_dir: Path) -> Path:
    """The folder of a role: of a collection by its full name, else of this collection, beside the playbook, or in
    ansible's roles_path. Raises InvalidDescription."""
    qualified = name if name.count(".") >= 2 else f"{COLLECTION}.{name}"
    found = _get_collection_role_path(qualified)
    if found:
        return Path(found[1])
    places = [playbook_dir / "roles", *(Path(place) for place in constants.DEFAULT_ROLES_PATH or ())]
    for place in places:
        if (place / name).is_dir():
            return place / name
    raise InvalidDescription(f"role {name} is neither in {COLLECTION} nor in {', '.join(map(str, places))}.")


def _options(use: RoleUse, path: Path, loader: DataLoader) -> Mapping[str, Mapping[str, Any]]:
    specs = _mapping(path, "meta/argument_specs.yml", loader).get("argument_specs")
    if not isinstance(specs, Mapping) or ENTRY_POINT not in specs:
        raise InvalidDescription(f"role {use.role} has no meta/argument_specs.yml with the entry point {ENTRY_POINT}.")
    options = specs[ENTRY_POINT].get("options") or {}
    return dict(options)


def _mapping(path: Path, name: str, loader: DataLoader) -> dict[str, Any]:
    file = path / name
    if not file.is_file():
        return {}
    try:
        # Read once a run and kept by nobody else: neither a cache nor the loader's deep copy is of use.
        data = loader.load_from_file(str(file), cache="none", unsafe=True, trusted_as_template=True)
    except AnsibleError as error:
        raise InvalidDescription(f"{file}: {str(error).splitlines()[0]}") from error
    if data is None:
        return {}
    if not isinstance(data, Mapping):
        raise InvalidDescription(f"{file} is not a mapping of variables.")
    return dict(data)
