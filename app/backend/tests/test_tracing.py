"""Traces: the caller's context, which requests are kept, and what a kept one tells."""

from __future__ import annotations

import multiprocessing
import threading
import time
from itertools import pairwise
from multiprocessing.connection import Connection
from time import perf_counter
from typing import Any

import pytest
from backend.observability.otlp import parents
from backend.observability.tracing import (
    MOST_SPANS,
    Kept,
    Parent,
    Tracer,
    current,
    parse_traceparent,
    parse_tracestate,
    record,
)
from hypothesis import given
from hypothesis import strategies as st

from app.backend.tests.collector import Collector, Seen

ADA = {"name": "Ada Lovelace", "email": "ada@example.com"}
TRACE_ID, SPAN_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"

# -- the caller's context


def hex_ids(digits: int) -> st.SearchStrategy[str]:
    return st.integers(1, 16**digits - 1).map(lambda number: f"{number:0{digits}x}")


@given(hex_ids(32), hex_ids(16), st.integers(0, 255))
def test_every_valid_header_of_version_00_is_understood(trace_id: str, span_id: str, flags: int) -> None:
    parent = parse_traceparent(f"00-{trace_id}-{span_id}-{flags:02x}")
    assert parent == Parent(trace_id, span_id, flags % 2 == 1)


@given(st.integers(1, 254), st.text(alphabet=st.characters(codec="latin-1", exclude_characters="\n")))
def test_a_version_from_the_future_may_have_more_fields(version: int, more: str) -> None:
    head = f"{version:02x}-{TRACE_ID}-{SPAN_ID}-01"
    assert parse_traceparent(head) == parse_traceparent(f"{head}-{more}") == Parent(TRACE_ID, SPAN_ID, True)


@given(st.data())
def test_no_header_with_one_wrong_character_is_taken(data: st.DataObject) -> None:
    header = f"00-{TRACE_ID}-{SPAN_ID}-01"
    place = data.draw(st.integers(0, len(header) - 1))
    kept = "0123456789abcdef" if header[place] != "-" else "-"
    wrong = data.draw(st.characters(exclude_characters=kept))
    assert parse_traceparent(header[:place] + wrong + header[place + 1 :]) is None


@pytest.mark.parametrize(
    "header",
    [
        "",
        f"00-{TRACE_ID}-{SPAN_ID}",
        f"00-{TRACE_ID}-{SPAN_ID}-1",
        f"00-{TRACE_ID}-{SPAN_ID}-01-",
        f"00-{TRACE_ID}-{SPAN_ID}-01-more",
        f"00-{TRACE_ID}-{SPAN_ID}-01\n",
        f" 00-{TRACE_ID}-{SPAN_ID}-01",
        f"00-{TRACE_ID}-{SPAN_ID}-01,00-{TRACE_ID}-{SPAN_ID}-01",
        f"01-{TRACE_ID}-{SPAN_ID}-011",
        f"ff-{TRACE_ID}-{SPAN_ID}-01",
        f"00-{'0' * 32}-{SPAN_ID}-01",
        f"00-{TRACE_ID}-{'0' * 16}-01",
        f"00-{TRACE_ID.upper()}-{SPAN_ID}-01",
        f"00-{TRACE_ID[1:]}-{SPAN_ID}-01",
        f"00-{TRACE_ID}-{SPAN_ID}٠-01",
    ],
)
def test_a_header_that_breaks_the_rules_is_no_context(header: str) -> None:
    assert parse_traceparent(header) is None


@given(st.text())
def test_no_text_at_all_upsets_the_parsers(header: str) -> None:
    parse_traceparent(header)
    parse_tracestate(header)


@pytest.mark.parametrize(
    ("header", "handed_on"),
    [
        ("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"),
        (" a=1 ,, \tb=2", "a=1,b=2"),
        ("fw529a3039@dt=FfAAAA,0a@v=1", "fw529a3039@dt=FfAAAA,0a@v=1"),
        ("a=1,a=2", ""),
        ("a=1,B=2", ""),
        ("0a=1", ""),
        ("a=1,b", ""),
        ("a=b=c", ""),
        ("a=", ""),
        ("a=é", ""),
        (",".join(f"k{number}=v" for number in range(32)), ",".join(f"k{number}=v" for number in range(32))),
        (",".join(f"k{number}=v" for number in range(33)), ""),
    ],
)
def test_a_state_is_handed_on_as_a_whole_or_not_at_all(header: str, handed_on: str) -> None:
    assert parse_tracestate(header) == handed_on


# -- ids and sampling


def test_the_share_that_is_kept_is_the_one_wanted_and_depends_on_the_id_alone() -> None:
    tracer = Tracer(0.25, 9.0, None)
    traces = [tracer.begin(None) for _ in range(4000)]
    kept = [trace for trace in traces if trace.sampled]
    assert 800 < len(kept) < 1200  # seven standard deviations
    assert all(trace.sampled == (int(trace.trace_id[-14:], 16) >= 0.75 * 2**56) for trace in traces)
    assert not any(Tracer(0.0, 9.0, None).begin(None).sampled for _ in range(1000))
    assert all(Tracer(1.0, 9.0, None).begin(None).sampled for _ in range(1000))


def test_threads_never_give_an_id_twice() -> None:
    tracer, found = Tracer(1.0, 9.0, None), []

    def begin() -> None:
        found.extend([(trace.trace_id, trace.span_id) for trace in (tracer.begin(None) for _ in range(5000))])

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({trace_id for trace_id, _ in found}) == len({span_id for _, span_id in found}) == 40_000


def _tell_an_id(answer: Connection) -> None:
    answer.send(Tracer(1.0, 9.0, None).begin(None).trace_id)


def test_processes_forked_from_one_another_give_different_ids() -> None:
    context, found = multiprocessing.get_context("fork"), []
    for _ in range(3):
        answer, question = context.Pipe(duplex=False)
        child = context.Process(target=_tell_an_id, args=(question,))
        child.start()
        found.append(answer.recv())
        child.join()
    assert len({*found, Tracer(1.0, 9.0, None).begin(None).trace_id}) == 4


def kept_by(tracer_share: float, traceparent: str | None, path: str, status: int, took_s: float) -> bool:
    kept: list[Kept] = []
    tracer = Tracer(tracer_share, 0.5, kept.append)
    tracer.end(tracer.begin(traceparent), "GET", "/api/users", path, status, time.perf_counter(), took_s)
    return bool(kept)


@pytest.mark.parametrize(
    ("share", "flags", "path", "status", "took_s", "kept"),
    [
        (1.0, None, "/api/users", 200, 0.01, True),
        (0.0, None, "/api/users", 200, 0.01, False),
        (0.0, None, "/api/users", 404, 0.01, False),
        (0.0, None, "/api/users", 500, 0.01, True),
        (0.0, None, "/api/users", 200, 0.5, False),
        (0.0, None, "/api/users", 200, 0.51, True),
        (0.0, "01", "/api/users", 200, 0.01, True),
        (1.0, "00", "/api/users", 200, 0.01, False),
        (1.0, "00", "/api/users", 503, 0.01, True),
        (1.0, None, "/actuator/health", 200, 0.01, False),
        (1.0, None, "/actuator/health", 503, 0.01, True),
        (0.0, "01", "/actuator/health", 200, 0.01, True),
    ],
)
def test_callers_decide_then_chance_and_what_failed_or_was_slow_is_kept_anyway(
    share: float, flags: str | None, path: str, status: int, took_s: float, kept: bool
) -> None:
    header = f"00-{TRACE_ID}-{SPAN_ID}-{flags}" if flags else None
    assert kept_by(share, header, path, status, took_s) is kept


# -- spans


@given(st.lists(st.integers(0, 6), max_size=40))
def test_spans_are_nested_as_the_blocks_were(depths: list[int]) -> None:
    # Opens and closes blocks to the depth that each number says; their places are known only when they end.
    trace = Tracer(1.0, 9.0, lambda kept: None).begin(None)
    token = current.set(trace)
    opened: list[tuple[str, float]] = []
    around: dict[str, str | None] = {}
    for depth in [*depths, 0]:
        while len(opened) > depth:
            record(*opened.pop())
        while len(opened) < depth:
            name = str(len(around))
            around[name] = opened[-1][0] if opened else None
            opened.append((name, perf_counter()))
    current.reset(token)
    found = parents(trace.spans)
    outer = [None if place is None else trace.spans[place].name for place in found]
    assert outer == [around[span.name] for span in trace.spans]


def test_a_request_that_does_very_much_is_recorded_up_to_a_bound() -> None:
    trace = Tracer(1.0, 9.0, lambda kept: None).begin(None)
    token = current.set(trace)
    for _ in range(MOST_SPANS + 10):
        record("block", 0.0)
    current.reset(token)
    assert len(trace.spans) == MOST_SPANS


class Traced:
    """A service of which every request is traced."""

    def __init__(self, start: Any, collector: Collector, **changes: str) -> None:
        self.running = start(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, **{"TRACE_SAMPLING": "1"} | changes)
        self.api = self.running.api
        self._collector = collector

    def spans(self, of: str = "") -> list[Seen]:
        """The spans of the last request (or of the last whose own span is called `of`), its own first."""
        self.running.backend.exporter.close()
        seen = self._collector.spans()
        own = [span for span in seen if span.kind == "server" and span.name != "GET /api/openapi.json"]
        last = [span for span in own if of in ("", span.name)][-1]
        return [last, *(span for span in seen if span.trace_id == last.trace_id and span is not last)]


@pytest.fixture
def service(start: Any, collector: Collector) -> Traced:
    """A service of which every request is traced."""
    return Traced(start, collector)


def test_a_read_past_the_cache_is_told_with_everything_that_it_did(service: Traced, database: Any) -> None:
    service.api("POST", "/api/users", ADA)
    service.api("GET", "/api/users/1?token=hush")
    own, *inner = service.spans("GET /api/users/{user_id}")
    assert (own.kind, own.parent_id, own.failed) == ("server", "", False)
    assert own.tags == {
        "http.method": "GET",
        "http.request.method": "GET",
        "http.url": "/api/users/1",
        "url.path": "/api/users/1",
        "http.route": "/api/users/{user_id}",
        "http.status_code": 200,
        "http.response.status_code": 200,
        "user.id": "1",
        "span.kind": "server",
    }
    named = {span.name: span for span in inner}
    assert set(named) == {"UserService.get", "cache get", "users_get", "cache put"}
    work, check, query = named["UserService.get"], named["cache get"], named["users_get"]
    assert (work.kind, work.parent_id, work.tags) == ("internal", own.span_id, {"span.kind": "internal"})
    assert check.parent_id == own.span_id, "it is asked for together with what lets the request in"
    assert (query.parent_id, named["cache put"].parent_id) == (work.span_id,) * 2
    assert check.tags == {
        "db.system": "redis",
        "peer.service": "redis",
        "cache.key": "user:{id}",
        "cache.hit": False,
        "span.kind": "client",
    }
    time_ = """to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
    times = f"{time_.format('created_at')}, {time_.format('updated_at')}"
    sql = f"SELECT version, name, email, status, {times} FROM users WHERE id = $1"
    assert query.tags == {
        "db.system": "postgresql",
        "db.system.name": "postgresql",
        "db.statement": sql,
        "db.query.text": sql,
        "db.instance": database.name,
        "db.namespace": database.name,
        "peer.service": "postgresql",
        "span.kind": "client",
    }
    assert abs(own.began_ns - time.time_ns()) < 60e9
    for around, within in ((own, work), (own, check), (work, query)):
        assert around.began_ns <= within.began_ns <= within.ended_ns <= around.ended_ns
    in_order = [check, query, named["cache put"]]
    assert all(first.ended_ns <= second.began_ns for first, second in pairwise(in_order))


def test_a_read_from_the_cache_is_a_hit_and_asks_no_database(service: Traced) -> None:
    service.api("POST", "/api/users", ADA)
    service.api("GET", "/api/users/1")
    service.api("GET", "/api/users/1")
    _, *inner = service.spans()
    assert {span.name: span.tags.get("cache.hit") for span in inner} == {"UserService.get": None, "cache get": True}


def test_a_trace_goes_on_where_the_caller_left_it(service: Traced) -> None:
    service.api("GET", "/api/users", traceparent=f"00-{TRACE_ID}-{SPAN_ID}-01", tracestate="congo=t61rcWkgMzE")
    own, *inner = service.spans()
    assert (own.trace_id, own.parent_id, own.trace_state) == (TRACE_ID, SPAN_ID, "congo=t61rcWkgMzE")
    assert own.span_id != SPAN_ID and own.flags == 0x301  # sampled; the parent is known to be elsewhere
    assert inner and {span.trace_state for span in inner} == {"congo=t61rcWkgMzE"}


def test_a_trace_of_its_own_begins_where_the_callers_context_is_not_valid(service: Traced) -> None:
    service.api("GET", "/api/users", traceparent=f"00-{'0' * 32}-{SPAN_ID}-01", tracestate="congo=t61rcWkgMzE")
    own, *_ = service.spans()
    assert (own.parent_id, own.trace_state, own.flags) == ("", "", 0x101)


def test_the_correlation_id_is_the_traces_unless_the_client_has_one(service: Traced) -> None:
    context = f"00-{TRACE_ID}-{SPAN_ID}-01"
    assert service.api("GET", "/api/users", traceparent=context).headers["X-Correlation-Id"] == TRACE_ID
    own_id = service.api("GET", "/api/users", traceparent=context, X_Correlation_Id="mine").headers["X-Correlation-Id"]
    assert own_id == "mine"
    made = service.api("GET", "/api/users").headers["X-Correlation-Id"]
    assert service.spans()[0].trace_id == made


def test_a_failure_is_kept_though_nobody_asked_and_told_where_it_happened(
    start: Any, collector: Collector, sql: Any
) -> None:
    service = Traced(start, collector, TRACE_SAMPLING="0")
    service.api("GET", "/api/users")
    sql("ALTER TABLE users DROP COLUMN version")
    service.api("GET", "/api/users/7")
    own, *inner = service.spans()
    assert {span.trace_id for span in collector.spans()} == {own.trace_id}
    assert (own.failed, own.tags["error"], own.tags["error.type"], own.flags) == (True, True, "500", 0x100)
    failed = {span.name: (span.tags["error"], span.tags["error.type"]) for span in inner if span.failed}
    assert failed == {"UserService.get": (True, "UndefinedColumn"), "users_get": (True, "UndefinedColumn")}


def test_a_slow_request_is_kept_though_nobody_asked(start: Any, collector: Collector) -> None:
    service = Traced(start, collector, TRACE_SAMPLING="0", TRACE_SLOW="0")
    service.api("GET", "/api/users")
    assert service.spans()[0].name == "GET /api/users"


def test_an_answer_that_is_no_is_no_failure(service: Traced) -> None:
    service.api("GET", "/api/users/7")
    own, *inner = service.spans()
    assert own.tags["http.status_code"] == 404 and own.tags["user.id"] == "7"
    assert not any(span.failed or "error" in span.tags for span in (own, *inner))


def test_names_never_hold_what_a_client_made_up(service: Traced) -> None:
    service.api("GET", "/api/nothing/ada@example.com")
    service.api("BREW", "/api/users")
    unknown, *_ = service.spans("GET")
    assert "http.route" not in unknown.tags and unknown.tags["http.url"] == "/api/nothing/a***@example.com"
    brewed, *_ = service.spans("HTTP")
    assert brewed.tags["http.method"] == "_OTHER"


def test_what_people_typed_is_in_no_trace(service: Traced, collector: Collector) -> None:
    service.api("POST", "/api/users", ADA)
    service.api("POST", "/api/users", ADA)
    service.api("PUT", "/api/users/1", {"name": "Ada King", "email": "ada@king.org"})
    own, *_ = service.spans("PUT /api/users/{user_id}")
    sent = str(collector.spans())
    assert own.tags["user.id"] == "1" and "UniqueViolation" in sent
    assert not [typed for typed in ("Lovelace", "King", "ada@", "example.com") if typed in sent]


def test_without_a_collector_requests_have_ids_and_nothing_is_sent(start: Any) -> None:
    running = start(TRACE_SAMPLING="1")
    assert running.backend.exporter is None
    assert len(running.api("GET", "/api/users").headers["X-Correlation-Id"]) == 32
