"""The index of all quirks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Quirk:
    """One behaviour: `source` says in words where AWS documents it, `summary` what a caller sees."""

    name: str
    source: str
    summary: str


CATALOGUE: dict[str, Quirk] = {}


def quirk(name: str, source: str, summary: str) -> str:
    """Enters a quirk into the catalogue; returns its name, to be given to the hooks that make it up."""
    if name in CATALOGUE:
        raise ValueError(f"quirk {name} is there twice")
    CATALOGUE[name] = Quirk(name, source, summary)
    return name
