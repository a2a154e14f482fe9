"""One converged environment for the whole suite: each test leaves it converged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from .frozen import Holder, holder
from .world import Ran, World, fresh


@dataclass(frozen=True)
class FirstRuns:
    """Of the environment: the check where nothing exists, the apply after it, and what was there then."""

    check: Ran
    apply: Ran
    there: set[str]


@pytest.fixture(scope="session")
def _converged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, FirstRuns]]:
    folder = tmp_path_factory.mktemp("world")
    with World(fresh(folder), folder) as world:
        # An older minor version of the database, which AWS upgrades later; the description says 15.
        check = world.check("--diff", database_engine_version="15.13")
        apply = world.play(database_engine_version="15.13")
        assert apply.code == 0, apply.out
        yield world, FirstRuns(check, apply, world.addresses())


@pytest.fixture(scope="session")
def first(_converged: tuple[World, FirstRuns]) -> FirstRuns:
    return _converged[1]


@pytest.fixture
def world(_converged: tuple[World, FirstRuns]) -> Iterator[World]:
    yield _converged[0]
    _converged[0].aws.clear_faults()
    _converged[0].aws.allow_all()
    _converged[0].gate.faults.remove()


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """An account with nothing in it; tests reset it for each other."""
    folder = tmp_path_factory.mktemp("empty")
    with World(fresh(folder), folder) as world:
        yield world


@pytest.fixture(scope="session", autouse=True)
def frozen(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Holder | None]:
    """A frozen holder of a stack of its own; None when no test is about it. Frozen before the first test: a lease takes
    minutes to run out, which the other tests use."""
    if not any("frozen" in item.name for item in request.session.items):
        yield None
        return
    folder = tmp_path_factory.mktemp("frozen")
    with World(fresh(folder), folder) as world, holder(world) as one:
        one.freeze()
        yield one
