"""Metrics: counted exactly by many threads, in Prometheus' words and in the actuator's."""

from __future__ import annotations

import gc
import threading
from typing import Any

import pytest
from backend.observability.metrics import Counter, Description, Registry, Timer, to_prometheus

ADA = {"name": "Ada Lovelace", "email": "ada@example.com"}


def scraped(answer: Any) -> dict[str, float]:
    """Series, as they are written, to value."""
    lines = [line for line in answer.content.decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def counting(counter: Counter, times: int) -> list[threading.Thread]:
    count_one = counter.series("a")

    def count() -> None:
        for _ in range(times // 2):
            counter.add("a")
            count_one()

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    return threads


def test_what_many_threads_count_is_lost_neither_while_they_run_nor_when_they_have_ended() -> None:
    counter = Counter(Description("some.things", "Things.", tags=("kind",)))
    seen = []
    for round_ in range(1, 4):
        threads = counting(counter, 20_000)
        while any(thread.is_alive() for thread in threads):
            seen.append(counter.values().get(("a",), 0.0))
        for thread in threads:
            thread.join()
        assert counter.values() == {("a",): round_ * 160_000.0}
        del threads
        gc.collect()
        assert counter.values() == {("a",): round_ * 160_000.0}
    assert seen == sorted(seen), "a counter never goes back"


def test_a_timer_counts_up_to_and_including_each_bound() -> None:
    timer = Timer(Description("some.time", "Time.", "seconds"))
    for seconds in (0.0005, 0.05, 0.051, 0.1, 99.0):
        timer.series()(seconds)
    text = to_prometheus([timer])
    assert 'some_time_seconds_bucket{le="0.05"} 2\n' in text
    assert 'some_time_seconds_bucket{le="0.1"} 4\n' in text
    assert 'some_time_seconds_bucket{le="10"} 4\n' in text
    assert 'some_time_seconds_bucket{le="+Inf"} 5\n' in text
    assert "some_time_seconds_count 5\n" in text
    assert "some_time_seconds_sum 99.2015\n" in text


def test_text_is_escaped_as_the_format_asks() -> None:
    counter = Counter(Description("odd", "back\\slash and\nline", tags=("what",)))
    counter.add('say "hi"\\\n')
    assert to_prometheus([counter]) == (
        '# HELP odd_total back\\\\slash and\\nline\n# TYPE odd_total counter\nodd_total{what="say \\"hi\\"\\\\\\n"} 1\n'
    )


def test_a_name_is_given_once() -> None:
    registry = Registry()
    registry.counter("twice", "First.")
    with pytest.raises(ValueError, match="there is a meter twice already"):
        registry.timer("twice", "Second.")


def test_requests_queries_cache_and_business_are_counted_under_the_names_of_the_dashboards(start: Any) -> None:
    running = start()
    running.api("POST", "/api/users", ADA)
    for _ in range(3):
        running.api("GET", "/api/users/1")
    running.api("GET", "/api/users/77")
    running.api("DELETE", "/api/users/1")
    running.api("GET", "/api/secret/path/of/a/client")
    running.api("BREW", "/api/users")
    answer = running.management("GET", "/actuator/prometheus")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    found = scraped(answer)

    def requests(method: str, uri: str, status: int, outcome: str) -> float:
        tags = f'method="{method}",uri="{uri}",status="{status}",outcome="{outcome}"'
        return found[f"http_server_requests_seconds_count{{{tags}}}"]

    assert requests("GET", "/api/users/{user_id}", 200, "SUCCESS") == 3
    assert requests("GET", "/api/users/{user_id}", 404, "CLIENT_ERROR") == 1
    assert requests("POST", "/api/users", 201, "SUCCESS") == 1
    assert requests("GET", "UNKNOWN", 404, "CLIENT_ERROR") == 1
    assert requests("UNKNOWN", "UNKNOWN", 405, "CLIENT_ERROR") == 1
    assert "secret" not in answer.content.decode()
    assert found['cache_gets_total{cache="users",result="hit"}'] == 2
    assert found['cache_gets_total{cache="users",result="miss"}'] == 2
    query = 'repository="UserRepository",method="get",state="SUCCESS"'
    assert found[f"spring_data_repository_invocations_seconds_count{{{query}}}"] == 2
    assert (found["users_created_total"], found["users_deleted_total"]) == (1, 1)
    assert (found["jdbc_connections_max"], found["jdbc_connections_active"]) == (10, 0)
    assert found["jdbc_connections_acquire_seconds_count"] >= 4
    assert found["process_resident_memory_bytes"] > 10_000_000
    assert found["process_cpu_seconds_total"] > 0


def test_a_call_that_fails_is_timed_as_an_error(start: Any) -> None:
    running = start()
    for _ in range(2):
        running.api("POST", "/api/users", ADA)
    found = scraped(running.management("GET", "/actuator/prometheus"))
    failed = 'repository="UserRepository",method="create",state="ERROR"'
    assert found[f"spring_data_repository_invocations_seconds_count{{{failed}}}"] == 1


def test_the_actuator_tells_a_metric_and_narrows_it_by_tags(start: Any) -> None:
    running = start()
    running.api("GET", "/api/users")
    running.api("GET", "/api/users/5")
    assert "http.server.requests" in running.management("GET", "/actuator/metrics").json["names"]
    about_users = "/actuator/metrics/http.server.requests?tag=method:GET"
    whole = running.management("GET", about_users).json
    assert (whole["name"], whole["baseUnit"]) == ("http.server.requests", "seconds")
    # Those two, and the document that every answer is held against.
    assert whole["measurements"][0] == {"statistic": "COUNT", "value": 3.0}
    assert whole["measurements"][1]["statistic"] == "TOTAL_TIME" and whole["measurements"][1]["value"] > 0
    tags = {tag["tag"]: tag["values"] for tag in whole["availableTags"]}
    assert tags == {
        "uri": ["/api/openapi.json", "/api/users", "/api/users/{user_id}"],
        "status": ["200", "404"],
        "outcome": ["CLIENT_ERROR", "SUCCESS"],
    }
    part = running.management("GET", "/actuator/metrics/http.server.requests?tag=status:404&tag=method:GET").json
    assert part["measurements"][0]["value"] == 1.0
    assert {tag["tag"] for tag in part["availableTags"]} == {"uri", "outcome"}


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/actuator/metrics/no.such", 404, "not_found"),
        ("/actuator/metrics/http.server.requests?tag=colour:red", 400, "unknown_tag"),
        ("/actuator/metrics/http.server.requests?tag=method", 400, "unknown_tag"),
        ("/actuator/metrics/http.server.requests?tag=method:PUT", 404, "not_found"),
    ],
)
def test_a_metric_that_is_not_there_is_told(start: Any, path: str, status: int, code: str) -> None:
    answer = start().management("GET", path)
    assert (answer.status, answer.json["code"]) == (status, code)
