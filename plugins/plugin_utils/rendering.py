"""From roles and variables to a description: validate, render, parse; nothing outside this process is touched."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible.errors import AnsibleError, AnsibleValueOmittedError
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible.utils.vars import load_extra_vars

from ..module_utils.engine.description import Raw
from ..module_utils.engine.errors import InvalidDescription
from ..module_utils.stack.secret_refs import GivenSecrets
from ..module_utils.stack.settings import RoleUse, StackNames
from .arguments import check_arguments, mask, misspelled
from .given_secrets import given_secrets
from .markers import lost, settled, writing_down
from .roles import Role, load_roles
from .strict_yaml import parse
from .template_errors import explain, variable_problem
from .template_lines import line_of_address

# text of a template, component, owner, what messages call the template -> its resources
ManifestParser = Callable[[str, str, str, str], Iterable[Raw]]


@dataclass(frozen=True)
class Rendering:
    """`raws`: the description. `complete`: components that it describes completely (a disabled one: as empty).

    `secrets`: texts that must never be seen. `given`: what its `secret_ref`s name here, in environment and variables.
    """

    raws: tuple[Raw, ...]
    complete: frozenset[str]
    secrets: frozenset[str]
    given: GivenSecrets = field(default_factory=dict, repr=False)


class Renderer:
    """Renders the roles of one stack with the variables of one host."""

    def __init__(
        self, loader: DataLoader, variables: Mapping[str, Any], names: StackNames, manifests: ManifestParser
    ) -> None:
        """`variables`: the task's, untemplated. `manifests`: makes resources of Kubernetes manifests."""
        self._loader = loader
        self._variables = variables
        self._names = names
        self._parse_manifests = manifests
        self._extra: Mapping[str, Any] = load_extra_vars(loader)

    def render(self, uses: Sequence[RoleUse]) -> Rendering:
        """The description that `uses` give. Raises InvalidDescription.

        Every problem of the first step that has any is in it: roles, then arguments, then templates.
        """
        roles = load_roles([use for use in uses if self._names.describes(use)], self._loader)
        enabled = [role for role in roles if role.use.enabled]
        secrets = self._validate(enabled, roles)
        problems: list[str] = []
        raws: list[Raw] = []
        for role in enabled:
            raws.extend(self._role(role, roles, problems))
        if problems:
            raise InvalidDescription(*(mask(problem, secrets) for problem in problems))
        templars = {role.component: self._templar(role, roles) for role in enabled}
        return Rendering(
            tuple(raws), frozenset(role.component for role in roles), secrets, given_secrets(raws, templars)
        )

    # -- variables ---------------------------------------------------------------------------------------------
    def _chain(self, role: Role, roles: Iterable[Role]) -> ChainMap[str, Any]:
        """Extra variables, the role's own vars, the host's variables, the role's defaults, then other roles' defaults:
        ansible's order for the roles of one play."""
        others = [dict(other.defaults) for other in roles if other is not role]
        forced = {name: value for name, value in self._extra.items() if name in role.private}
        about = {"role_name": role.path.name, "role_path": str(role.path), "platform_name": self._names.platform}
        return ChainMap(about, forced, dict(role.private), dict(self._variables), dict(role.defaults), *others)

    def _templar(self, role: Role, roles: Iterable[Role]) -> Templar:
        templar = Templar(loader=self._loader, variables=self._chain(role, roles))
        return templar.copy_with_new_env(searchpath=[str(role.path / "templates"), str(role.path)])

    def _validate(self, enabled: Sequence[Role], roles: Sequence[Role]) -> frozenset[str]:
        problems: list[str] = []
        secrets: set[str] = set()
        known = {name for role in roles for name in (*role.options, *role.defaults, *role.private)}
        for role in enabled:
            values, failed = self._values(role, roles)
            checked = check_arguments(role.component, role.options, values)
            named = misspelled(role.component, role.options, self._variables, known)
            problems += [*failed, *named, *checked.problems]
            secrets |= checked.secrets
        if problems:
            raise InvalidDescription(*(mask(problem, frozenset(secrets)) for problem in problems))
        return frozenset(secrets)

    def _values(self, role: Role, roles: Sequence[Role]) -> tuple[dict[str, Any], list[str]]:
        templar = self._templar(role, roles)
        variables = templar.available_variables
        values: dict[str, Any] = {}
        problems: list[str] = []
        with writing_down():  # markers are allowed here; the templates make their own when they use the variable
            for name in role.options:
                if name not in variables:
                    continue
                try:
                    values[name] = templar.template(variables[name])
                except AnsibleValueOmittedError:
                    continue
                except AnsibleError as error:
                    problems.append(variable_problem(error, f"role {role.component}: {name}"))
        return values, problems

    # -- templates ---------------------------------------------------------------------------------------------
    def _role(self, role: Role, roles: Sequence[Role], problems: list[str]) -> list[Raw]:
        templar = self._templar(role, roles)
        raws: list[Raw] = []
        for template in (*([role.resources] if role.resources else []), *role.manifests):
            try:
                first = self._template(role, template, templar)
                again = self._template(role, template, templar)
                self._same(role.shown(template), first, again)
                raws.extend(first)
            except InvalidDescription as error:
                problems.extend(error.problems)
        return raws

    def _template(self, role: Role, template: str, templar: Templar) -> list[Raw]:
        shown = role.shown(template)
        source = self._loader.get_text_file_contents(str(role.path / template))
        with writing_down() as ledger:
            text = self._text(source, shown, templar)
        documents = parse(text, shown)
        missing = lost(ledger, documents, str(source), shown)
        if missing:
            raise InvalidDescription(*missing)
        if template == role.resources:
            return self._resources(role, settled(documents), source, shown)
        return self._manifests(role, settled(text), shown)

    def _text(self, source: str, shown: str, templar: Templar) -> str:
        try:
            rendered = templar.template(trust_as_template(source), escape_backslashes=False)
        except AnsibleError as error:
            raise InvalidDescription(explain(error, str(source), shown)) from error
        if rendered is None:
            return ""
        if not isinstance(rendered, str):
            raise InvalidDescription(f"{shown}: one expression alone gives data, not text; add `| to_nice_yaml` to it.")
        return str(rendered)

    def _resources(self, role: Role, documents: Sequence[Any], source: str, shown: str) -> list[Raw]:
        raws: list[Raw] = []
        for document in documents:
            if not isinstance(document, Mapping):
                raise InvalidDescription(f"{shown}: a mapping of addresses (kind/name) is wanted.")
            for address, fields in document.items():
                line = line_of_address(str(address), str(source))
                where = f"{shown}:{line}" if line else shown
                if any(raw.address == address for raw in raws):
                    raise InvalidDescription(f"{where}: {address} is there twice.")
                given = {} if fields is None else fields
                raws.append(Raw(str(address), given, role.component, self._owner(role), where))
        return raws

    def _manifests(self, role: Role, text: str, shown: str) -> list[Raw]:
        return list(self._parse_manifests(text, role.component, self._owner(role), shown))

    def _owner(self, role: Role) -> str:
        return self._names.owner(role.use)

    def _same(self, shown: str, first: Sequence[Raw], again: Sequence[Raw]) -> None:
        if list(first) == list(again):
            return
        one, other = ({raw.address: raw for raw in raws} for raws in (first, again))
        moved = sorted(address for address in one.keys() | other.keys() if one.get(address) != other.get(address))
        raise InvalidDescription(
            f"{shown}: rendering it twice gives two descriptions ({', '.join(moved) or 'in another order'}); "
            "now(), random and lookups that change cannot be used in it."
        )
