"""How fresh a replica is, and which one is read from: decisions without a server."""

from __future__ import annotations

from typing import Any

import pytest
from backend.repository.pool import Pool
from backend.repository.replicas import NEVER, REMEMBERED_WRITES, Mark, Replica, Replicas, end_of_log, freshness

from app.backend.tests.parts import Clock
from app.backend.tests.servers import Postgres

PAGE = 8192


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.mark.parametrize(
    ("inserted", "flushed", "end"),
    [
        (5000, 5000, 5000),
        (5000, 4960, 5000),
        (3 * PAGE, 3 * PAGE, 3 * PAGE),
        (3 * PAGE + 24, 3 * PAGE, 3 * PAGE),
        (3 * PAGE + 40, 3 * PAGE, 3 * PAGE),
        (3 * PAGE + 48, 3 * PAGE, 3 * PAGE + 48),
        (3 * PAGE, 3 * PAGE + 24, 3 * PAGE),
    ],
)
def test_the_log_ends_at_its_last_record_and_not_behind_the_header_of_an_empty_page(
    inserted: int, flushed: int, end: int
) -> None:
    assert end_of_log(inserted, flushed) == end


def test_a_replica_is_as_fresh_as_the_latest_mark_that_it_has_replayed() -> None:
    marks = [Mark(10.0, 500), Mark(10.25, 500), Mark(10.5, 700)]
    assert [freshness(marks, replayed) for replayed in (499, 500, 699, 700, 900)] == [NEVER, 10.25, 10.25, 10.5, 10.5]


def test_a_writer_goes_to_the_primary_until_the_replica_is_fresher_than_the_write(clock: Clock) -> None:
    replica = Replica(_nowhere(), _nowhere(), Pool(_nowhere()), clock=clock)
    replicas = Replicas([replica], clock=clock)
    assert replicas.for_user(1) is None
    replica.fresh_as_of = clock.now
    assert (replicas.for_user(1), replicas.for_any()) == (replica, replica)
    clock.now += 0.5
    replicas.wrote(1)
    assert (replicas.for_user(1), replicas.for_user(2), replicas.for_any()) == (None, replica, None)
    clock.now += 0.25
    replica.fresh_as_of = clock.now
    assert (replicas.for_user(1), replicas.for_any()) == (replica, replica)


def test_a_replica_that_is_more_than_a_second_old_is_not_read_from(clock: Clock) -> None:
    replica = Replica(_nowhere(), _nowhere(), Pool(_nowhere()), clock=clock)
    replica.fresh_as_of = clock.now
    clock.now += 1.0
    assert Replicas([replica], clock=clock).for_user(1) is replica
    clock.now += 0.01
    assert Replicas([replica], clock=clock).for_user(1) is None


def test_replicas_take_turns_and_old_ones_are_passed_over(clock: Clock) -> None:
    three = [Replica(_nowhere(), _nowhere(), Pool(_nowhere()), clock=clock) for _ in range(3)]
    replicas = Replicas(three, clock=clock)
    three[0].fresh_as_of = three[2].fresh_as_of = clock.now
    chosen = [replicas.for_any() for _ in range(30)]
    assert {id(one) for one in chosen} == {id(three[0]), id(three[2])}


def test_more_writes_than_are_remembered_are_not_read_too_early(clock: Clock) -> None:
    replica = Replica(_nowhere(), _nowhere(), Pool(_nowhere()), clock=clock)
    replicas = Replicas([replica], clock=clock)
    clock.now += 0.5
    replica.fresh_as_of = clock.now
    for user_id in range(3 * REMEMBERED_WRITES):
        clock.now += 1e-6
        replicas.wrote(user_id)
    assert len(replicas._lately) + len(replicas._before) <= 2 * REMEMBERED_WRITES
    assert [replicas.for_user(user_id) for user_id in (0, REMEMBERED_WRITES, 3 * REMEMBERED_WRITES - 1)] == [None] * 3


def _nowhere() -> Any:
    return Postgres.database(_Closed(), "none")  # type: ignore[arg-type]


class _Closed:
    port = 1


# -- how fresh a real replica is
