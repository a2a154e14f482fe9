"""The document that the service gives of itself, and that no answer can differ from it unseen."""

from __future__ import annotations

import html
from html.parser import HTMLParser
from typing import Any

import pytest
from jsonschema import ValidationError
from openapi_spec_validator import OpenAPIV31SpecValidator

from app.backend.tests.contract import Contract

ADA = {"name": "Ada Lovelace", "email": "ada@example.com"}


@pytest.fixture
def document(api: Any) -> Any:
    return api("GET", "/api/openapi.json").json


def test_the_document_is_valid_openapi_3_1(document: Any) -> None:
    assert document["openapi"] == "3.1.0"
    assert [str(error) for error in OpenAPIV31SpecValidator(document).iter_errors()] == []


def test_it_knows_every_operation_with_all_its_answers(document: Any) -> None:
    found = {
        f"{method.upper()} {path}": " ".join(sorted(operation["responses"]))
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    assert found == {
        "GET /api/users": "200 400 401 403 414 429 500 503",
        "POST /api/users": "201 400 401 403 408 409 413 414 415 422 429 500 503",
        "GET /api/users/{user_id}": "200 304 400 401 403 404 414 429 500 503",
        "PUT /api/users/{user_id}": "200 400 401 403 404 408 409 412 413 414 415 429 500 503",
        "PATCH /api/users/{user_id}": "200 400 401 403 404 408 409 412 413 414 415 429 500 503",
        "DELETE /api/users/{user_id}": "204 400 401 403 404 412 414 429 500 503",
        "POST /api/auth/register": "201 400 408 409 413 414 415 429 500 503",
        "POST /api/auth/login": "200 400 401 408 413 414 415 429 500 503",
        "POST /api/auth/refresh": "200 400 401 403 408 413 414 415 429 500 503",
        "POST /api/auth/logout": "204 400 401 403 414 429 500 503",
        "PUT /api/auth/password": "204 400 401 403 408 413 414 415 429 500 503",
        "GET /api/auth/me": "200 401 403 404 414 429 500 503",
        "PUT /api/users/{user_id}/role": "204 400 401 403 404 408 413 414 415 429 500 503",
        "GET /api/users/{user_id}/export": "200 401 403 404 414 429 500 503",
        "GET /api/audit": "200 400 401 403 414 429 500 503",
        "GET /api/settings": "200 414 429 500",
        "GET /actuator/health": "200 414 500 503",
    }


def test_every_operation_on_users_tells_what_a_database_in_trouble_means(document: Any) -> None:
    for path in ("/api/users", "/api/users/{user_id}"):
        for operation in document["paths"][path].values():
            described = operation["responses"]["503"]
            assert described["description"] == "Service Unavailable: database_unavailable or database_busy"
            assert "Retry-After" in described["headers"]


def test_limits_that_are_checked_are_the_ones_that_are_documented(api: Any, document: Any) -> None:
    (limit,) = [one for one in document["paths"]["/api/users"]["get"]["parameters"] if one["name"] == "limit"]
    assert (limit["schema"]["default"], limit["schema"]["maximum"]) == (50, 200)
    assert api("GET", f"/api/users?limit={limit['schema']['maximum']}").status == 200
    assert api("GET", f"/api/users?limit={limit['schema']['maximum'] + 1}").status == 400
    longest = document["components"]["schemas"]["UserFields"]["properties"]["name"]["maxLength"]
    assert api("POST", "/api/users", ADA | {"name": "x" * longest}).status == 201
    assert api("POST", "/api/users", ADA | {"name": "x" * (longest + 1)}).status == 400


@pytest.mark.parametrize(
    ("status", "content_type", "content"),
    [
        (418, "application/problem+json", b"{}"),
        (200, "text/plain", b"{}"),
        (200, "application/json", b'{"id": 1}'),
        (404, "application/problem+json", b'{"code": "not_found"}'),
    ],
)
def test_an_answer_that_is_not_documented_fails_any_test(
    document: Any, status: int, content_type: str, content: bytes
) -> None:
    with pytest.raises((AssertionError, ValidationError), match=r"documented|required property"):
        Contract(document).check("GET", "/api/users/1", status, {"Content-Type": content_type}, content)


class Links(HTMLParser):
    """The addresses and anchors of a page, and whether it brings any script or style of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.to: set[str] = set()
        self.anchors: set[str] = set()
        self.inline = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.to.add(given.get("href") or "")
        self.anchors.add(f"#{given.get('id')}")
        self.inline |= tag in ("script", "style") or "style" in given


def test_the_page_for_people_names_everything_and_its_links_lead_somewhere(api: Any, document: Any) -> None:
    answer = api("GET", "/api/docs")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    page = html.unescape(answer.content.decode())
    for path, methods in document["paths"].items():
        assert path in page
        assert all(operation["summary"] in page for operation in methods.values())
    links = Links()
    links.feed(page)
    assert not links.inline, "a strict content policy would keep it from being shown as it is meant"
    assert {link for link in links.to if link.startswith("#")} <= links.anchors
    outside = {link for link in links.to if link.startswith("/")}
    assert outside == {"/api/openapi.json", "/api/docs.css"}
    assert [api("GET", link).status for link in outside] == [200, 200]
