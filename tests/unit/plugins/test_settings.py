"""What a task says about its stack."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.capstan.fullstack.plugins.module_utils.aws.provider import Location
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.errors import InvalidDescription
from ansible_collections.capstan.fullstack.plugins.module_utils.stack.settings import (
    StackNames,
    narrowed_by_tags,
    platform_of,
)

from .memory import settings

ALL = frozenset({"net", "app", "db"})


def problems(**arguments: Any) -> list[str]:
    with pytest.raises(InvalidDescription) as caught:
        settings(**arguments)
    return list(caught.value.problems)


def test_an_own_platform_is_named_after_the_environment_and_a_shared_one_is_not_ours() -> None:
    assert platform_of("production", "own") == StackNames("production", "production-platform", False)
    assert platform_of("staging", "shared/production-platform") == StackNames("staging", "production-platform", True)


def test_locations_take_what_they_do_not_say_from_the_main_one() -> None:
    found = settings(
        locations={
            "edge": {"region": "eu-west-1"},
            "dns": {"account_id": "210987654321", "role_arn": "arn:aws:iam::210987654321:role/dns"},
        }
    )
    assert found.locations == {
        "main": Location("123456789012", "us-east-1"),
        "edge": Location("123456789012", "eu-west-1"),
        "dns": Location("210987654321", "us-east-1", "arn:aws:iam::210987654321:role/dns"),
    }
    assert found.region == "us-east-1"


def test_every_wrong_argument_is_reported_at_once() -> None:
    assert problems(
        name="Shop",
        platform="shared",
        account_id="12345",
        region="virginia",
        locations={"edge": {"regoin": "eu-west-1"}, "main": {}, "dns": []},
        components=["ap"],
    ) == [
        'name is "Shop"; a stack\'s name has 2 to 40 lower-case letters, digits and hyphens and begins with a letter.',
        'platform is "shared"; it is "own" or "shared/<name of the platform stack>".',
        'components has "ap", which is none of the stack\'s roles. Did you mean "app"?',
        'locations has "main", which account_id and region say already.',
        "locations.dns is not a mapping.",
        "account_id is '12345'; 12 digits in quotes are wanted.",
        "region is 'virginia'; one like \"us-east-1\" is wanted.",
        'locations.edge.regoin is not known. Did you mean "region"?',
        "locations.edge.account_id is '12345'; 12 digits in quotes are wanted.",
        "locations.edge.region is 'virginia'; one like \"us-east-1\" is wanted.",
    ]


def test_a_kubeconfig_replaces_the_way_through_the_cluster() -> None:
    assert settings(cluster="aws.eks_cluster/main").via == "aws.eks_cluster/main"
    assert settings(cluster="aws.eks_cluster/main", kubeconfig="/home/x/config").via == ""


@pytest.mark.parametrize(
    ("asked", "run", "skip", "left"),
    [
        ([], ["all"], [], []),  # everything
        ([], ["net"], [], ["net"]),
        ([], ["all"], ["db"], ["net", "app"]),
        (["net", "app"], ["all"], ["app"], ["net"]),
        (["net"], ["app"], [], None),
        ([], ["unrelated"], [], None),
        ([], ["net", "always"], ["net", "app", "db"], None),
        (["net", "app", "db"], ["all"], [], ["net", "app", "db"]),
    ],
)
def test_tags_name_components_and_only_ever_narrow(
    asked: list[str], run: list[str], skip: list[str], left: list[str] | None
) -> None:
    found = narrowed_by_tags(frozenset(asked), frozenset(run), frozenset(skip), ALL)
    assert found == (None if left is None else frozenset(left))


def test_without_roles_a_task_is_about_the_whole_stack_or_with_any_tag_about_nothing() -> None:
    nothing: frozenset[str] = frozenset()
    assert narrowed_by_tags(nothing, frozenset({"all"}), nothing, nothing) == frozenset()
    assert narrowed_by_tags(nothing, frozenset({"all"}), frozenset({"net"}), nothing) == frozenset()
    assert narrowed_by_tags(nothing, frozenset({"net"}), nothing, nothing) is None
