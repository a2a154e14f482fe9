"""An operation is declared once: its route, checks, document and metrics come from that, for one made up here, too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from backend.environment import settings_from_env
from backend.management import serve_in_background
from backend.observability.instruments import Instruments
from backend.observability.metrics import to_prometheus
from backend.observability.request_lines import RequestLines
from backend.observability.tracing import Tracer
from backend.web.access import PUBLIC, Cookies, Gate
from backend.web.app import operations_app
from backend.web.edge import Edge
from backend.web.json import reply
from backend.web.operations import Answer, Operation, Parameter
from backend.web.schema import Choice, Object, Shown, Text, Whole
from bottle import HTTPResponse
from openapi_spec_validator import OpenAPIV31SpecValidator

from app.backend.tests.conftest import Api
from app.backend.tests.contract import Contract
from app.backend.tests.parts import open_admission
from app.backend.tests.test_config import LEAST

SAID = Object("Said", {"words": Shown({"type": "array", "items": {"type": "string"}})})


def greet(person_id: int, tone: str, accept_mood: str | None) -> HTTPResponse:
    """What a feature's author writes besides the declaration."""
    return reply({"words": [f"person {person_id}", tone, accept_mood or "any mood"]})


GREETING = Operation(
    name="greet",
    method="GET",
    path="/api/greetings/{person_id}",
    summary="A greeting",
    run=greet,
    access=PUBLIC,
    in_path={"person_id": Parameter(Whole(1, 9), "Who is greeted.")},
    in_query={"tone": Parameter(Choice("The tone", ("kind", "curt")), "How.", "kind")},
    in_header={"Accept-Mood": Parameter(Text("The mood", 10), "Which mood is wanted.")},
    answers={200: Answer("The greeting.", SAID)},
)


@pytest.fixture
def instruments() -> Instruments:
    return Instruments()


@pytest.fixture
def greetings(instruments: Instruments) -> Iterator[Api]:
    """A service with that one operation, each answer held against its document."""
    cookies = Cookies(secure=False)
    app = operations_app([GREETING], Gate(open_admission(), cookies, required=True), cookies)
    edge = Edge(app, settings_from_env(LEAST), instruments, Tracer(0, 1, None), RequestLines())
    server = serve_in_background(edge, "127.0.0.1", 0, 0.02)
    document = Api(server.server_port)("GET", "/api/openapi.json").json
    yield Api(server.server_port, Contract(document))
    server.shutdown()
    server.server_close()


def test_parameters_come_from_path_query_and_headers_each_with_its_default(greetings: Any) -> None:
    assert greetings("GET", "/api/greetings/7").json["words"] == ["person 7", "kind", "any mood"]
    answer = greetings("GET", "/api/greetings/7?tone=curt", Accept_Mood="sunny")
    assert answer.json["words"] == ["person 7", "curt", "sunny"]


def test_a_wrong_header_is_refused_by_its_name_together_with_what_else_is_wrong(greetings: Any) -> None:
    answer = greetings("GET", "/api/greetings/7?tone=loud", Accept_Mood="x" * 11)
    assert answer.status == 400
    assert [(error["field"], error["code"]) for error in answer.json["errors"]] == [
        ("tone", "not_a_choice"),
        ("Accept-Mood", "too_long"),
    ]


@pytest.mark.parametrize("tone", ["%ff", "%ed%a0%80", "k%00ind"])
def test_a_query_that_is_no_text_is_refused_like_any_wrong_value(greetings: Any, tone: str) -> None:
    assert greetings("GET", f"/api/greetings/7?tone={tone}").status == 400


def test_the_document_tells_of_its_parameters_and_answers(greetings: Any) -> None:
    document = greetings("GET", "/api/openapi.json").json
    assert [str(error) for error in OpenAPIV31SpecValidator(document).iter_errors()] == []
    operation = document["paths"]["/api/greetings/{person_id}"]["get"]
    assert [(one["name"], one["in"], one["required"]) for one in operation["parameters"]] == [
        ("person_id", "path", True),
        ("tone", "query", False),
        ("Accept-Mood", "header", False),
    ]
    assert list(operation["responses"]) == ["200", "400", "404", "414", "429", "500"]
    assert "Accept-Mood" in greetings("GET", "/api/docs").content.decode()


def test_its_requests_are_counted_by_its_route(greetings: Any, instruments: Instruments) -> None:
    greetings("GET", "/api/greetings/7")
    greetings("GET", "/api/greetings/8")
    lines = to_prometheus(instruments.registry.meters.values()).splitlines()
    (count,) = [line for line in lines if "_count{" in line and 'uri="/api/greetings/{person_id}"' in line]
    assert float(count.rpartition(" ")[2]) == 2
