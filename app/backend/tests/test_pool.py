"""The connection pool against a real server, with a clock that tests turn."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import psycopg2
import pytest
from backend.errors import DatabaseBusy, DatabaseUnavailable
from backend.repository.pool import Pool, connect
from backend.repository.statements import Statement, run


class Clock:
    """Seconds that pass only when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pool(empty_database: Any, clock: Clock) -> Iterator[Pool]:
    settings = dataclasses.replace(empty_database, pool_size=3, pool_min_idle=1, idle_timeout_s=600)
    pool = Pool(settings, clock=clock)
    yield pool
    pool.close()


def backend_pid(pooled: Any) -> int:
    return int(pooled.connection.info.backend_pid)


def lend_once(pool: Pool) -> int:
    with pool.lend() as pooled:
        return backend_pid(pooled)


def lend_together(pool: Pool, count: int) -> list[int]:
    with ExitStack() as stack:
        return [backend_pid(stack.enter_context(pool.lend())) for _ in range(count)]


def test_a_connection_is_lent_again_and_not_opened_anew(pool: Pool) -> None:
    assert lend_once(pool) == lend_once(pool)
    assert dataclasses.astuple(pool.stats()) == (0, 1, 0, 0)


def test_no_more_than_its_size_are_open_and_the_next_waits_in_vain(pool: Pool) -> None:
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(pool.lend())
        assert pool.stats().active == 3
        with pytest.raises(DatabaseUnavailable, match="no connection came free within 0 s"):
            stack.enter_context(pool.lend(timeout_s=0))
    assert dataclasses.astuple(pool.stats()) == (0, 3, 0, 0)


def test_who_waits_gets_the_connection_that_is_given_back(empty_database: Any, until: Any) -> None:
    pool = Pool(dataclasses.replace(empty_database, pool_size=1))
    got: list[int] = []
    with pool.lend() as pooled:
        held = backend_pid(pooled)
        waiter = threading.Thread(target=lambda: got.append(lend_once(pool)))
        waiter.start()
        until(lambda: pool.stats().waiting == 1)
    waiter.join(10)
    assert got == [held]
    pool.close()


def test_idle_connections_go_after_their_time_but_the_minimum_stays(pool: Pool, clock: Clock) -> None:
    lend_together(pool, 3)
    clock.now += 599
    pool.tidy()
    assert pool.stats().idle == 3
    clock.now += 2
    pool.tidy()
    assert pool.stats().idle == 1


def test_a_connection_ends_at_its_age_even_when_it_is_in_use_all_the_time(pool: Pool, clock: Clock) -> None:
    first = lend_once(pool)
    for _ in range(18):
        clock.now += 94
        assert lend_once(pool) == first
    clock.now += 200
    assert lend_once(pool) != first


def test_the_minimum_of_idle_connections_is_opened_before_anyone_asks(empty_database: Any, until: Any) -> None:
    pool = Pool(dataclasses.replace(empty_database, pool_min_idle=2))
    pool.start()
    until(lambda: pool.stats().idle == 2)
    pool.close()


def test_a_connection_that_died_while_idle_is_replaced_without_an_error(pool: Pool, clock: Clock, sql: Any) -> None:
    died = lend_once(pool)
    sql("SELECT pg_terminate_backend(%s)", died)
    clock.now += 1
    assert lend_once(pool) != died
    assert pool.stats().active == 0


def test_a_connection_that_dies_in_use_is_an_outage_and_is_not_lent_again(pool: Pool, sql: Any) -> None:
    with pytest.raises(DatabaseUnavailable), pool.lend() as pooled:
        died = backend_pid(pooled)
        sql("SELECT pg_terminate_backend(%s)", died)
        run(pooled, Statement("one", (), "SELECT 1"))
    assert dataclasses.astuple(pool.stats()) == (0, 0, 0, 0)
    assert lend_once(pool) != died


def test_when_one_connection_breaks_the_others_are_tried_before_they_are_lent(pool: Pool, sql: Any) -> None:
    pids = lend_together(pool, 2)
    for pid in pids:
        sql("SELECT pg_terminate_backend(%s)", pid)
    with pytest.raises(DatabaseUnavailable), pool.lend() as pooled:
        run(pooled, Statement("one", (), "SELECT 1"))
    assert lend_once(pool) not in pids


def test_an_unreachable_server_is_told_at_once_and_leaves_no_count_behind(empty_database: Any) -> None:
    pool = Pool(dataclasses.replace(empty_database, port=1, connection_timeout_s=30))
    started = time.monotonic()
    with pytest.raises(DatabaseUnavailable, match="refused"):
        lend_once(pool)
    assert time.monotonic() - started < 10
    assert dataclasses.astuple(pool.stats()) == (0, 0, 0, 0)


def test_a_statement_is_prepared_once_a_connection(pool: Pool) -> None:
    double = Statement("double", ("integer",), "SELECT $1 * 2")
    with pool.lend() as pooled:
        assert [run(pooled, double, (n,)) for n in (1, 2)] == [[(2,)], [(4,)]]
        count = Statement("count_prepared", (), "SELECT count(*) FROM pg_prepared_statements WHERE name = 'double'")
        assert run(pooled, count) == [(1,)]


def test_a_statement_ends_at_its_time_limit(empty_database: Any) -> None:
    pool = Pool(dataclasses.replace(empty_database, statement_timeout_s=0.1))
    with pytest.raises(DatabaseBusy, match="statement timeout"), pool.lend() as pooled:
        run(pooled, Statement("sleeper", (), "SELECT pg_sleep(20)"))
    assert pool.stats().idle == 1
    pool.close()


def test_a_session_that_idles_in_a_transaction_is_ended_by_the_server_after_a_minute(pool: Pool) -> None:
    with pool.lend() as pooled:
        limit = Statement("shown", (), "SELECT current_setting('idle_in_transaction_session_timeout')")
        assert run(pooled, limit) == [("1min",)]


def test_a_server_that_turns_read_only_is_an_outage_and_its_connection_is_not_lent_again(pool: Pool) -> None:
    with pytest.raises(DatabaseUnavailable, match="read-only"), pool.lend() as pooled:
        demoted = backend_pid(pooled)
        pooled.connection.cursor().execute("SET default_transaction_read_only = on")
        pooled.connection.cursor().execute("CREATE TABLE never_made ()")
    assert lend_once(pool) != demoted


def test_a_transaction_left_open_is_rolled_back(pool: Pool) -> None:
    with pool.lend() as pooled, pooled.connection.cursor() as cursor:
        cursor.execute("BEGIN; CREATE TABLE left_over ()")
    with pool.lend() as pooled:
        assert run(pooled, Statement("there", (), "SELECT to_regclass('left_over')::text")) == [(None,)]


def test_errors_of_a_statement_pass_through(pool: Pool) -> None:
    with pytest.raises(psycopg2.errors.DivisionByZero), pool.lend() as pooled:
        run(pooled, Statement("zero", (), "SELECT 1/0"))
    assert pool.stats().idle == 1


def test_a_closed_pool_lends_nothing_and_leaves_nothing_open(pool: Pool, sql: Any, until: Any) -> None:
    with pool.lend() as pooled:
        pid = backend_pid(pooled)
        pool.close()
    until(lambda: sql("SELECT count(*) FROM pg_stat_activity WHERE pid = %s", pid) == [(0,)])
    with pytest.raises(DatabaseUnavailable, match="closed"):
        lend_once(pool)


def test_many_threads_share_the_pool_within_its_bound(empty_database: Any) -> None:
    pool = Pool(dataclasses.replace(empty_database, pool_size=4, pool_min_idle=0))
    answers: list[int] = []
    most: list[int] = []

    def work() -> None:
        for number in range(25):
            with pool.lend() as pooled:
                most.append(pool.stats().active)
                answers.append(run(pooled, Statement("same", ("integer",), "SELECT $1"), (number,))[0][0])

    threads = [threading.Thread(target=work) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(answers) == sorted(list(range(25)) * 12)
    assert max(most) <= 4
    assert pool.stats().idle <= 4
    pool.close()


def test_a_connection_that_comes_back_just_as_another_begins_to_wait_is_not_missed(empty_database: Any) -> None:
    asked: list[float] = []

    def clock() -> float:
        if threading.current_thread() is waiter:
            asked.append(time.monotonic())
            if len(asked) == 2:  # it has found none, and looks how long it may wait
                giver.start()
                giver.join(0.3)  # until it is done, or waits for the other to wait
        return time.monotonic()

    pool = Pool(dataclasses.replace(empty_database, pool_size=1, pool_min_idle=0, connection_timeout_s=60), clock=clock)
    got: list[int] = []
    waiter = threading.Thread(target=lambda: got.append(lend_once(pool)), daemon=True)
    with ExitStack() as lent:
        pid = backend_pid(lent.enter_context(pool.lend()))
        giver = threading.Thread(target=lent.pop_all().close)
        waiter.start()
        waiter.join(20)
    assert got == [pid]
    assert (pool.stats().idle, pool.stats().waiting) == (1, 0)
    pool.close()


def leaks(caplog: Any) -> list[tuple[str, dict[str, Any]]]:
    return [(record.message, record.fields) for record in caplog.records if record.name == "backend.repository.pool"]


def test_a_connection_lent_for_too_long_is_told_once_with_its_holders_place_and_again_when_it_is_back(
    pool: Pool, clock: Clock, caplog: Any
) -> None:
    lent, go_on = threading.Event(), threading.Event()

    def forgetful() -> None:
        with pool.lend():
            lent.set()
            go_on.wait(20)

    holder = threading.Thread(target=forgetful, name="forgetful-thread")
    holder.start()
    assert lent.wait(20)
    clock.now += 29.5
    pool.report_leaks()
    assert leaks(caplog) == []
    clock.now += 0.75
    pool.report_leaks()
    pool.report_leaks()
    ((message, told),) = leaks(caplog)
    assert message == "pool: a connection is lent for long"
    assert (told["held_s"], told["thread"]) == (30.25, "forgetful-thread")
    assert "in forgetful" in told["stack"] and "go_on.wait(20)" in told["stack"]
    clock.now += 9.75
    go_on.set()
    holder.join(20)
    assert leaks(caplog)[1:] == [("pool: a connection came back after all", {"held_s": 40.0})]


def test_a_connection_that_comes_back_in_time_is_no_leak(pool: Pool, clock: Clock, caplog: Any) -> None:
    lend_once(pool)
    clock.now += 100
    with pool.lend():
        pool.report_leaks()
    assert leaks(caplog) == []


def test_the_holder_of_a_leaked_connection_may_have_ended(pool: Pool, clock: Clock, caplog: Any) -> None:
    kept = ExitStack()
    thread = threading.Thread(target=lambda: kept.enter_context(pool.lend()))
    thread.start()
    thread.join(20)
    clock.now += 30
    pool.report_leaks()
    assert leaks(caplog)[0][1]["stack"] == "the thread has ended"
    kept.close()


def test_leaks_are_not_looked_for_at_a_threshold_of_zero(empty_database: Any, clock: Clock, caplog: Any) -> None:
    pool = Pool(dataclasses.replace(empty_database, leak_threshold_s=0), clock=clock)
    with pool.lend():
        clock.now += 86_400
        pool.report_leaks()
    assert leaks(caplog) == []
    pool.close()


def test_a_running_service_finds_leaks_by_itself_and_counts_them(start: Any, until: Any) -> None:
    running = start(DATABASE_LEAK_THRESHOLD="0.2")

    def counted() -> bool:
        return b"jdbc_connections_leaked_total 1\n" in running.management("GET", "/actuator/prometheus").content

    assert not counted()
    with running.backend.pool.lend():
        until(counted)


def test_the_password_is_not_in_the_representation_of_the_settings(empty_database: Any) -> None:
    assert "s3cret-pa55" not in repr(empty_database)
    connect(empty_database).close()
