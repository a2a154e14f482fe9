"""Mistakes in a description: each gets one sentence that names the place and, where one is near, the right word."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict

import pytest
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.calls import Calls
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.description import Raw, describe
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.errors import InvalidDescription
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.fields import attr
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.resource import Resource
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.values import UNSET, Reference, Unset


class Route(TypedDict):
    """One route."""

    to: str
    by: NotRequired[str]


@dataclass(frozen=True, kw_only=True)
class Net(Resource):
    """A network."""

    kind = "toy.net"
    outputs = {"arn": "its name"}

    cidr: str = attr("IPv4 block", create_only=True)
    zones: list[str] | Unset = attr("zones", cleared=(), default=UNSET)
    public: bool | Unset = attr("reached from outside", cleared=False, default=UNSET)
    lease_s: int | Unset = attr("how long addresses are lent", cleared=3600, default=UNSET)
    note: str | Unset = attr("what it is for", cleared=None, default=UNSET)
    size: int | Unset = attr("addresses", default=UNSET)
    tags: dict[str, str | None] | Unset = attr("tags", open_set=True, default=UNSET)
    routes: list[Route] | Unset = attr("routes", default=UNSET)
    peer: str | Unset = attr("another one", refers_to="toy.net", default=UNSET)


class Toys:
    name = "toy"

    def kind(self, name: str) -> type[Resource] | None:
        return {"toy.net": Net}.get(name)

    def kinds(self) -> Iterable[str]:
        return ["toy.net"]

    def open(self, location: str, connection: Mapping[str, Any] | None, calls: Calls) -> Any:
        raise AssertionError("a description is checked without any API")


def problems(**described: Any) -> list[str]:
    raws = [Raw(f"toy.net/{name}", fields, "network", "prod", "role network") for name, fields in described.items()]
    with pytest.raises(InvalidDescription) as caught:
        describe(raws, [Toys()])
    return list(caught.value.problems)


def test_an_unknown_field_comes_with_the_nearest_known_name() -> None:
    assert problems(a={"cidr": "x", "zonse": []}) == [
        'toy.net/a (role network): toy.net has no field "zonse". Did you mean "zones"?'
    ]


def test_a_wrong_type_says_what_is_there_and_what_is_wanted() -> None:
    assert problems(a={"cidr": 10}) == ["toy.net/a (role network): cidr is an integer (10); text is wanted."]
    assert problems(a={"cidr": "x", "zones": "us-east-1a"}) == [
        "toy.net/a (role network): zones is text; a list is wanted."
    ]


def test_a_missing_field_is_named_with_its_meaning() -> None:
    assert problems(a={}) == ['toy.net/a (role network): the field "cidr" is missing (IPv4 block).']


def test_a_reference_to_nothing_is_named() -> None:
    assert problems(main={"cidr": "x"}, b={"cidr": "y", "peer": "mian"}) == [
        'toy.net/b (role network) refers to "toy.net/mian", which nothing describes. Did you mean "toy.net/main"?'
    ]


def test_a_reference_to_an_output_that_does_not_exist_is_named() -> None:
    marker = Reference("toy.net/a", "arm").marker()
    assert problems(a={"cidr": "x"}, b={"cidr": marker}) == [
        'toy.net/b (role network): toy.net/a has no output "arm". Did you mean "arn"?'
    ]


def test_where_no_output_is_near_all_of_them_are_named() -> None:
    marker = Reference("toy.net/a", "endpoint").marker()
    assert problems(a={"cidr": "x"}, b={"cidr": marker}) == [
        'toy.net/b (role network): toy.net/a has no output "endpoint". It has id, arn.'
    ]


def test_a_cycle_is_spelled_out() -> None:
    found = problems(a={"cidr": "x", "peer": "b"}, b={"cidr": "y", "peer": "c"}, c={"cidr": "z", "peer": "a"})
    assert found == ["these resources need each other in a circle: toy.net/a -> toy.net/b -> toy.net/c -> toy.net/a."]


def test_every_mistake_is_told_at_once() -> None:
    assert len(problems(a={"cidr": 10, "zonse": []}, b={})) == 3


def test_an_unknown_kind_comes_with_the_nearest_known_one() -> None:
    with pytest.raises(InvalidDescription, match=r'there is no kind "toy.nat". Did you mean "toy.net"\?'):
        describe([Raw("toy.nat/a", {}, "network", "prod")], [Toys()])


def test_what_a_shared_platform_may_provide_is_kept_for_reading() -> None:
    raw = Raw("toy.net/b", {"cidr": "y", "peer": "main"}, "network", "dev")
    description = describe([raw], [Toys()], shared_platform="platform")
    assert description.externals == {"toy.net/main": Net}


def test_null_stands_for_the_cleared_state_that_the_kind_declares() -> None:
    given = {"cidr": "x", "zones": None, "public": None, "lease_s": None, "note": None}
    resource = describe([Raw("toy.net/a", given, "n", "p")], [Toys()]).resources["toy.net/a"]
    assert resource.values() == {"cidr": "x", "zones": (), "public": False, "lease_s": 3600, "note": None}


def test_null_is_refused_where_nothing_can_clear_the_field() -> None:
    assert problems(a={"cidr": "x", "size": None}) == [
        "toy.net/a (role network): size is null, but nothing can clear it: leave it out to keep what is live, or give a"
        " value."
    ]
    assert problems(a={"cidr": "x", "tags": None}) == [
        "toy.net/a (role network): tags is null, but nothing can clear it: leave it out to keep what is live, or give a"
        " value. Set a key to null to remove that one."
    ]


def test_null_for_a_mandatory_field_is_a_wrong_type() -> None:
    assert problems(a={"cidr": None}) == ["toy.net/a (role network): cidr is null (None); text is wanted."]


def test_a_nested_field_is_checked_to_full_depth() -> None:
    assert describe([Raw("toy.net/a", {"cidr": "x", "routes": [{"to": "y"}]}, "n", "p")], [Toys()]).resources
    assert problems(a={"cidr": "x", "routes": [{"bye": "z"}]}) == [
        'toy.net/a (role network): routes[0] has no field "bye". Did you mean "by"?',
        'toy.net/a (role network): routes[0] lacks "to".',
    ]
