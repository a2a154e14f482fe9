"""The management port: links, loggers, and the parts of health that are neither database nor cache."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture
def loggers() -> Iterator[None]:
    """Levels are as before afterwards."""
    names = ("", "backend", "backend.requests")
    before = {name: logging.getLogger(name).level for name in names}
    yield
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)


def test_the_root_leads_everywhere(start: Any) -> None:
    management = start().management
    links = management("GET", "/actuator").json["_links"]
    assert set(links) >= {"health", "info", "loggers", "metrics", "prometheus"}
    assert [management("GET", link["href"]).status for link in links.values()] == [200] * len(links)


@pytest.mark.usefixtures("loggers")
def test_a_loggers_level_is_changed_while_the_service_runs(start: Any) -> None:
    management = start().management
    logging.getLogger().setLevel(logging.INFO)
    assert management("GET", "/actuator/loggers").json["loggers"]["ROOT"] == {
        "configuredLevel": "INFO",
        "effectiveLevel": "INFO",
    }
    assert management("GET", "/actuator/loggers/backend.requests").json == {"effectiveLevel": "INFO"}

    answer = management("POST", "/actuator/loggers/backend", {"configuredLevel": "DEBUG"})
    assert (answer.status, answer.content) == (204, b"")
    assert management("GET", "/actuator/loggers/backend.requests").json == {"effectiveLevel": "DEBUG"}
    assert logging.getLogger("backend.requests").isEnabledFor(logging.DEBUG)

    assert management("POST", "/actuator/loggers/backend", {"configuredLevel": None}).status == 204
    assert not logging.getLogger("backend.requests").isEnabledFor(logging.DEBUG)
    assert management("POST", "/actuator/loggers/ROOT", {"configuredLevel": "OFF"}).status == 204
    assert not logging.getLogger("backend.requests").isEnabledFor(logging.CRITICAL)


@pytest.mark.usefixtures("loggers")
@pytest.mark.parametrize(
    ("name", "body", "status", "code"),
    [
        ("no.such.logger", {"configuredLevel": "DEBUG"}, 404, "not_found"),
        ("backend", {"configuredLevel": "LOUD"}, 400, "not_a_choice"),
        ("backend", {}, 400, "not_a_choice"),
        ("backend", b"{", 400, "not_json"),
        ("backend", b"", 400, "not_json"),
        ("backend", b'{"configuredLevel": "' + b"x" * 20_000 + b'"}', 413, "too_large"),
        ("ROOT", {"configuredLevel": None}, 400, "required"),
    ],
)
def test_a_wrong_level_changes_nothing(start: Any, name: str, body: Any, status: int, code: str) -> None:
    level = logging.getLogger("backend").level
    answer = start().management("POST", f"/actuator/loggers/{name}", body)
    assert (answer.status, answer.json["code"]) == (status, code)
    assert logging.getLogger("backend").level == level


def test_a_schema_that_lacks_a_migration_is_down_and_named(start: Any, sql: Any) -> None:
    running = start()
    newest = "SELECT max(installed_rank) FROM flyway_schema_history"
    ((script,),) = sql(f"DELETE FROM flyway_schema_history WHERE installed_rank = ({newest}) RETURNING script")
    answer = running.management("GET", "/actuator/health")
    assert (answer.status, answer.json["status"]) == (503, "DOWN")
    assert answer.json["components"]["migrations"] == {
        "status": "DOWN",
        "details": {"pending": [script]},
    }
    assert "details" not in running.api("GET", "/actuator/health").json["components"]["migrations"]


def test_the_disk_is_part_of_health(start: Any) -> None:
    disk = start().management("GET", "/actuator/health").json["components"]["diskSpace"]
    assert disk["status"] == "UP"
    assert disk["details"]["path"] == "/tmp" and 0 < disk["details"]["free"] <= disk["details"]["total"]
