"""From rendered text to the objects in it: YAML as Kubernetes understands it, and where each object begins."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator, Mapping
from functools import cache
from typing import Any

from ..engine.errors import InvalidDescription, missing_library

_TIMESTAMP, _INT, _FLOAT = (f"tag:yaml.org,2002:{name}" for name in ("timestamp", "int", "float"))


def documents(text: str, source: str) -> Iterator[tuple[int, Any]]:
    """(line, object) of every document; the items of a List one by one.

    `source`: the template, for messages. Raises InvalidDescription with the line of the first mistake in the YAML.
    """
    yaml, loader_of = _loader()
    try:
        loader = loader_of(text)
        while loader.check_node():
            node = loader.get_node()
            document = loader.construct_document(node)
            line = node.start_mark.line + 1
            if isinstance(document, Mapping) and document.get("kind") == "List":
                yield from ((line, item) for item in document.get("items") or ())
            elif document is not None:
                yield line, document
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 0
        problem = error.problem or "not YAML"
        raise InvalidDescription(f"{source}, line {line} of what it renders to: {problem}.") from None


@cache
def _loader() -> tuple[Any, Any]:
    """PyYAML and our loader: made at first use, because only the side that renders needs PyYAML."""
    try:
        import yaml
    except ImportError as error:
        raise missing_library("PyYAML", error) from None
    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class Loader(base):
        """Dates and sexagesimal numbers stay text; octal modes stay numbers; a key that is there twice is refused."""

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            seen: set[Any] = set()
            for key_node, _value in node.value if isinstance(node, yaml.MappingNode) else ():
                key = self.construct_object(key_node, deep=True)
                if isinstance(key, Hashable) and key in seen and key_node.tag != "tag:yaml.org,2002:merge":
                    raise yaml.constructor.ConstructorError(None, None, f'"{key}" is there twice', key_node.start_mark)
                if isinstance(key, Hashable):
                    seen.add(key)
            return dict(super().construct_mapping(node, deep=deep))

    Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in pairs if tag not in (_TIMESTAMP, _INT, _FLOAT)]
        for first, pairs in base.yaml_implicit_resolvers.items()
    }
    Loader.add_implicit_resolver(_INT, re.compile(r"^[-+]?(?:[0-9]+|0x[0-9a-fA-F]+)$"), list("-+0123456789"))
    Loader.add_implicit_resolver(
        _FLOAT, re.compile(r"^[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?$"), list("-+.0123456789")
    )
    return yaml, Loader
