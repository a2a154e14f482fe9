"""From what templates rendered to a checked graph of typed resources: every mistake is found here, before any call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from . import graph
from .errors import InvalidDescription
from .fields import check, mandatory, nearest, null_problem
from .resource import Meta, Provider, Resource
from .values import UNSET, Reference, references_in

_META_TYPES: dict[str, Any] = {
    "depends_on": list[str],
    "protect": bool,
    "existing": bool,
    "moved": dict[str, str],
    "location": str,
    "via": str,
}


@dataclass(frozen=True)
class Raw:
    """One resource as a template wrote it. `source`: where, for messages ("role network")."""

    address: str
    fields: Mapping[str, Any]
    component: str
    owner: str
    source: str = ""


@dataclass(frozen=True)
class Description:
    """The checked graph. `externals`: addresses that a shared platform has to provide, with their classes."""

    resources: Mapping[str, Resource]
    needs: Mapping[str, frozenset[str]]
    externals: Mapping[str, type[Resource]] = field(default_factory=dict)

    def narrowed(self, addresses: Iterable[str]) -> Description:
        """Only `addresses` and what they need."""
        kept = graph.closure(addresses, self.needs)
        return Description(
            {a: r for a, r in self.resources.items() if a in kept},
            {a: n for a, n in self.needs.items() if a in kept},
            {a: c for a, c in self.externals.items() if a in kept},
        )


def describe(raws: Iterable[Raw], providers: Sequence[Provider], *, shared_platform: str = "") -> Description:
    """The graph that `raws` describe. Raises InvalidDescription with every problem found.

    `shared_platform`: name of a platform stack that may provide what is referred to but not described here.
    """
    problems: list[str] = []
    resources: dict[str, Resource] = {}
    for raw in raws:
        if raw.address in resources:
            where = resources[raw.address].meta.source
            problems.append(f"{_where(raw)} is described twice (also by {where}).")
            continue
        resource = _resource(raw, providers, problems)
        if resource is not None:
            resources[raw.address] = resource
    needs, externals = _link(resources, providers, shared_platform, problems, complete=not problems)
    if not problems and (path := graph.cycle(needs)):
        problems.append(f"these resources need each other in a circle: {' -> '.join(path)}.")
    if problems:
        raise InvalidDescription(*problems)
    return Description(resources, needs, externals)


def kind_class(address: str, providers: Sequence[Provider]) -> type[Resource] | None:
    """The class of `address`'s kind, None when no provider has it."""
    kind = address.partition("/")[0]
    return next((found for provider in providers if (found := provider.kind(kind))), None)


def _where(raw: Raw) -> str:
    return f"{raw.address} ({raw.source})" if raw.source else raw.address


def _resource(raw: Raw, providers: Sequence[Provider], problems: list[str]) -> Resource | None:
    kind, slash, name = raw.address.partition("/")
    if not slash or not name:
        problems.append(f'{_where(raw)}: an address is written kind/name, like "aws.vpc/main".')
        return None
    cls = kind_class(raw.address, providers)
    if cls is None:
        kinds = [known for provider in providers for known in provider.kinds()]
        problems.append(f'{_where(raw)}: there is no kind "{kind}".{nearest(kind, kinds)}')
        return None
    if not isinstance(raw.fields, Mapping):
        problems.append(f"{_where(raw)}: its description is not a mapping of fields.")
        return None
    found = list(_field_problems(raw, cls))
    if found:
        problems.extend(found)
        return None
    schema = cls.schema()
    given = {key: value for key, value in raw.fields.items() if key not in _META_TYPES}
    fields = {key: schema[key].cleared if value is None else value for key, value in given.items()}
    if raw.fields.get("existing"):
        fields = dict.fromkeys(mandatory(cls), UNSET) | fields
    try:
        resource = cls(meta=_meta(raw), **cls.link(fields))
        problems.extend(f"{_where(raw)}: {problem}" for problem in resource.problems())
    except InvalidDescription as error:
        problems.extend(f"{_where(raw)}: {problem}" for problem in error.problems)
        return None
    return resource


def _field_problems(raw: Raw, cls: type[Resource]) -> Iterable[str]:
    hints = cls.hints()
    for key, value in raw.fields.items():
        if key in _META_TYPES:
            yield from check(value, _META_TYPES[key], f"{_where(raw)}: {key}")
        elif key in hints:
            if value is None and key not in mandatory(cls):
                if problem := null_problem(key, cls.schema()[key]):
                    yield f"{_where(raw)}: {problem}"
                continue
            yield from check(value, hints[key], f"{_where(raw)}: {key}")
        else:
            yield f'{_where(raw)}: {cls.kind or "it"} has no field "{key}".{nearest(str(key), [*hints, *_META_TYPES])}'
    if not raw.fields.get("existing"):
        for name in mandatory(cls):
            if name not in raw.fields:
                yield f'{_where(raw)}: the field "{name}" is missing ({cls.schema()[name].doc}).'


def _meta(raw: Raw) -> Meta:
    given = raw.fields
    return Meta(
        address=raw.address,
        component=raw.component,
        owner=raw.owner,
        source=raw.source,
        depends_on=tuple(given.get("depends_on", ())),
        protect=given.get("protect"),
        existing=bool(given.get("existing")),
        moved_from=given.get("moved", {}).get("from", ""),
        location=given.get("location", "main"),
        via=given.get("via", ""),
    )


def _link(
    resources: Mapping[str, Resource],
    providers: Sequence[Provider],
    shared_platform: str,
    problems: list[str],
    *,
    complete: bool,
) -> tuple[dict[str, frozenset[str]], dict[str, type[Resource]]]:
    """What each resource needs; what it refers to but nobody describes is a problem or the platform's."""
    needs: dict[str, frozenset[str]] = {}
    externals: dict[str, type[Resource]] = {}
    for address, resource in resources.items():
        where = f"{address} ({resource.meta.source})" if resource.meta.source else address
        references = _references(resource, where, problems)
        for reference in references:
            cls = type(resources[reference.address]) if reference.address in resources else None
            if cls is None:
                cls = kind_class(reference.address, providers) if shared_platform else None
                if cls is None:
                    if complete:
                        hint = nearest(reference.address, resources)
                        problems.append(f'{where} refers to "{reference.address}", which nothing describes.{hint}')
                    continue
                externals[reference.address] = cls
            if reference.output not in ("id", *cls.outputs):
                known = ["id", *cls.outputs]
                hint = nearest(reference.output, known) or f" It has {', '.join(known)}."
                problems.append(f'{where}: {reference.address} has no output "{reference.output}".{hint}')
        needs[address] = frozenset(reference.address for reference in references if reference.address != address)
        if any(reference.address == address for reference in references):
            problems.append(f"{where} refers to itself.")
    return needs, externals


def _references(resource: Resource, where: str, problems: list[str]) -> list[Reference]:
    found = [Reference(address) for address in resource.meta.depends_on]
    if resource.meta.via:
        found.append(Reference(resource.meta.via))
    try:
        found.extend(references_in(resource.values()))
    except InvalidDescription as error:
        problems.extend(f"{where}: {problem}" for problem in error.problems)
    return found
