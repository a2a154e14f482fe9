"""Every reference marker that a template renders is written down here, so that one that got lost can be named.

A filter that transforms a marker (`hash`, `int`, `b64encode`, `if` …) leaves no trace in the description; the ledger
of its rendering knows that it was made, and in which line.
"""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any

from ..module_utils.engine.errors import InvalidDescription
from ..module_utils.engine.values import ENCODINGS, Reference, parse_markers, references_in
from ..module_utils.stack import secret_refs
from ..module_utils.stack.secret_refs import SecretRef, parse_secret_markers, secret_refs_in
from .template_lines import line_naming

_ADDRESS = re.compile(r"[A-Za-z0-9_.-]+/[^()|\s]+")
_OUTPUT = re.compile(r"[A-Za-z0-9_]+")
_VERSION = re.compile(r"[A-Za-z0-9 _.:/=+@-]{0,128}")  # what a tag can hold, where versions are noted
_NAMES = {
    secret_refs.SECRETS_MANAGER: re.compile(r"[A-Za-z0-9/_+=.@!:-]{1,2048}"),
    secret_refs.ENVIRONMENT: re.compile(r"[A-Za-z_][A-Za-z0-9_]*"),
    secret_refs.VARIABLE: re.compile(r"[A-Za-z_][A-Za-z0-9_]*"),
}
_serials = itertools.count(1)


class MisusedReference(InvalidDescription):
    """`ref` or `secret_ref` was given something wrong, in this line of the template (0: unknown)."""

    def __init__(self, problem: str, line: int) -> None:
        super().__init__(problem)
        self.line = line


@dataclass(frozen=True)
class Place:
    """Where a marker was made. `variable`: the template used it through this variable, whose value holds the `ref`."""

    line: int = 0
    variable: str = ""

    def line_in(self, text: str) -> int:
        """The line of the template `text`. Jinja resolves variables ahead of the line that uses them."""
        return (line_naming([self.variable], text) if self.variable else 0) or self.line


@dataclass
class Ledger:
    """The markers that one rendering made, by serial."""

    made: dict[int, tuple[Reference | SecretRef, Place]] = field(default_factory=dict)


_ledger: ContextVar[Ledger | None] = ContextVar("capstan_ledger", default=None)


@contextmanager
def writing_down() -> Iterator[Ledger]:
    """Markers made inside are written into the ledger that this gives; outside of it none can be made."""
    ledger = Ledger()
    token = _ledger.set(ledger)
    try:
        yield ledger
    finally:
        _ledger.reset(token)


def make_marker(address: Any, output: Any, encode: Any) -> str:
    """A fresh marker for one output of one resource. Raises MisusedReference."""
    place = _place()
    problem = _misuse(address, output, encode)
    if problem:
        raise MisusedReference(problem, place.line)
    reference = Reference(str(address), str(output), str(encode), next(_serials))
    ledger = _ledger.get()
    if ledger is not None:
        ledger.made[reference.serial] = (reference, place)
    return reference.marker()


def make_secret_marker(name: Any, source: Any, key: Any, stage: Any, version: Any, encode: Any) -> str:
    """A fresh marker for one use of a secret. Raises MisusedReference.

    Elsewhere than in a rendering it is the settled marker: ansible itself validates the variables of a role that is run
    on its own, and templates them for that.
    """
    place = _place()
    problem = _misused_secret(name, source, key, stage, version, encode)
    if problem:
        raise MisusedReference(problem, place.line)
    stage = str(stage or secret_refs.CURRENT) if source == secret_refs.SECRETS_MANAGER else ""
    ref = SecretRef(str(source), str(name), str(key), stage, str(version), str(encode))
    ledger = _ledger.get()
    if ledger is not None:
        ref = replace(ref, serial=next(_serials))
        ledger.made[ref.serial] = (ref, place)
    return ref.marker()


def _misused_secret(name: Any, source: Any, key: Any, stage: Any, version: Any, encode: Any) -> str:
    if source not in secret_refs.SOURCES:
        return f"secret_ref takes secrets from {', '.join(secret_refs.SOURCES)}, not from {source!r}."
    if not isinstance(name, str) or not _NAMES[source].fullmatch(name):
        wanted = {
            secret_refs.SECRETS_MANAGER: "a secret (or its ARN)",
            secret_refs.ENVIRONMENT: "an environment variable",
        }
        return f"secret_ref wants the name of {wanted.get(source, 'a variable')}, not {name!r}."
    if not all(isinstance(part, (str, int)) for part in (key, stage, version)):
        return "key, version_stage and version of secret_ref are text."
    if not _VERSION.fullmatch(str(version)):
        return f"version of secret_ref has up to 128 letters, digits, spaces and . : / = + @ - _, unlike {version!r}."
    if source == secret_refs.SECRETS_MANAGER and version:
        return "Secrets Manager says itself which version a secret has: leave version out, or choose a version_stage."
    if source != secret_refs.SECRETS_MANAGER and (key or stage):
        return "only secrets of Secrets Manager have a key and a version_stage."
    if encode not in tuple(ENCODINGS):  # whatever was given, also what no mapping takes as a key
        return f"secret_ref can encode as {' or '.join(ENCODINGS)}, not {encode!r}."
    return ""


def _misuse(address: Any, output: Any, encode: Any) -> str:
    if _ledger.get() is None:
        return (
            "ref can only be used in the templates of a stack's roles and in variables that these use: "
            "elsewhere nobody would put the value in its place."
        )
    if not isinstance(address, str) or not _ADDRESS.fullmatch(address):
        return f'ref wants the address of a resource, like "aws.vpc/main", not {address!r}.'
    if not isinstance(output, str) or not _OUTPUT.fullmatch(output):
        return f'ref wants the name of an output of {address}, like "id", not {output!r}.'
    if encode not in tuple(ENCODINGS):  # whatever was given, also what no mapping takes as a key
        return f"ref can encode as {' or '.join(ENCODINGS)}, not {encode!r}."
    return ""


def _place() -> Place:
    """Where in the outermost template that is being rendered right now."""
    line, variable, resolving = 0, "", ""
    frame = sys._getframe(2)
    while frame is not None:
        template = frame.f_globals.get("__jinja_template__")
        if template is not None:
            line, variable = template.get_corresponding_lineno(frame.f_lineno), resolving
        elif frame.f_code.co_name == "resolve_or_missing":
            resolving = str(frame.f_locals.get("key", ""))
        frame = frame.f_back  # type: ignore[assignment]
    return Place(line, variable)


def lost(ledger: Ledger, parsed: Any, text: str, shown: str) -> list[str]:
    """The markers of `ledger` that are not in `parsed` (or are altered there): one sentence each.

    `text`: the template, which messages call `shown`.
    """
    try:
        found = {one.serial for walk in (references_in, secret_refs_in) for one in walk(parsed)}
    except InvalidDescription:
        found = set(_intact(parsed))
    problems = []
    for serial, (reference, place) in ledger.made.items():
        if serial not in found:
            line = place.line_in(text)
            where = f"{shown}:{line}" if line else shown
            secret = isinstance(reference, SecretRef)
            name, why = ("secret_ref", "is never in a template") if secret else ("ref", "exists only after apply")
            problems.append(
                f"{where}: the reference to {reference} was transformed or dropped by a filter, a test or a comment "
                f"(b64encode, hash, int, length, if …). Its value {why}: use it as it is, "
                f"alone or inside text; encode with {name}(..., encode='base64')."
            )
    return problems


def _intact(value: Any) -> Iterator[int]:
    """Serials of unaltered markers in text that also holds altered ones."""
    if isinstance(value, str):
        for part in re.findall(r"capstan-(?:ref|secret)\([^()]*\)", value):
            try:
                yield from (one.serial for parse in (parse_markers, parse_secret_markers) for one in parse(part))
            except InvalidDescription:
                continue
    elif isinstance(value, Mapping):
        for pair in value.items():
            yield from _intact(list(pair))
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _intact(item)


def settled(value: Any) -> Any:
    """`value` with the serials of its markers taken out, so that every rendering gives the same description."""
    if isinstance(value, str):
        if "capstan-" not in value:
            return value
        for reference in list(parse_markers(value)):
            value = value.replace(reference.marker(), replace(reference, serial=0).marker())
        for ref in list(parse_secret_markers(value)):
            value = value.replace(ref.marker(), replace(ref, serial=0).marker())
        return value
    if isinstance(value, Mapping):
        return {settled(key): settled(item) for key, item in value.items()}
    if isinstance(value, list):
        return [settled(item) for item in value]
    return value
