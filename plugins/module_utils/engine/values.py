"""Values a description can hold besides plain data: unset, unknown, references, secrets.

A reference in text travels as a *marker*: an opaque ASCII string that survives templating, YAML and JSON. Its
checksum and serial let the engine notice one that a template changed or swallowed.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .errors import InvalidDescription


class Unset:
    """A field that is not said: keeps what is live. Differs from None, which clears."""

    _only: Unset | None = None

    def __new__(cls) -> Unset:
        cls._only = cls._only or super().__new__(cls)
        return cls._only

    def __repr__(self) -> str:
        return "UNSET"

    def __bool__(self) -> bool:
        return False


UNSET = Unset()


@dataclass(frozen=True)
class Unknown:
    """A value that exists only after apply. `of`: where it will come from, for people."""

    of: str = ""

    def __repr__(self) -> str:
        return "(known after apply)"

    __str__ = __repr__


class Secret:
    """A secret value: masked wherever it could be seen. `version` identifies it, never a hash of it.

    `shown`: how people see the version. The value may hold references as text does; `resolve` fills them in.
    One that is live and cannot be read back (`unread`) is equal to every secret that says no other version.
    """

    __slots__ = ("_value", "shown", "version")

    def __init__(self, value: str | None, version: str = "", shown: str = "") -> None:
        self._value = value
        self.version = version
        self.shown = shown or version

    @classmethod
    def unread(cls, version: str) -> Secret:
        """What is live where the API never tells it: `version` is what was noted when it was written."""
        return cls(None, version)

    def reveal(self) -> str:
        """The value, for the one API call that needs it."""
        if self._value is None:
            raise AssertionError("a secret that cannot be read back was asked for its value")
        return self._value

    def holding(self, value: str) -> Secret:
        """The same version, its value in another form, or a part of it."""
        return Secret(value, self.version, self.shown)

    def __repr__(self) -> str:
        return f"(secret {self.shown})" if self.shown else "(secret)"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        if self._value is None or other._value is None:
            unread, said = (self, other) if self._value is None else (other, self)
            return said.version in ("", unread.version)
        if self.version and other.version:
            return self.version == other.version
        return self._value == other._value

    def __hash__(self) -> int:
        return hash("capstan secret")


@dataclass(frozen=True)
class Reference:
    """One reference to an output of another resource: `address` = kind/name."""

    address: str
    output: str = "id"
    encode: str = "none"  # or base64
    serial: int = 0  # which rendering of the marker; 0: not from text

    def __str__(self) -> str:
        return f"{self.address}.{self.output}"

    def marker(self) -> str:
        body = f"{self.address}|{self.output}|{self.encode}|{self.serial}"
        return f"capstan-ref({body}|{_checksum(body)})"


_MARKER = re.compile(r"capstan-ref\(([^()|]+)\|([^()|]+)\|([^()|]+)\|(\d+)\|([0-9a-f]{8})\)")
ENCODINGS: dict[str, Callable[[str], str]] = {
    "none": str,
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
}


def _checksum(body: str) -> str:
    return hashlib.sha256(f"capstan {body}".encode()).hexdigest()[:8]


def parse_markers(text: str) -> Iterator[Reference]:
    """The references in `text`. Raises InvalidDescription for a marker that was altered."""
    found = 0
    for match in _MARKER.finditer(text):
        found += 1
        address, output, encode, serial, checksum = match.groups()
        if checksum != _checksum(f"{address}|{output}|{encode}|{serial}"):
            raise InvalidDescription(f"a reference to {address} was altered by the template: {match.group(0)}")
        yield Reference(address, output, encode, int(serial))
    if text.lower().count("capstan-ref") > found:
        raise InvalidDescription(f"a reference marker was transformed by the template: {text[:120]}")


def leaves_in(value: Any) -> Iterator[Any]:
    """Everything inside `value` that holds nothing else (mapping keys included)."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from leaves_in(key)
            yield from leaves_in(item)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for item in value:
            yield from leaves_in(item)
    else:
        yield value


def with_leaves(value: Any, change: Callable[[Any], Any]) -> Any:
    """`value` with each leaf of its mappings (keys included), lists and tuples replaced by what `change` says."""
    if isinstance(value, Mapping):
        return {with_leaves(key, change): with_leaves(item, change) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(with_leaves(item, change) for item in value)
    return change(value)


def references_in(value: Any) -> Iterator[Reference]:
    """Every reference anywhere inside `value` (mapping keys included)."""
    for leaf in leaves_in(value):
        if isinstance(leaf, Reference):
            yield leaf
        elif isinstance(leaf, Secret):
            if "capstan-ref(" in leaf.reveal():
                yield from parse_markers(leaf.reveal())
        elif isinstance(leaf, str) and "capstan-ref" in leaf.lower():
            yield from parse_markers(leaf)


Lookup = Callable[[Reference], Any]


def resolve(value: Any, lookup: Lookup) -> Any:
    """`value` with every reference replaced by what `lookup` says (perhaps an Unknown or a Secret).

    Text that holds one Unknown is Unknown as a whole; text that holds a Secret is a Secret.
    """
    return with_leaves(value, lambda leaf: _resolve_leaf(leaf, lookup))


def _resolve_leaf(leaf: Any, lookup: Lookup) -> Any:
    if isinstance(leaf, Reference):
        return lookup(leaf)
    if isinstance(leaf, str):
        return _resolve_text(leaf, lookup) if "capstan-ref(" in leaf else leaf
    if isinstance(leaf, Secret):
        return _resolve_secret(leaf, lookup) if "capstan-ref(" in leaf.reveal() else leaf
    return leaf


def _resolve_text(text: str, lookup: Lookup) -> Any:
    references = list(parse_markers(text))
    values = [(reference, lookup(reference)) for reference in references]
    for _unused, found in values:
        if isinstance(found, Unknown):
            return found
    if len(values) == 1 and text == references[0].marker() and references[0].encode == "none":
        return values[0][1]
    versions = []
    for reference, found in values:
        plain = found.reveal() if isinstance(found, Secret) else str(found)
        if isinstance(found, Secret):
            versions.append(found.version)
        text = text.replace(reference.marker(), ENCODINGS[reference.encode](plain))
    return Secret(text, "+".join(versions)) if versions else text


def _resolve_secret(secret: Secret, lookup: Lookup) -> Any:
    found = _resolve_text(secret.reveal(), lookup)
    if isinstance(found, Unknown):
        return found
    return secret.holding(found.reveal() if isinstance(found, Secret) else str(found))


def contains(value: Any, wanted: type) -> bool:
    """Is there an instance of `wanted` (Unknown, Secret …) anywhere inside `value`?"""
    if isinstance(value, wanted):
        return True
    if isinstance(value, Mapping):
        return any(contains(item, wanted) for pair in value.items() for item in pair)
    if isinstance(value, (list, tuple, set, frozenset)):
        return any(contains(item, wanted) for item in value)
    return False


def plain(value: Any) -> Any:
    """`value` as JSON can hold it, unknowns and secrets as their words: for plans, diffs, digests and logs."""
    if isinstance(value, (Unknown, Secret, Reference)):
        return str(value)
    if isinstance(value, Unset):
        return None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in sorted(value.items(), key=lambda pair: str(pair[0]))}
    if isinstance(value, (set, frozenset)):
        return sorted((plain(item) for item in value), key=repr)
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def known(value: Any) -> Any:
    """`value` for a real API call; refuses an Unknown: a bug of ours, never sent."""
    if contains(value, Unknown):
        raise AssertionError("an unknown value reached a real API call")
    return value
