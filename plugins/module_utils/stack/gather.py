"""What is live, as a description: addresses and fields as `present` takes them, ids turned back into names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ..engine.description import Raw
from ..engine.fields import Field
from ..engine.reading import Seen
from ..engine.resource import Resource
from ..engine.values import Secret, contains, parse_markers, plain
from .manifests import is_object
from .secret_refs import CURRENT, parse_secret_markers


def described(everything: Iterable[Seen]) -> dict[str, Any]:
    """Address -> fields of everything that was seen but Kubernetes objects. Secrets are left out: never read back."""
    seen = sorted(everything, key=lambda one: one.live.address)
    names = _names(seen)
    return {one.live.address: _fields(one, names) for one in seen if one.live.address and not is_object(one)}


def members(everything: Iterable[Seen]) -> list[dict[str, Any]]:
    """The live resources that carry the stack's marks, and what the marks say."""
    return [
        {
            "address": seen.live.address,
            "id": seen.live.id,
            "stack": seen.live.owner,
            "component": seen.live.component,
            "protect": seen.live.protect,
            "readiness": seen.live.readiness.state,
        }
        for seen in sorted(everything, key=lambda seen: (seen.live.owner, seen.live.address, seen.live.id))
    ]


def _names(seen: Iterable[Seen]) -> dict[tuple[str, str, str], str]:
    """(kind, output, value) -> name of the resource that has this value as that output."""
    names: dict[tuple[str, str, str], str] = {}
    for one in seen:
        kind, _sep, name = one.live.address.partition("/")
        for output, value in {**one.live.outputs, "id": one.live.id}.items():
            if isinstance(value, str) and value:
                names[kind, output, value] = name
    return names


def _fields(seen: Seen, names: Mapping[tuple[str, str, str], str]) -> dict[str, Any]:
    cls, live = seen.group.cls, seen.live
    fields: dict[str, Any] = {}
    for name, value in live.fields.items():
        meaning = _meaning(cls, name)
        if meaning is None or meaning.secret or value in (None, [], {}, "") or contains(value, Secret):
            continue
        fields[name] = plain(_named(value, meaning, names) if meaning.refers_to else value)
    if live.protect != cls.protected:
        fields["protect"] = live.protect
    if seen.group.location != "main":
        fields["location"] = seen.group.location
    return fields


def _meaning(cls: type[Resource], name: str) -> Field | None:
    try:
        return cls.meaning(name)
    except KeyError:
        return None


def _named(value: Any, meaning: Field, names: Mapping[tuple[str, str, str], str]) -> Any:
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_named(item, meaning, names) for item in value]
    found = (names.get((kind, meaning.output, value)) for kind in meaning.refers_to)
    return next((name for name in found if name), value)


def rendered(raws: Iterable[Raw]) -> dict[str, Any]:
    """A description as it was rendered, references written as a template would write them."""
    return {raw.address: _readable(raw.fields) for raw in raws}


def _readable(value: Any) -> Any:
    if isinstance(value, str):
        value = re.sub(r"capstan-secret\([^()]*\)", _as_secret_ref, value)
        return re.sub(r"capstan-ref\([^()]*\)", _as_template, value)
    if isinstance(value, Mapping):
        return {_readable(key): _readable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_readable(item) for item in value]
    return plain(value)


def _as_template(match: re.Match[str]) -> str:
    (reference,) = parse_markers(match.group(0))
    arguments = [] if reference.output == "id" else [f"'{reference.output}'"]
    arguments += [] if reference.encode == "none" else [f"encode='{reference.encode}'"]
    call = f"({', '.join(arguments)})" if arguments else ""
    return f"{{{{ '{reference.address}' | capstan.fullstack.ref{call} }}}}"


def _as_secret_ref(match: re.Match[str]) -> str:
    (ref,) = parse_secret_markers(match.group(0))
    arguments = [f"'{ref.source}'"]
    arguments += [f"key='{ref.key}'"] if ref.key else []
    arguments += [f"version_stage='{ref.stage}'"] if ref.stage not in ("", CURRENT) else []
    arguments += [f"version='{ref.version}'"] if ref.version else []
    arguments += [] if ref.encode == "none" else [f"encode='{ref.encode}'"]
    return f"{{{{ '{ref.name}' | capstan.fullstack.secret_ref({', '.join(arguments)}) }}}}"
