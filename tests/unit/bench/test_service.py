"""The benchmark of the service: who is asked for, what wrk measured, and what becomes of the figures."""

from __future__ import annotations

import json
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bench.ground import BenchError
from tests.bench.service.contenders import cache_reads_in
from tests.bench.service.kernel import Memory, busy_s_in, cores_of, memory_from_proc, stat_from_proc, together_mib
from tests.bench.service.load import Load, load_from_text, percentile, together
from tests.bench.service.mixing import hits_share, mixed
from tests.bench.service.report import Measured, Turn, apart, operation_table, process_table, slope

CALLERS, COLD = range(1000), range(1000, 1300)


# -- who is asked for -------------------------------------------------------------------------------------------------
@given(st.integers())
def test_of_every_twenty_requests_three_ask_for_somebody_new(seed: int) -> None:
    ids = list(mixed(CALLERS, COLD, seed))
    for at in range(0, 2000, 20):
        assert sum(one >= 1000 for one in ids[at : at + 20]) == 3


@given(st.integers())
def test_each_cold_user_is_asked_for_once_and_in_turn_and_the_requests_end_with_them(seed: int) -> None:
    assert [one for one in mixed(CALLERS, COLD, seed) if one >= 1000] == list(COLD)


@given(st.integers())
def test_whoever_does_not_ask_for_somebody_new_asks_for_themselves(seed: int) -> None:
    ids = list(mixed(range(50), range(1000, 1300), seed))
    assert all(one == place % 50 for place, one in enumerate(ids) if one < 1000)


def test_the_same_seed_asks_for_the_same_users() -> None:
    assert list(islice(mixed(CALLERS, COLD, 7), 200)) == list(islice(mixed(CALLERS, COLD, 7), 200))
    assert list(islice(mixed(CALLERS, COLD, 7), 200)) != list(islice(mixed(CALLERS, COLD, 8), 200))


def test_the_share_of_hits_is_of_the_reads_in_between() -> None:
    assert hits_share((8500, 1500), (8500 + 85, 1500 + 15)) == 0.85
    assert hits_share((5, 5), (5, 5)) == 0.0


# -- what wrk measured ------------------------------------------------------------------------------------------------
def printed(**changes: object) -> str:
    errors = {"connect": 0, "read": 0, "write": 0, "status": 0, "timeout": 0}
    found = {"requests": 4, "duration_us": 2_000_000, "errors": errors, "latency_us": [[900, 3], [4000, 1]]} | changes
    return f"Running 2s test @ http://127.0.0.1:1\n  Requests/sec:   2.00\n{json.dumps(found)}\n"


def test_the_figures_are_read_from_behind_wrks_own_text() -> None:
    load = load_from_text(printed())
    assert load == Load(4, 2.0, {}, {900: 3, 4000: 1})
    assert (load.per_second, load.ms(0.5), load.ms(0.99)) == (2.0, 0.9, 4.0)


def test_only_errors_that_happened_are_kept() -> None:
    assert load_from_text(printed(errors={"status": 2, "read": 0})).errors == {"status": 2}


def test_output_without_figures_is_refused() -> None:
    with pytest.raises(ValueError):
        load_from_text("unable to connect to 127.0.0.1:1 Connection refused\n")


def test_a_percentile_is_the_least_value_that_so_many_stay_within() -> None:
    counts = {10: 98, 20: 1, 3000: 1}
    assert [percentile(counts, share) for share in (0.5, 0.98, 0.99, 0.999)] == [10, 10, 20, 3000]
    assert percentile({}, 0.5) == 0


@given(st.lists(st.dictionaries(st.integers(1, 50), st.integers(1, 5), min_size=1), min_size=1))
def test_several_runs_have_the_percentiles_of_all_their_answers(counts: list[dict[int, int]]) -> None:
    whole = together(Load(sum(one.values()), 1.0, {}, one) for one in counts)
    values = sorted(value for one in counts for value, count in one.items() for _ in range(count))
    assert whole.requests == len(values)
    assert percentile(whole.latency_us, 1.0) == values[-1]
    assert percentile(whole.latency_us, 0.5) == values[(len(values) + 1) // 2 - 1]


# -- what the machine and the services say ----------------------------------------------------------------------------
def test_the_service_has_one_core_for_itself() -> None:
    assert (cores_of({0, 1, 3}).service, cores_of({0, 1, 3}).others) == (3, {0, 1})
    with pytest.raises(BenchError, match="two cores"):
        cores_of({0})


def test_hits_and_misses_of_users_are_added_up_whatever_the_order_of_tags() -> None:
    page = """# TYPE cache_gets_total counter
cache_gets_total{cache="users",result="hit"} 17.0
cache_gets_total{result="miss",cache="users"} 3
cache_gets_total{cache="sessions",result="hit"} 20.0
cache_gets_created{cache="users",result="hit"} 1.7e+09
"""
    assert cache_reads_in(page) == (17, 3)


def test_a_process_is_read_from_behind_its_name_which_may_hold_anything() -> None:
    fields = "S 1 40 39 0 -1 0 0 0 0 0 250 50 0 0 20 0 1 0 5 1000 2560"
    stat = stat_from_proc(f"4711 (a) b (c) {fields} 18446744073709551615")
    assert (stat.pid, stat.session, stat.processor_s) == (4711, 39, 3.0)


def test_what_processes_share_counts_once() -> None:
    lines = ["5600-7ffd ---p 0 00:00 0 [rollup]", "Rss: 10240 kB", "Private_Clean: 1024 kB", "Private_Dirty: 2048 kB"]
    memory = memory_from_proc("\n".join(lines))
    assert memory == Memory(3.0, 7.0)
    assert together_mib([memory, Memory(1.0, 5.0)]) == 11.0
    assert together_mib([]) == 0.0


def test_cores_are_busy_with_all_but_idling_and_waiting_for_the_disk() -> None:
    stat = "cpu  9 9 9 9 9 9 9\ncpu0 10 20 30 1000 2000 40 50 7 0 0\ncpu1 1 2 3 4 5 6 7 8 0 0\nintr 5 5\n"
    assert busy_s_in(stat, [0]) == 1.5
    assert busy_s_in(stat, [0, 1]) == 1.69


# -- what becomes of the figures --------------------------------------------------------------------------------------
def turn(per_second: int, latency_us: int = 1000, hits: float | None = None) -> Turn:
    measured = Measured(Load(per_second, 1.0, {}, {latency_us: per_second}), 0.98, 0.5)
    return Turn(0.5, 40.0, 60.0, {"get": measured}, hits)


def test_a_table_has_medians_of_rounds_and_how_many_times_as_fast_ours_is() -> None:
    results = {"ours": [turn(900), turn(1000), turn(1100)], "flask": [turn(100), turn(250, 2500), turn(300)]}
    assert operation_table("get", results).splitlines()[2:] == [
        "| **this service** | 1000 | 900-1100 |  | 1.00 | 1.00 | 98% | 50% |",
        "| Flask, gunicorn | 250 | 100-300 | 4.0 | 1.00 | 1.00 | 98% | 50% |",
    ]


def test_without_ours_there_is_nothing_to_compare_with() -> None:
    assert operation_table("get", {"flask": [turn(100)]}).splitlines()[2:] == [
        "| Flask, gunicorn | 100 | 100-100 |  | 1.00 | 1.00 | 98% | 50% |"
    ]


def test_of_hits_the_fewest_are_told_and_nothing_where_nobody_read() -> None:
    results = {"ours": [turn(1, hits=0.851), turn(1, hits=0.849)], "flask": [turn(1)]}
    assert process_table(results).splitlines()[2:] == [
        "| **this service** | 0.50 | 40 | 60 | 84.9% |",
        "| Flask, gunicorn | 0.50 | 40 | 60 |  |",
    ]


def test_growth_is_the_slope_of_a_line_through_all_points() -> None:
    assert slope([(2.0, 50.0), (4.0, 51.0), (6.0, 52.0)]) == pytest.approx(0.5)
    assert slope([(2.0, 50.0)]) == 0.0


def test_how_far_apart_medians_are_does_not_depend_on_which_comes_first() -> None:
    assert apart([10.0, 11.0, 12.0], [10.0, 10.0, 99.0]) == pytest.approx(0.1)
    assert apart([10.0, 10.0, 99.0], [10.0, 11.0, 12.0]) == pytest.approx(0.1)
