"""What a task says about its stack: the arguments, their meaning, and what is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ..aws.provider import Location
from ..engine.errors import InvalidDescription
from ..engine.fields import nearest

VERSION = "0.1.0"
COLLECTION = "capstan.fullstack"
MAIN = "main"  # the location that a resource lies in when it names none

Scope = Literal["platform", "environment"]
State = Literal["present", "absent", "gathered", "rendered"]

WHERE: dict[str, dict[str, Any]] = {
    "name": {"type": "str", "required": True},
    "platform": {"type": "str", "default": "own"},
    "account_id": {"type": "str", "required": True},
    "region": {"type": "str", "required": True},
    "locations": {"type": "dict", "default": {}},
    "cluster": {"type": "str", "default": "aws.eks_cluster/main"},
    "kubeconfig": {"type": "path"},
    "kube_proxy": {"type": "str"},
    "roles": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "role": {"type": "str", "required": True},
            "scope": {"type": "str", "choices": ["environment", "platform"], "default": "environment"},
            "enabled": {"type": "bool", "default": True},
        },
    },
    "progress": {"type": "str", "choices": ["auto", "text", "json", "none"], "default": "auto"},
    "plan_path": {"type": "path"},
}
STACK_ARGUMENTS: dict[str, dict[str, Any]] = {
    **WHERE,
    "state": {"type": "str", "choices": ["present", "absent", "gathered", "rendered"], "default": "present"},
    "components": {"type": "list", "elements": "str", "default": []},
    "targets": {"type": "list", "elements": "str", "default": []},
    "prune": {"type": "bool", "default": False},
    "prune_limit": {"type": "int", "default": 10},
    "expected_digest": {"type": "str", "default": ""},
}
INFO_ARGUMENTS: dict[str, dict[str, Any]] = {
    **WHERE,
    "gather": {
        "type": "list",
        "elements": "str",
        "choices": ["outputs", "drift", "members", "lock"],
        "default": ["outputs", "members", "lock"],
    },
}
_NAME = re.compile(r"[a-z][a-z0-9-]{0,38}[a-z0-9]")
_ACCOUNT = re.compile(r"[0-9]{12}")
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]+")


@dataclass(frozen=True)
class RoleUse:
    """One role of a stack, as the task lists it."""

    role: str  # its name, or namespace.collection.name
    scope: Scope = "environment"  # whose stack its resources belong to
    enabled: bool = True  # False: its resources are gone from the description, so prune may delete them

    @property
    def component(self) -> str:
        """What its resources carry as their component."""
        return self.role.removeprefix(f"{COLLECTION}.")


@dataclass(frozen=True)
class StackNames:
    """Whose resources a role describes. `shared`: the platform is another inventory's, its roles are not rendered."""

    environment: str
    platform: str
    shared: bool

    def owner(self, use: RoleUse) -> str:
        """The stack that the resources of a role belong to."""
        return self.platform if use.scope == "platform" else self.environment

    def describes(self, use: RoleUse) -> bool:
        """Is the role's stack described in this run?"""
        return use.scope == "environment" or not self.shared


@dataclass(frozen=True, kw_only=True)
class Settings:
    """A task's arguments, checked."""

    names: StackNames
    locations: Mapping[str, Location]
    roles: tuple[RoleUse, ...]
    cluster: str = "aws.eks_cluster/main"
    kubeconfig: str = ""
    kube_proxy: str = ""
    progress: str = "auto"
    plan_path: str = ""
    state: State = "present"
    components: frozenset[str] = frozenset()
    targets: frozenset[str] = frozenset()
    prune: bool = False
    prune_limit: int = 10
    expected_digest: str = ""
    gather: frozenset[str] = frozenset()

    @property
    def region(self) -> str:
        return self.locations[MAIN].region

    @property
    def via(self) -> str:
        """Address of the cluster that takes the Kubernetes objects; "" when a kubeconfig leads to it."""
        return "" if self.kubeconfig else self.cluster


def platform_of(name: str, platform: str) -> StackNames:
    """The stacks of environment `name` on `platform` ("own" or "shared/<name>"). Raises InvalidDescription."""
    if platform == "own":
        return StackNames(name, f"{name}-platform", False)
    kind, _sep, shared = platform.partition("/")
    if kind != "shared" or not _NAME.fullmatch(shared):
        raise InvalidDescription(f'platform is "{platform}"; it is "own" or "shared/<name of the platform stack>".')
    return StackNames(name, shared, True)


def settings_from(arguments: Mapping[str, Any]) -> Settings:
    """The settings that validated task arguments mean. Raises InvalidDescription with every problem."""
    problems = [*_identity_problems(arguments), *_narrowing_problems(arguments)]
    locations, wrong = _locations(arguments)
    problems += wrong
    if problems:
        raise InvalidDescription(*problems)
    return Settings(
        names=platform_of(arguments["name"], arguments["platform"]),
        locations=locations,
        roles=tuple(RoleUse(**role) for role in arguments["roles"]),
        cluster=arguments.get("cluster") or "",
        kubeconfig=arguments.get("kubeconfig") or "",
        kube_proxy=arguments.get("kube_proxy") or "",
        plan_path=arguments.get("plan_path") or "",
        progress=arguments["progress"],
        state=arguments.get("state", "present"),
        components=frozenset(arguments.get("components") or ()),
        targets=frozenset(arguments.get("targets") or ()),
        gather=frozenset(arguments.get("gather") or ()),
        prune=arguments.get("prune", False),
        prune_limit=arguments.get("prune_limit", 10),
        expected_digest=arguments.get("expected_digest") or "",
    )


def _identity_problems(arguments: Mapping[str, Any]) -> list[str]:
    problems = []
    if not _NAME.fullmatch(arguments["name"]):
        problems.append(
            f'name is "{arguments["name"]}"; a stack\'s name has 2 to 40 lower-case letters, digits and hyphens and '
            "begins with a letter."
        )
    try:
        platform_of(arguments["name"], arguments["platform"])
    except InvalidDescription as error:
        problems.extend(error.problems)
    return problems


def _locations(arguments: Mapping[str, Any]) -> tuple[dict[str, Location], list[str]]:
    given = {MAIN: {"account_id": arguments["account_id"], "region": arguments["region"]}}
    problems: list[str] = []
    for alias, place in (arguments.get("locations") or {}).items():
        if alias == MAIN:
            problems.append(f'locations has "{MAIN}", which account_id and region say already.')
        elif not isinstance(place, Mapping):
            problems.append(f"locations.{alias} is not a mapping.")
        else:
            given[alias] = {**given[MAIN], **place}
    locations: dict[str, Location] = {}
    for alias, place in given.items():
        wrong = list(_location_problems("" if alias == MAIN else f"locations.{alias}.", place))
        problems += wrong
        if not wrong:
            locations[alias] = Location(**{key: str(value) for key, value in place.items()})
    return locations, problems


def _location_problems(where: str, place: Mapping[str, Any]) -> list[str]:
    known = ("account_id", "region", "role_arn")
    problems = [f"{where}{key} is not known.{nearest(str(key), known)}" for key in place if key not in known]
    if not _ACCOUNT.fullmatch(str(place["account_id"])):
        problems.append(f"{where}account_id is {place['account_id']!r}; 12 digits in quotes are wanted.")
    if not _REGION.fullmatch(str(place["region"])):
        problems.append(f'{where}region is {place["region"]!r}; one like "us-east-1" is wanted.')
    return problems


def _narrowing_problems(arguments: Mapping[str, Any]) -> list[str]:
    known = [RoleUse(**role).component for role in arguments["roles"]]
    return [
        f'components has "{name}", which is none of the stack\'s roles.{nearest(name, known)}'
        for name in arguments.get("components") or ()
        if name not in known
    ]


def narrowed_by_tags(
    components: frozenset[str], run: frozenset[str], skip: frozenset[str], known: frozenset[str]
) -> frozenset[str] | None:
    """The components that `--tags` and `--skip-tags` leave of those asked for; empty means all, None none at all.

    A stack is one task: tags name components here. Tags that name none of them leave nothing.
    """
    everything = components or known
    unlimited = not run or bool(run & {"all", "always", "tagged"})
    if not everything:  # the task lists no roles: it is about the whole stack or about nothing
        return frozenset() if unlimited else None
    left = (everything if unlimited else everything & run) - skip
    if not left:
        return None
    return frozenset() if left == known and not components else left
