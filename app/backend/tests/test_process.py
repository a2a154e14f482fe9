"""The service as a process: start, health, logs, signals."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from app.backend.tests.auth_help import join, log_in

ADA = {"name": "Ada Lovelace", "email": "ada@example.com"}
MIB = 2**20


@pytest.fixture
def own_postgres(postgres: Any) -> Any:
    """PostgreSQL, alive again afterwards."""
    yield postgres
    postgres.stop()
    postgres.start()


def test_health_shows_both_components_in_detail_on_the_management_port_only(start: Any, until: Any) -> None:
    running = start()
    for api in (running.api, running.management):
        answer = api("GET", "/actuator/health")
        assert (answer.status, answer.json["status"]) == (200, "UP")
        assert {name: part["status"] for name, part in answer.json["components"].items()} == {
            "db": "UP",
            "migrations": "UP",
            "redis": "UP",
            "diskSpace": "UP",
        }
    assert "details" not in running.api("GET", "/actuator/health").json["components"]["db"]

    def detail() -> Any:
        return running.management("GET", "/actuator/health").json["components"]["db"]["details"]

    assert detail()["database"] == "PostgreSQL"
    until(lambda: detail()["pool"]["active"] == 0)  # nobody asks; what it does by itself comes to its end


def test_without_redis_the_service_is_degraded_but_in_rotation(start: Any, own_redis: Any) -> None:
    running = start()
    own_redis.kill()
    answer = running.api("GET", "/actuator/health")
    assert (answer.status, answer.json["status"]) == (200, "DEGRADED")
    down = {name for name, part in answer.json["components"].items() if part["status"] != "UP"}
    assert down == {"redis"}
    assert running.management("GET", "/actuator/health/readiness").status == 200


def test_without_the_database_it_is_down_and_not_ready_but_alive(start: Any, own_postgres: Any) -> None:
    running = start()
    running.api("POST", "/api/users", ADA)
    own_postgres.stop()
    answer = running.management("GET", "/actuator/health")
    assert (answer.status, answer.json["status"], answer.json["components"]["db"]["status"]) == (503, "DOWN", "DOWN")
    assert answer.json["components"]["redis"]["status"] == "UP"
    assert running.api("GET", "/actuator/health").status == 503
    assert running.management("GET", "/actuator/health/readiness").status == 503
    assert running.management("GET", "/actuator/health/liveness").status == 200
    refused = running.api("GET", "/api/users")
    assert (refused.status, refused.json["code"], refused.headers["Retry-After"]) == (503, "database_unavailable", "2")


def test_it_serves_again_as_soon_as_the_database_is_back(start: Any, own_postgres: Any) -> None:
    running = start()
    running.api("POST", "/api/users", ADA)
    own_postgres.stop()
    assert running.api("GET", "/api/users").status == 503
    own_postgres.start()
    assert [user["name"] for user in running.api("GET", "/api/users").json["items"]] == ["Ada Lovelace"]
    assert running.management("GET", "/actuator/health/readiness").status == 200


def test_info_names_version_and_build(start: Any) -> None:
    assert start(APP_BUILD="abc123").management("GET", "/actuator/info").json == {
        "app": {"name": "capstan-user-service", "version": "0.1.0"},
        "build": {"revision": "abc123"},
    }


def test_management_answers_unknown_addresses_in_json_and_serves_no_users(start: Any) -> None:
    answer = start().management("GET", "/api/users")
    assert (answer.status, answer.json["code"]) == (404, "not_found")


def test_a_process_serves_and_ends_with_status_zero_after_sigterm(launch: Any, until: Any) -> None:
    process = launch()
    until(process.ready)
    assert process.api("POST", "/api/users", ADA).status == 201
    assert process.api("GET", "/api/users/1").headers["X-Cache"] == "miss"
    until(lambda: process.api("GET", "/api/users/1").headers["X-Cache"] == "hit")  # nobody waited for Redis to take it
    process.terminate()
    status, _, errors = process.ended()
    assert (status, errors) == (0, "")


def test_after_sigterm_it_is_not_ready_yet_serves_until_it_has_drained(launch: Any, until: Any) -> None:
    process = launch(SHUTDOWN_DRAIN="60")
    until(process.ready)
    process.terminate()
    readiness = until(lambda: (r := process.management("GET", "/actuator/health/readiness")).status == 503 and r)
    assert readiness.json["status"] == "OUT_OF_SERVICE"
    assert process.api("GET", "/actuator/health").json["status"] == "OUT_OF_SERVICE"
    assert process.management("GET", "/actuator/health/liveness").status == 200
    assert process.api("GET", "/api/users").status == 200
    process.terminate()  # a second signal cuts the wait short
    assert process.ended()[0] == 0


def test_a_request_in_flight_is_finished_before_the_end(launch: Any, until: Any, database: Any, sql: Any) -> None:
    process = launch(SHUTDOWN_DRAIN="0")
    until(process.ready)
    process.api("POST", "/api/users", ADA)
    holder = psycopg2.connect(
        host=database.host, port=database.port, dbname=database.name, user="app", password="s3cret-pa55"
    )
    holder.cursor().execute("UPDATE users SET name = 'held'")
    answers: list[Any] = []
    change = {"name": "Ada King", "email": "ada@example.com"}
    client = threading.Thread(target=lambda: answers.append(process.api("PUT", "/api/users/1", change)))
    client.start()
    until(lambda: sql("SELECT 1 FROM pg_locks WHERE NOT granted"))
    process.terminate()
    until(lambda: not listens(int(process.api.base.rpartition(":")[2])))
    assert process.process.poll() is None
    holder.rollback()
    holder.close()
    client.join(20)
    assert (answers[0].status, answers[0].json["name"]) == (200, "Ada King")
    assert process.ended()[0] == 0


def listens(port: int) -> bool:
    """Whether a connection to the port is accepted."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_logs_are_json_lines_with_the_correlation_id_and_no_secret(launch: Any, until: Any) -> None:
    process = launch(LOG_LEVEL="debug")
    until(process.ready)
    process.api("POST", "/api/users", ADA, X_Correlation_Id="trace-me")
    process.api("GET", "/api/users/1?token=s3cret-pa55")
    process.api("GET", "/api/users/s3cret-pa55")
    process.terminate()
    _, output, errors = process.ended()
    lines = [json.loads(line) for line in output.splitlines()]
    (created,) = [line for line in lines if line.get("correlation_id") == "trace-me"]
    assert {name: created[name] for name in ("level", "message", "method", "path", "status")} == {
        "level": "INFO",
        "message": "request",
        "method": "POST",
        "path": "/api/users",
        "status": 201,
    }
    assert created["duration_ms"] > 0 and created["timestamp"].endswith("+00:00")
    assert [line["cache"] for line in lines if "cache" in line] == ["miss"]
    assert [line["path"] for line in lines if line.get("status") == 404] == ["/api/users/***"]
    assert "s3cret-pa55" not in output + errors and "ada@example.com" not in output


def test_an_error_of_ours_is_logged_with_its_traceback_and_hidden_from_the_client(
    launch: Any, until: Any, sql: Any
) -> None:
    process = launch()
    until(process.ready)
    sql("ALTER TABLE users DROP COLUMN version")
    answer = process.api("GET", "/api/users", X_Correlation_Id="broken")
    assert (answer.status, answer.json["code"]) == (500, "internal_error")
    assert "version" not in answer.json["detail"]
    process.terminate()
    logged = [json.loads(line) for line in process.ended()[1].splitlines()]
    (error,) = [line for line in logged if line["message"] == "unhandled error"]
    assert "UndefinedColumn" in error["exception"] and error["correlation_id"] == "broken"


def test_a_wrong_environment_is_one_message_and_status_two(launch: Any) -> None:
    status, output, errors = launch(DATABASE_POOL_SIZE="0").ended()
    assert (status, output) == (2, "")
    assert errors == "configuration: DATABASE_POOL_SIZE is '0', not a whole number from 1 to 100\n"


def test_a_worker_that_dies_ends_the_process_with_an_error(launch: Any, until: Any) -> None:
    process = launch()
    until(process.ready)
    pid = process.process.pid
    worker = int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
    os.kill(worker, signal.SIGKILL)
    assert process.ended()[0] == 1


def test_it_starts_without_a_database_and_is_ready_once_there_is_one(
    launch: Any, until: Any, own_postgres: Any
) -> None:
    own_postgres.stop()
    process = launch()

    def readiness() -> int:
        try:
            return int(process.management("GET", "/actuator/health/readiness").status)
        except Exception:
            return 0

    until(lambda: readiness() == 503)
    own_postgres.start()
    until(lambda: readiness() == 200)


def test_migrations_run_as_a_module(launch: Any) -> None:
    status, output, errors = launch("migrate", module="backend.migrations").ended()
    assert (status, errors) == (0, "")
    assert json.loads(output.splitlines()[-1])["message"] == "schema is up to date"


def test_logins_at_once_on_all_threads_take_the_memory_of_those_few_that_are_checked(launch: Any, until: Any) -> None:
    process = launch(AUTH_REQUIRED="true", output=subprocess.DEVNULL)
    until(process.ready)
    people = [join(process.api, f"Ada{number}") for number in range(8)]
    before = process.metric("process.resident.memory")
    statuses = []

    def log_in_often(email: str) -> None:
        for _ in range(5):
            statuses.append(log_in(process.api, email).status)

    threads = [threading.Thread(target=log_in_often, args=[person.email]) for person in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(statuses) <= {200, 503} and statuses.count(200) > 8
    assert process.metric("process.resident.memory") - before < 70 * MIB, "19 MiB for each of two, not of eight"
