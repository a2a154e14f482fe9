"""How traces reach the collector: batches, retries, a bounded queue, and a service that never waits for any of it."""

from __future__ import annotations

import json
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import pytest
from backend.observability.otlp import Exporter, Failure, parse_refused, parse_retry_after, pause_s
from backend.observability.tracing import Tracer, current, record

from app.backend.tests.collector import Collector, collect
from app.backend.tests.servers import free_port

ADA = {"name": "Ada Lovelace", "email": "ada@example.com"}


class Counted:
    """An exporter and what it told of its spans."""

    def __init__(self, url: str) -> None:
        self.exported = self.dropped = 0
        self._started = False
        self.exporter = Exporter(urlsplit(url + "/v1/traces"), {}, {"service.name": "t"}, self._took, self._lost)
        self._tracer = Tracer(1.0, 9.0, self.exporter.keep)

    def _took(self, spans: int) -> None:
        self.exported += spans

    def _lost(self, spans: int) -> None:
        self.dropped += spans

    def start(self) -> None:
        """Sends from now on."""
        self.exporter.start()
        self._started = True

    def close(self) -> None:
        """Sends what is left."""
        if self._started:
            self.exporter.close()

    def requests(self, number: int, spans: int = 0) -> None:
        """Traces of so many requests, each with so many spans within."""
        for _ in range(number):
            trace = self._tracer.begin(None)
            token = current.set(trace)
            for _ in range(spans):
                record("block", 0.0)
            current.reset(token)
            self._tracer.end(trace, "GET", "/api/users", "/api/users", 200, 0.0, 0.01)


@pytest.fixture
def to() -> Iterator[Callable[[str], Counted]]:
    """Makes exporters, and closes them."""
    made: list[Counted] = []

    def make(url: str) -> Counted:
        made.append(Counted(url))
        return made[-1]

    yield make
    for counted in made:
        counted.close()


# -- what is decided without a network


@pytest.mark.parametrize("status", [0, 429, 502, 503, 504])
def test_pauses_double_from_a_second_on_until_the_batch_is_given_up(status: int) -> None:
    failure = Failure("away", status)
    assert [pause_s(failure, tries, 1.0) for tries in range(1, 6)] == [1.0, 2.0, 4.0, 8.0, None]
    assert pause_s(failure, 3, 0.0) == 2.0


@pytest.mark.parametrize("status", [301, 400, 401, 404, 413, 500])
def test_what_cannot_become_better_is_not_sent_again(status: int) -> None:
    assert pause_s(Failure("no", status, wish_s=1.0), 1, 0.5) is None


def test_the_collectors_wish_goes_before_our_own_pause_within_reason() -> None:
    assert pause_s(Failure("busy", 429, wish_s=7.0), 1, 0.5) == 7.0
    assert pause_s(Failure("busy", 503, wish_s=0.0), 1, 0.5) == 0.0
    assert pause_s(Failure("busy", 503, wish_s=1e9), 1, 0.5) == 300.0


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("120", 120.0),
        ("Wed, 21 Oct 2015 07:28:30 GMT", 30.0),
        ("Wed, 21 Oct 2015 07:00:00 GMT", 0.0),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    assert parse_retry_after(header, now_s=1445412480.0) == seconds


@pytest.mark.parametrize(
    ("answer", "refused"),
    [
        (b"{}", 0),
        (b"", 0),
        (b"no json", 0),
        (b"[]", 0),
        (b'{"partialSuccess": {"rejectedSpans": "3", "errorMessage": "too old"}}', 3),
        (b'{"partialSuccess": {"rejectedSpans": 3}}', 3),
        (b'{"partialSuccess": null}', 0),
    ],
)
def test_a_collector_may_refuse_some_spans_of_a_batch(answer: bytes, refused: int) -> None:
    assert parse_refused(answer) == refused


# -- batches and the queue


def test_what_does_not_fit_into_the_queue_falls_off_and_is_counted(
    to: Callable[[str], Counted], collector: Collector
) -> None:
    counted = to(collector.url)
    counted.requests(1000, spans=2)
    assert counted.dropped == 954  # 682 whole traces of three fit into 2,048
    counted.start()
    counted.close()
    assert (counted.exported, counted.dropped) == (2046, 954)
    assert [len(request.resource_spans[0].scope_spans[0].spans) for request in collector.requests] == [510] * 4 + [6]


def test_large_traces_are_never_divided(to: Callable[[str], Counted], collector: Collector) -> None:
    counted = to(collector.url)
    counted.requests(1, spans=3)
    counted.requests(3, spans=256)
    counted.start()
    counted.close()
    assert (counted.exported, counted.dropped) == (4 + 3 * 257, 0)


def test_traces_are_sent_without_being_asked_for(
    to: Callable[[str], Counted], collector: Collector, until: Any
) -> None:
    counted = to(collector.url)
    counted.start()
    counted.requests(1)
    until(collector.spans)
    until(lambda: counted.exported == 1)


def test_room_in_the_queue_is_free_again_after_a_batch(
    to: Callable[[str], Counted], collector: Collector, until: Any
) -> None:
    counted = to(collector.url)
    counted.start()
    for round_ in range(1, 3):
        counted.requests(2048)
        until(lambda wanted=round_ * 2048: counted.exported == wanted)
    assert counted.dropped == 0


# -- a collector in trouble


def test_a_batch_is_sent_again_until_the_collector_takes_it(
    to: Callable[[str], Counted], collector: Collector, until: Any
) -> None:
    collector.answers.extend([(503, {"Retry-After": "0"}, b""), (429, {"Retry-After": "0"}, b""), (502, {}, b"")])
    counted = to(collector.url)
    counted.start()
    counted.requests(3)
    until(lambda: counted.exported == 3)
    assert len(collector.paths) == 4 and len(collector.spans()) == 3
    assert counted.dropped == 0


def test_a_batch_that_is_refused_is_dropped_and_the_next_one_sent(
    to: Callable[[str], Counted], collector: Collector, until: Any
) -> None:
    collector.answers.append((400, {}, b'{"message": "no"}'))
    counted = to(collector.url)
    counted.start()
    counted.requests(3)
    until(lambda: counted.dropped == 3)
    counted.requests(2)
    counted.close()
    assert (counted.exported, counted.dropped, len(collector.spans())) == (2, 3, 2)


def test_a_collector_that_goes_on_refusing_is_warned_of_once(
    to: Callable[[str], Counted], collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    collector.answers.extend([(400, {}, b"")] * 4)
    counted = to(collector.url)
    counted.requests(2048)
    counted.start()
    counted.close()
    assert counted.dropped == 2048 and not collector.answers
    assert caplog.text.count("traces: the collector does not take them: HTTP 400") == 1


def test_an_answer_that_is_no_http_counts_as_none(to: Callable[[str], Counted]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        asked: list[Any] = []

        def answer() -> None:
            with suppress(OSError):  # until the server is closed
                while True:
                    connection, _ = server.accept()
                    asked.append(connection)
                    connection.sendall(b"garbage\r\n\r\n")
                    connection.close()

        threading.Thread(target=answer, daemon=True).start()
        counted = to(f"http://127.0.0.1:{server.getsockname()[1]}")
        counted.requests(1)
        counted.start()
        counted.close()
        server.shutdown(socket.SHUT_RDWR)
    assert (counted.exported, counted.dropped) == (0, 1)
    assert len(asked) <= 2, "once, and once more where the end came while it waited"


def test_spans_refused_within_a_batch_are_counted(to: Callable[[str], Counted], collector: Collector) -> None:
    collector.answers.append((200, {}, b'{"partialSuccess": {"rejectedSpans": "2"}}'))
    counted = to(collector.url)
    counted.requests(5)
    counted.start()
    counted.close()
    assert (counted.exported, counted.dropped) == (3, 2)


def test_while_the_collector_is_away_there_is_one_warning_and_requests_are_served(
    start: Any, until: Any, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    running = start(OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{port}", TRACE_SAMPLING="1")
    for _ in range(3):
        assert running.api("GET", "/api/users").status == 200
    until(lambda: "the collector does not take them" in caplog.text)
    running.api("GET", "/api/users")
    back = collect(port)
    try:
        running.backend.exporter.close()
        assert len([span for span in back.spans() if span.name == "GET /api/users"]) == 4
    finally:
        back.stop()
    assert caplog.text.count("traces:") == 1


def test_a_collector_that_never_answers_keeps_nobody_waiting(
    start: Any, collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    collector.hold = threading.Event()
    running = start(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, TRACE_SAMPLING="1")
    assert running.api("GET", "/api/users").status == 200
    running.backend.exporter.close()
    assert "did not take the last ones in time" in caplog.text
    assert running.api("GET", "/api/users").status == 200
    assert not collector.requests


# -- the service


def test_requests_name_the_service_and_carry_the_headers_that_were_configured(start: Any, collector: Collector) -> None:
    running = start(
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url + "/otlp/",
        OTEL_EXPORTER_OTLP_HEADERS="Authorization=Bearer%20hush-hush-hush,X-Scope-OrgID=7",
        OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=staging,service.name=other,k8s.pod.name=backend%2D1",
        OTEL_SERVICE_NAME="users",
        TRACE_SAMPLING="1",
    )
    running.api("GET", "/api/users")
    running.backend.exporter.close()
    assert collector.paths == ["/otlp/v1/traces"]
    (headers,) = collector.headers
    assert (headers["Content-Type"], headers["Content-Encoding"]) == ("application/json", "gzip")
    assert (headers["Authorization"], headers["X-Scope-OrgID"]) == ("Bearer hush-hush-hush", "7")
    assert collector.resource == {
        "service.name": "users",
        "service.version": "0.1.0",
        "deployment.environment.name": "staging",
        "k8s.pod.name": "backend-1",
    }


def test_what_was_sent_and_what_was_lost_is_among_the_metrics(start: Any, collector: Collector) -> None:
    running = start(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, TRACE_SAMPLING="1")
    scrape = running.management("GET", "/actuator/prometheus").content.decode()
    assert "\notel_spans_exported_total 0\n" in scrape and "\notel_spans_dropped_total 0\n" in scrape
    running.api("GET", "/api/settings")
    running.backend.exporter.close()
    running.api("GET", "/api/settings")
    scrape = running.management("GET", "/actuator/prometheus").content.decode()
    # The OpenAPI document that every answer is held against was asked for, too.
    assert "\notel_spans_exported_total 2\n" in scrape and "\notel_spans_dropped_total 1\n" in scrape


def test_a_process_sends_its_last_traces_before_it_ends_and_tells_their_ids_in_its_log(
    launch: Any, until: Any, collector: Collector
) -> None:
    process = launch(
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
        OTEL_EXPORTER_OTLP_HEADERS="Authorization=Bearer%20hush-hush-hush",
        TRACE_SAMPLING="1",
        SLOW_QUERY="0",
        SHUTDOWN_DRAIN="0",
    )
    until(process.ready)
    process.api("POST", "/api/users", ADA, X_Correlation_Id="mine")
    process.terminate()
    status, output, errors = process.ended()
    assert (status, errors) == (0, "")
    (own,) = [span for span in collector.spans() if span.name == "POST /api/users"]
    assert collector.resource["service.name"] == "capstan-backend"
    lines = [line for line in map(json.loads, output.splitlines()) if line.get("correlation_id") == "mine"]
    assert [line["message"] for line in lines] == ["slow query", "request"]
    assert {(line["trace_id"], line["span_id"]) for line in lines} == {(own.trace_id, own.span_id)}
    assert (lines[0]["level"], lines[0]["statement"]) == ("WARNING", "users_create")
    assert lines[0]["duration_ms"] > 0 and lines[1]["user_id"] == 1
    assert "hush" not in output and "example.com" not in output


def test_queries_that_are_not_slow_are_not_logged(start: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    start(SLOW_QUERY="30").api("GET", "/api/users")
    assert "slow query" not in caplog.text
