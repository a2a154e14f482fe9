"""One AWS sandbox with a registry for all tests of this folder; each test, or each kind's sample, has its account."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.aws.testing import AwsSandbox

from .harness import World


@pytest.fixture(scope="session")
def sandbox(registry: str) -> Iterator[AwsSandbox]:
    with AwsSandbox(registry=registry) as aws:
        aws.durations(read__lag=0)
        yield aws


@pytest.fixture
def world(sandbox: AwsSandbox) -> Iterator[World]:
    """A stack in an empty account."""
    made = World(sandbox.account())
    yield made
    made.runtime.close()
    sandbox.clear_faults()
    sandbox.allow_all()
