"""Which part of a description a run is about; pure. Narrowing never widens what prune may delete."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..engine.description import Description
from ..engine.errors import InvalidDescription
from ..engine.fields import nearest


@dataclass(frozen=True)
class Part:
    """`complete`: the components of which the part holds everything there is."""

    description: Description
    complete: frozenset[str]
    narrowed: bool


def part_of(
    description: Description, complete: frozenset[str], components: Iterable[str], targets: Iterable[str]
) -> Part:
    """The part of `description` that `components` and `targets` (addresses) name, with what it needs.

    Raises InvalidDescription for a target that is not described.
    """
    components, targets = frozenset(components), frozenset(targets)
    if not components and not targets:
        return Part(description, complete, False)
    unknown = sorted(targets - description.resources.keys())
    if unknown:
        raise InvalidDescription(
            *(
                f'targets has "{name}", which nothing describes.{nearest(name, description.resources)}'
                for name in unknown
            )
        )
    wanted = {
        address
        for address, resource in description.resources.items()
        if (not targets or address in targets) and (not components or resource.meta.component in components)
    }
    kept = frozenset() if targets else complete & components
    return Part(description.narrowed(wanted), kept, True)
