"""Are a role's variables what its argument_specs say? To full depth, all problems at once."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.errors import UnsupportedError

from ..module_utils.engine.fields import nearest

Options = Mapping[str, Mapping[str, Any]]
_NEAR = 0.8  # how alike a variable and an option must be to call the one a misspelling of the other


@dataclass(frozen=True)
class Checked:
    """`problems`: one sentence each. `secrets`: values that must never be shown."""

    problems: tuple[str, ...]
    secrets: frozenset[str]


def check_arguments(role: str, options: Options, values: Mapping[str, Any]) -> Checked:
    """`values` (templated, only those that are set) against the role's argument spec `options`.

    Numbers in text pass where ansible's own validation lets them pass.
    """
    spec = {name: dict(option) for name, option in options.items()}
    unknown = list(unknown_nested(options, values))
    result = ArgumentSpecValidator(spec).validate(dict(values))
    problems = [f'role {role}: {where} has no option "{key}".{nearest(key, known)}' for where, key, known in unknown]
    problems += [
        f"role {role}: {_sentence(error)}" for error in result.errors if not isinstance(error, UnsupportedError)
    ]
    secrets = frozenset(str(value) for value in result._no_log_values if str(value))
    return Checked(tuple(mask(problem, secrets) for problem in problems), secrets)


def _sentence(error: Exception) -> str:
    text = str(error).strip()
    return text if text.endswith(".") else f"{text}."


def unknown_nested(options: Options, values: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str, list[str]]]:
    """Keys of nested mappings that their sub-options do not have: (where, key, the keys there are)."""
    for name, value in values.items():
        option = options.get(name)
        if option is None or not isinstance(option.get("options"), Mapping):
            continue
        nested: Options = option["options"]
        known = [*nested, *(alias for sub in nested.values() for alias in sub.get("aliases", ()))]
        where = f"{path}{name}"
        for place, item in _mappings(where, value):
            for key in item:
                if key not in known:
                    yield place, str(key), known
            yield from unknown_nested(nested, item, f"{place}.")


def _mappings(where: str, value: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(value, Mapping):
        yield where, value
    elif isinstance(value, (list, tuple)):
        for number, item in enumerate(value):
            if isinstance(item, Mapping):
                yield f"{where}[{number}]", item


def misspelled(role: str, options: Options, variables: Mapping[str, Any], known: set[str]) -> list[str]:
    """Variables that start with the role's name, that nobody knows, and that are close to one of its options."""
    problems = []
    for name in sorted(variables):
        if name.startswith(f"{role}_") and name not in known:
            close = difflib.get_close_matches(name, list(options), n=1, cutoff=_NEAR)
            if close:
                problems.append(f'role {role} has no option "{name}". Did you mean "{close[0]}"?')
    return problems


def mask(text: str, secrets: frozenset[str]) -> str:
    """`text` with every secret in it blanked; longest first, so that no rest of one remains.

    A "secret" of up to three characters is left: blanking every "1" hides nothing and makes the text unreadable.
    """
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) > 3:
            text = text.replace(secret, "********")
    return text
