"""What is no longer described: shown, kept without prune, gone with it; never anything outside of what a run saw."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import FirstRuns
from .world import World

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

# Taken out of the description: a record, and the page's autoscaler.
LESS: dict[str, Any] = {"dns_records": [], "frontend_replicas_max": 2}


def gone(world: World) -> dict[str, str]:
    autoscaler = f"kube.HorizontalPodAutoscaler/{world.stack}/frontend"
    return {"aws.record/www-a": "delete", autoscaler: "delete"}


def test_what_is_not_described_any_more_is_shown_stays_without_prune_and_goes_with_it(
    world: World, first: FirstRuns
) -> None:
    shown = world.check(**LESS)
    assert (shown.code, shown.changes) == (0, gone(world))
    assert "-? aws.record/www-a  it is no longer described; prune: true deletes it" in shown.out
    kept = world.play(**LESS)
    assert (kept.code, kept.writes) == (0, []), kept.out
    assert world.addresses() == first.there

    pruned = world.play(stack_prune=True, **LESS)
    assert (pruned.code, pruned.changes) == (0, gone(world)), pruned.out
    assert world.addresses() == first.there - gone(world).keys()
    assert sorted(pruned.lasting) == [
        "ChangeResourceRecordSets",
        f"DELETE /apis/autoscaling/v2/namespaces/{world.stack}/horizontalpodautoscalers/frontend",
    ]
    back = world.play()
    assert (back.code, back.changes) == (0, dict.fromkeys(gone(world), "create")), back.out
    assert world.addresses() == first.there


@pytest.mark.parametrize(
    ("options", "variables"),
    [
        (["--tags", "network"], {}),
        (["--skip-tags", "dns,frontend"], {}),
        (["--start-at-task", "Converge the stack", "--tags", "redis"], {}),
        ([], {"stack_components": ["backend"]}),
        ([], {"stack_targets": ["aws.vpc/main"]}),
    ],
    ids=["tags", "skip-tags", "start-at-task", "components", "targets"],
)
def test_a_narrowed_run_prunes_nothing_outside(
    world: World, first: FirstRuns, options: list[str], variables: dict[str, Any]
) -> None:
    ran = world.play(*options, stack_prune=True, **LESS, **variables)
    assert (ran.code, ran.writes, ran.changes) == (0, [], {}), ran.out
    assert world.addresses() == first.there


def test_a_template_that_fails_prunes_nothing_even_for_the_others(world: World, first: FirstRuns) -> None:
    variables = {**LESS, "backend_environment": {"BROKEN": "{{ no_such_variable }}"}}
    ran = world.play(stack_prune=True, **variables)
    assert (ran.code, ran.writes) == (2, []), ran.out
    assert "no_such_variable" in ran.out
    assert world.addresses() == first.there


def test_what_is_protected_refuses_by_name_before_any_write(world: World, first: FirstRuns) -> None:
    without: dict[str, Any] = {
        "stack_roles": [
            *({"role": name, "scope": "platform"} for name in ("network", "identity", "cluster", "registry")),
            *({"role": name, "enabled": False} for name in ("database", "postgres")),
            *({"role": name} for name in ("dns", "namespace", "settings", "redis", "backend", "frontend")),
        ],
        "settings_database_instance": "",
        "settings_database_host": "elsewhere.example.com",
        "settings_database_password": "not-used",
    }
    shown = world.check(stack_prune=True, **without)
    assert shown.code == 2
    assert shown.changes["aws.db_instance/main"] == "delete"
    refused = world.play(stack_prune=True, **without)
    assert (refused.code, refused.writes) == (2, []), refused.out
    assert "aws.db_instance/main is protected and would be deleted" in refused.out
    assert "Nothing was written" in refused.out
    assert world.addresses() == first.there
