"""Inventories, rendered as a run renders them, without any API."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.vars.manager import VariableManager
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.description import Raw
from ansible_collections.capstan.fullstack.plugins.module_utils.kube.manifests import parse_manifests
from ansible_collections.capstan.fullstack.plugins.module_utils.stack.settings import RoleUse, platform_of
from ansible_collections.capstan.fullstack.plugins.plugin_utils.rendering import Renderer, Rendering

from .readme import ROOT


@dataclass(frozen=True)
class Environment:
    """One inventory: the variables of its host, and what its roles describe."""

    variables: dict[str, Any]
    rendering: Rendering

    @property
    def addresses(self) -> set[str]:
        return {raw.address for raw in self.rendering.raws}

    def fields(self, address: str) -> Any:
        """The fields of an AWS resource, or the manifest of a Kubernetes object."""
        (raw,) = [raw for raw in self.rendering.raws if raw.address == address]
        return raw.fields.get("manifest", raw.fields)

    def container(self, kind: str, name: str) -> Any:
        """The first container of a workload in the environment's namespace."""
        address = f"kube.{kind}/{self.variables['stack_name']}/{name}"
        return self.fields(address)["spec"]["template"]["spec"]["containers"][0]

    def counts(self, name: str) -> tuple[int, int]:
        """(fewest, most) pods of a Deployment."""
        namespace = self.variables["stack_name"]
        fewest = self.fields(f"kube.Deployment/{namespace}/{name}")["spec"]["replicas"]
        scaler = f"kube.HorizontalPodAutoscaler/{namespace}/{name}"
        return fewest, self.fields(scaler)["spec"]["maxReplicas"] if scaler in self.addresses else fewest


def render(name: str, *, check: bool, **more: Any) -> Environment:
    """The inventory `name`, in check mode or not, with `more` variables."""
    loader = DataLoader()
    loader.set_basedir(str(ROOT / "playbooks"))
    inventory = InventoryManager(loader=loader, sources=[str(ROOT / "inventories" / name)])
    (host,) = inventory.get_hosts("stacks")
    found = VariableManager(loader=loader, inventory=inventory).get_vars(host=host)
    variables = {**found, "stack_name": name, "ansible_check_mode": check, **more}
    names = platform_of(name, str(found["stack_platform"]))

    def manifests(text: str, component: str, owner: str, source: str) -> Sequence[Raw]:
        return parse_manifests(text, component=component, owner=owner, source=source)

    uses = [RoleUse(**dict(use)) for use in found["stack_roles"]]
    return Environment(variables, Renderer(loader, variables, names, manifests).render(uses))


def describe(role: str, **variables: Any) -> dict[str, Any]:
    """What one role describes with these variables, in the namespace "shop": address -> fields or manifest."""
    loader = DataLoader()
    loader.set_basedir(str(ROOT / "playbooks"))
    given = {"stack_name": "shop", "namespace_name": "shop", "ansible_check_mode": True, **variables}

    def manifests(text: str, component: str, owner: str, source: str) -> Sequence[Raw]:
        return parse_manifests(text, component=component, owner=owner, source=source)

    rendering = Renderer(loader, given, platform_of("shop", "own"), manifests).render([RoleUse(role)])
    return {raw.address: raw.fields.get("manifest", raw.fields) for raw in rendering.raws}


@pytest.fixture(scope="session")
def environment() -> Callable[[str], Environment]:
    """Name of an inventory -> the environment, as a plan sees it."""
    made: dict[str, Environment] = {}

    def find(name: str) -> Environment:
        if name not in made:
            made[name] = render(name, check=True)
        return made[name]

    return find
