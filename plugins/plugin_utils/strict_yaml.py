"""YAML as a description wants it: no key twice, and text stays text.

Dates, sexagesimal and octal numbers are left as text: `Version: 2012-10-17`, `at: 12:30` and `account: 012345678901`
mean what they look like.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Any

import yaml

from ..module_utils.engine.errors import InvalidDescription

try:
    from yaml import CSafeLoader as _Base
except ImportError:  # PyYAML built without libyaml
    from yaml import SafeLoader as _Base  # type: ignore[assignment]

_TIMESTAMP, _INT, _FLOAT = (f"tag:yaml.org,2002:{name}" for name in ("timestamp", "int", "float"))


class _Loader(_Base):
    """Refuses duplicate keys."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        if isinstance(node, yaml.MappingNode):
            self._refuse_duplicates(node)
        return dict(super().construct_mapping(node, deep=deep))

    def _refuse_duplicates(self, node: yaml.MappingNode) -> None:
        seen: dict[Any, int] = {}
        for key_node, _unused in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            line = key_node.start_mark.line + 1
            if isinstance(key, Hashable) and key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f'the key "{key}" is there twice (first in line {seen[key]})', key_node.start_mark
                )
            if isinstance(key, Hashable):
                seen[key] = line


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in pairs if tag not in (_TIMESTAMP, _INT, _FLOAT)]
    for first, pairs in _Base.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(_INT, re.compile(r"^(?:[-+]?(?:0|[1-9][0-9]*)|0x[0-9a-fA-F]+)$"), list("-+0123456789"))
_Loader.add_implicit_resolver(
    _FLOAT,
    re.compile(r"^(?:[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"),
    list("-+.0123456789"),
)


def parse(text: str, where: str) -> list[Any]:
    """The documents in `text`, empty ones left out. Raises InvalidDescription with the line, never with its content."""
    try:
        return [document for document in yaml.load_all(text, Loader=_Loader) if document is not None]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1} of what it renders to" if mark else ""
        raise InvalidDescription(f"{where}{line}: {error.problem or 'not YAML'}.") from None
    except yaml.YAMLError as error:
        raise InvalidDescription(f"{where}: not YAML ({type(error).__name__}).") from None
