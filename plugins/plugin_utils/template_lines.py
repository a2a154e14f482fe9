"""Which line of a template is meant: by the names in its expressions, for jinja does not always tell."""

from __future__ import annotations

import re
from collections.abc import Sequence

_EXPRESSION = re.compile(r"\{[{%].*?[%}]\}")


def line_naming(words: Sequence[str], text: str) -> int:
    """The first line of `text` with an expression that holds one of `words` (the last ones first); 0: there is none."""
    for word in reversed([word.rpartition(".")[2] for word in words]):
        wanted = re.compile(rf"(?<!\w){re.escape(word)}(?!\w)")
        for number, line in enumerate(text.splitlines(), start=1):
            if any(wanted.search(expression) for expression in _EXPRESSION.findall(line)):
                return number
    return 0


def line_of_address(address: str, text: str) -> int:
    """The line of the template `text` that describes `address`, also when part of the address is an expression."""
    for number, line in enumerate(text.splitlines(), start=1):
        if line[:1] in " \t#-" or line.startswith("{%"):
            continue
        key = line.split(": ", 1)[0].rstrip().removesuffix(":").strip("\"'")
        pieces = re.split(r"\{\{.*?\}\}", key)
        if len("".join(pieces)) > 1 and re.fullmatch(".+".join(map(re.escape, pieces)), address):
            return number
    return 0
