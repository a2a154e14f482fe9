"""What every kind has to stand, as data: one Sample a kind, with each of its fields set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.aws.testing import Account

Description = Mapping[str, Mapping[str, Any]]
ByHand = Callable[
    [Account, str], object
]  # (account, id of the live thing): plain boto3, nothing of the kind's own code


@dataclass(frozen=True, kw_only=True)
class Drift:
    """A change made by hand: what the plan has to name, exactly, and mend."""

    by: ByHand
    fields: frozenset[str]
    action: str = "update"


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One kind's sample. `address` is the resource under test; the others are what it needs.

    `changes`: field -> another value that is reached by an update and back. `replaces`: field -> another value that
    forces a replacement. `fixed`: field -> why neither is tried. Every field that is set is in one of the three. A kind
    whose fields exclude each other has several samples.
    """

    address: str
    description: Description
    facts: Callable[[Account, str], Any]  # what boto3 shows of it, without times and states
    gone: Callable[[Account, str], bool]  # does boto3 say that it is not there any more?
    seen: Callable[[Any], Mapping[str, Any]]  # facts -> what they say about the description, compared with `expect`
    expect: Mapping[str, Any]
    changes: Mapping[str, Any] = field(default_factory=dict)
    replaces: Mapping[str, Any] = field(default_factory=dict)
    fixed: Mapping[str, str] = field(default_factory=dict)
    unset: Mapping[str, str] = field(default_factory=dict)  # field -> why this sample cannot set it
    drifts: Mapping[str, Drift] = field(default_factory=dict)
    others_at_work: Mapping[str, ByHand] = field(default_factory=dict)
    protected: bool = False
    outlives: bool = False  # never pruned by itself
    read_calls: Mapping[str, int] = field(default_factory=dict)  # operation -> calls with one owned
    foreign_calls: Mapping[str, int] = field(default_factory=dict)  # … and more of them with another stack's beside it
    before: Callable[[Account], object] | None = None  # makes what no kind makes yet

    @property
    def kind(self) -> str:
        return self.address.partition("/")[0]

    def with_field(self, name: str, value: Any) -> dict[str, Mapping[str, Any]]:
        """The description with one field of the resource under test changed."""
        return {**self.description, self.address: {**self.description[self.address], name: value}}

    def without(self) -> dict[str, Mapping[str, Any]]:
        """The description without the resource under test."""
        return {address: fields for address, fields in self.description.items() if address != self.address}


def drift(by: ByHand, *fields: str, action: str = "update") -> Drift:
    """The short way to write one."""
    return Drift(by=by, fields=frozenset(fields), action=action)


def scrubbed(value: Any, *names: str) -> Any:
    """`value` without the members called `names`, at any depth: times, states, and what AWS counts by itself."""
    if isinstance(value, Mapping):
        return {key: scrubbed(item, *names) for key, item in value.items() if key not in names}
    if isinstance(value, (list, tuple)):
        return [scrubbed(item, *names) for item in value]
    return value


def tags_of(items: list[dict[str, str]]) -> dict[str, str]:
    """boto3's list of tags as a mapping."""
    return {item["Key"]: item["Value"] for item in items}


def sort_tags(facts: dict[str, Any], key: str = "Tags") -> dict[str, Any]:
    """`facts` with its list of tags in a fixed order."""
    if key in facts:
        facts[key] = sorted(facts[key], key=lambda item: str(item["Key"]))
    return facts
