"""Each inventory plans where nothing exists, writes nothing, and shares a platform once it is there."""

from __future__ import annotations

import re

import pytest

from sandbox.aws.testing import AwsSandbox

from .conftest import Playbook

pytestmark = pytest.mark.cluster

SUMMARY = re.compile(r"Plan: (\d+) to create, 0 to update, 0 to replace, 0 to delete, 0 unchanged")


@pytest.mark.parametrize(
    ("inventory", "first", "last", "created"),
    [
        ("production", "aws.vpc/main", "kube.Deployment/production/backend", 62),
        ("sandbox", "aws.vpc/main", "kube.Deployment/sandbox/backend", 61),
        ("staging", "kube.Namespace/staging", "kube.Deployment/staging/backend", 36),
        ("development", "kube.Namespace/development", "kube.Deployment/development/backend", 36),
    ],
)
def test_a_plan_is_complete_where_nothing_exists(
    playbook: Playbook, aws: AwsSandbox, inventory: str, first: str, last: str, created: int
) -> None:
    start = aws.mark()
    run = playbook.site(inventory, "--check", "--diff")
    assert run.code == 0, run.text
    summary = SUMMARY.search(run.text)
    assert summary is not None and int(summary[1]) == created, run.text[-2000:]
    assert run.text.index(f"+ {first}") < run.text.index(f"+ {last}")
    assert [call["operation"] for call in aws.calls(start) if call["write"]] == []


def test_development_plans_on_productions_platform_not_there_yet_and_there(playbook: Playbook, aws: AwsSandbox) -> None:
    before = playbook.site("development", "--check", "--diff")
    assert "the shared platform production-platform has no aws.ecr_repository/backend (yet)" in before.text
    assert "image: (known after apply)" in before.text

    # The whole description is checked, also of a part.
    playbook.variables |= {"REDIS_PASSWORD": "production's own", "AUTH_KEYS": "production's own"}
    made = playbook.site("production", "--tags", "network,identity,cluster,registry")
    assert made.code == 0, made.text

    start = aws.mark()
    after = playbook.site("development", "--check", "--diff")
    assert after.code == 0, after.text
    assert "(yet)" not in after.text
    assert "image: 127.0.0.1:5000/production-platform-backend:0.1.0" in after.text
    assert [call["operation"] for call in aws.calls(start) if call["write"]] == []


def test_a_real_run_without_a_password_says_which_and_touches_nothing(playbook: Playbook, aws: AwsSandbox) -> None:
    start = aws.mark()
    run = playbook.site("staging")
    assert run.code != 0
    assert "settings_database_password is not given" in run.text
    assert aws.calls(start) == []
