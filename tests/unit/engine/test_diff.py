"""The pure diff: one line of behaviour per field kind."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.diff import diff
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.fields import Field
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.resource import Live
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.values import UNSET, Unknown


def differing(desired: Any, live: Any, **flags: Any) -> dict[str, tuple[Any, Any]]:
    there = Live(address="sim.x/a", id="1", fields={"f": live})
    return dict(diff({"f": desired}, there, lambda name: Field(doc="", **flags)).fields)


def test_an_absent_resource_takes_every_given_field() -> None:
    found = diff({"cidr": "10.0.0.0/16", "tags": UNSET}, None, lambda name: Field(doc=""))
    assert found.fields == {"cidr": (None, "10.0.0.0/16")}


@pytest.mark.parametrize(
    ("desired", "live", "flags"),
    [
        ("a", "a", {}),
        (UNSET, "a", {}),
        (None, None, {}),
        (None, "", {}),
        ([1, 2], [2, 1], {"unordered": True}),
        (20, 100, {"floor": True}),
        ("15", "15.7", {"version_prefix": True}),
        ("15", "15", {"version_prefix": True}),
        (3, 9, {"initial": True}),
        ({"a": "1"}, {"a": "1", "theirs": "2"}, {"open_set": True}),
        ('{"b":1, "a":2}', '{"a":2,"b":1}', {"normalise": lambda text: sorted(text.replace(" ", ""))}),
    ],
)
def test_nothing_to_change(desired: Any, live: Any, flags: dict[str, Any]) -> None:
    assert differing(desired, live, **flags) == {}


@pytest.mark.parametrize(
    ("desired", "live", "flags"),
    [
        ("a", "b", {}),
        (None, "a", {}),
        (True, False, {}),
        ([1, 2], [2, 1], {}),
        ([1, 1], [1], {"unordered": True}),
        (100, 20, {"floor": True}),
        ("15", "150", {"version_prefix": True}),
        ("16", "15.7", {"version_prefix": True}),
        (Unknown("x"), "a", {}),
        ([Unknown("x")], ["a"], {"unordered": True}),
    ],
)
def test_a_change_shows_both_sides(desired: Any, live: Any, flags: dict[str, Any]) -> None:
    assert differing(desired, live, **flags) == {"f": (live, desired)}


def test_an_initial_field_that_somebody_moved_is_told_and_kept() -> None:
    live = Live(address="sim.x/a", id="1", fields={"size": 9})
    found = diff({"size": 3}, live, lambda name: Field(doc="", initial=True))
    assert (found.fields, found.kept) == ({}, {"size": (9, 3)})


def test_a_create_only_field_says_that_it_forces_a_replacement() -> None:
    live = Live(address="sim.x/a", id="1", fields={"cidr": "10.0.1.0/24", "zone": "a"})
    found = diff({"cidr": "10.0.2.0/24", "zone": "a"}, live, lambda name: Field(doc="", create_only=name == "cidr"))
    assert found.because == ("cidr",)


def rules(desired: list[str], ours: list[str], foreign: tuple[str, ...], exclusive: bool) -> Any:
    live = Live(address="sim.x/a", id="1", fields={"rules": ours, "exclusive": exclusive}, foreign={"rules": foreign})
    meanings = {"rules": Field(doc="", open_set=True, closed_by="exclusive"), "exclusive": Field(doc="")}
    return diff({"rules": desired, "exclusive": exclusive}, live, meanings.__getitem__)


def test_a_foreign_entry_of_an_open_set_is_listed_and_kept() -> None:
    found = rules(["a"], ["a"], ("theirs",), exclusive=False)
    assert (found.fields, found.foreign) == ({}, {"rules": ("theirs",)})


def test_a_foreign_entry_of_a_closed_set_goes() -> None:
    assert rules(["a"], ["a"], ("theirs",), exclusive=True).fields == {"rules": (["a", "theirs"], ["a"])}


def test_an_entry_of_ours_that_is_not_described_any_more_goes_and_the_foreign_one_stays() -> None:
    assert rules(["a"], ["a", "b"], ("theirs",), exclusive=False).fields == {
        "rules": (["a", "b", "theirs"], ["a", "theirs"])
    }


def test_a_described_entry_that_somebody_else_made_is_taken_as_it_is() -> None:
    assert rules(["a", "b"], ["a"], ("b",), exclusive=False).fields == {}


def test_a_tag_is_cleared_by_null_and_others_stay() -> None:
    assert differing({"a": None}, {"a": "1", "theirs": "2"}, open_set=True) == {
        "f": ({"a": "1", "theirs": "2"}, {"theirs": "2"})
    }


def test_an_entry_that_the_service_makes_by_itself_is_not_listed_as_foreign() -> None:
    live = Live(address="sim.x/a", id="1", fields={"out": []}, foreign={"out": ("default", "theirs")})
    meaning = Field(doc="", open_set=True, usual=lambda entry: entry == "default")
    assert diff({}, live, lambda name: meaning).foreign == {"out": ("theirs",)}
    assert diff({"out": []}, live, lambda name: meaning).foreign == {"out": ("theirs",)}
