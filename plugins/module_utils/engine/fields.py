"""What a field of a resource is: its type, and how its live value is compared.

Declared once per field, `vpc: str = attr("VPC it lies in", refers_to="aws.vpc", create_only=True)`; everything else
(validation, references, diff, masking, documentation) follows from it.
"""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from .values import UNSET, Secret, Unset


@dataclass(frozen=True, kw_only=True)
class Field:
    """One field's meaning. At most one of the flags about others' hands is set."""

    doc: str
    create_only: bool = False  # a change replaces the resource
    refers_to: tuple[str, ...] = ()  # kinds whose names (or lists of names) the field holds
    output: str = "id"  # which output of the referred resource the API wants
    unordered: bool = False  # a list whose order means nothing
    normalise: Callable[[Any], Any] | None = None  # both sides pass through it before they are compared
    secret: bool = False  # masked everywhere
    initial: bool = False  # set at creation, another controller's afterwards: never moved back
    floor: bool = False  # may only grow: a larger live value is fine
    version_prefix: bool = False  # "15" accepts "15.7"
    open_set: bool = False  # foreign entries are kept and listed
    usual: Callable[[Any], bool] | None = None  # foreign entries that the service itself makes: not listed
    closed_by: str = ""  # name of a boolean field that turns the open set into a closed one
    cleared: Any = UNSET  # what null stands for: False, [], 3600 …, None for "nothing there"; UNSET: null is refused


def attr(doc: str, *, refers_to: str | tuple[str, ...] = (), default: Any = dataclasses.MISSING, **flags: Any) -> Any:
    """A dataclass field that carries its Field; without `default` it is mandatory (UNSET makes it optional)."""
    kinds = (refers_to,) if isinstance(refers_to, str) else refers_to
    meaning = Field(doc=doc, refers_to=kinds, **flags)
    # pylint: disable-next=invalid-field-call  # it is called where a dataclass declares its fields
    return dataclasses.field(default=default, metadata={"capstan": meaning})


def fields_of(cls: type) -> dict[str, Field]:
    """The declared fields of a resource class, in the order of their declaration."""
    return {f.name: f.metadata["capstan"] for f in dataclasses.fields(cls) if "capstan" in f.metadata}


def mandatory(cls: type) -> list[str]:
    """The fields that a description has to give."""
    return [
        f.name
        for f in dataclasses.fields(cls)
        if "capstan" in f.metadata and f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    ]


def null_problem(name: str, meaning: Field) -> str:
    """The sentence that refuses null for a field; "" where the field can be cleared."""
    if meaning.cleared is not UNSET:
        return ""
    keys = " Set a key to null to remove that one." if meaning.open_set else ""
    return f"{name} is null, but nothing can clear it: leave it out to keep what is live, or give a value.{keys}"


def nearest(word: str, known_words: Iterable[str]) -> str:
    """` Did you mean "x"?` for a mistyped word, or nothing when none is near."""
    close = difflib.get_close_matches(word, list(known_words), n=1, cutoff=0.6)
    return f' Did you mean "{close[0]}"?' if close else ""


def check(value: Any, hint: Any, where: str) -> list[str]:
    """What is wrong with `value` for the type `hint`: one sentence each, full depth. Markers pass as strings."""
    if value is UNSET or hint is Any:
        return []
    if typing.is_typeddict(hint):
        return _check_typed_dict(value, hint, where)
    origin = get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return _check_union(value, [arg for arg in get_args(hint) if arg is not Unset], where)
    if origin is Literal:
        choices = get_args(hint)
        return [] if value in choices else [f"{where} is {value!r}; choose one of {', '.join(map(repr, choices))}."]
    if origin in (list, tuple):
        if not isinstance(value, (list, tuple)):
            return [f"{where} is {_name(value)}; a list is wanted."]
        element = get_args(hint)[0]
        return [problem for n, item in enumerate(value) for problem in check(item, element, f"{where}[{n}]")]
    if origin is dict:
        if not isinstance(value, Mapping):
            return [f"{where} is {_name(value)}; a mapping is wanted."]
        return [p for key, item in value.items() for p in check(item, get_args(hint)[1], f"{where}.{key}")]
    return _check_plain(value, hint, where)


def _check_plain(value: Any, hint: Any, where: str) -> list[str]:
    if hint is str and isinstance(value, Secret):
        return []
    fits = isinstance(value, hint) if isinstance(hint, type) else value is None
    if isinstance(value, bool) and hint is not bool:
        fits = False
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        fits = True
    return [] if fits else [f"{where} is {_name(value)} ({value!r}); {_words(hint)} is wanted."]


def _check_union(value: Any, options: list[Any], where: str) -> list[str]:
    if value is None and type(None) in options:
        return []
    best: list[str] | None = None
    for option in options:
        problems = check(value, option, where)
        if not problems:
            return []
        if option is not type(None) and best is None:
            best = problems
    return best or []


def _check_typed_dict(value: Any, hint: Any, where: str) -> list[str]:
    if not isinstance(value, Mapping):
        return [f"{where} is {_name(value)}; a mapping is wanted."]
    hints = typing.get_type_hints(hint)
    problems = [f'{where} has no field "{key}".{nearest(str(key), hints)}' for key in value if key not in hints]
    problems += [f'{where} lacks "{key}".' for key in sorted(_required(hint) - set(value))]
    for key, item in value.items():
        if key in hints:
            problems += check(item, hints[key], f"{where}.{key}")
    return problems


def _required(hint: Any) -> set[str]:
    """The keys that a TypedDict wants; its own `__required_keys__` misses NotRequired in postponed annotations."""
    hints = typing.get_type_hints(hint, include_extras=True)
    marked = {key for key, each in hints.items() if get_origin(each) is typing.NotRequired}
    return set(hint.__required_keys__) - marked


def _name(value: Any) -> str:
    names = {dict: "a mapping", list: "a list", str: "text", int: "an integer", bool: "a boolean", type(None): "null"}
    return names.get(type(value), type(value).__name__)


def _words(hint: Any) -> str:
    names = {str: "text", int: "an integer", bool: "true or false", float: "a number", dict: "a mapping"}
    return names.get(hint, getattr(hint, "__name__", str(hint)))
