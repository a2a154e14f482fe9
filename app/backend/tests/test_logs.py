"""What never is in a log line: secrets, and what people are known by."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from backend.observability.logs import JsonFormatter, redacted
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("ada@example.com", "a***@example.com"),
        ("to <ada.lovelace+x@mail.example.co.uk>,", "to <a***@mail.example.co.uk>,"),
        (
            "Key (lower(email))=(ada@example.com) already exists.",
            "Key (lower(email))=(a***@example.com) already exists.",
        ),
        ("/api/users/ada@example.com/x", "/api/users/a***@example.com/x"),
        ("a@b.io, c@d.io", "a***@b.io, c***@d.io"),
        ("Ünal@example.com", "Ü***@example.com"),
        ("postgresql://app:hunter2@db.internal:5432/x", "postgresql://app:***@db.internal:5432/x"),
        ("redis://:hunter2@cache:6379/0", "redis://:***@cache:6379/0"),
        ("http://u:p@ss@h/ https://x:y@z/", "http://u:***@h/ https://x:***@z/"),
        ("Authorization: Bearer abc.def-123", "Authorization: Bearer ***"),
        ("bearer abcdef", "bearer ***"),
        ("jwt eyJhbGciOi.eyJzdWIi.abc_-9!", "jwt eyJ***!"),
        ("?token=abc&x=1 password=hunter2", "?token=***&x=1 password=***"),
    ],
)
def test_addresses_tokens_and_passwords_are_blanked(text: str, left: str) -> None:
    assert redacted(text) == left


@pytest.mark.parametrize(
    "text", ["@wraps(f)", "a @ b", "http://localhost:8080/a", "root@localhost", "the bearer of news", "eyJ", "x = 1"]
)
def test_what_only_looks_alike_stays(text: str) -> None:
    assert redacted(text) == text


@given(st.text())
def test_what_was_blanked_once_is_not_changed_again(text: str) -> None:
    assert redacted(redacted(text)) == redacted(text)


def line(message: str, level: int = logging.INFO, hide: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    record = logging.LogRecord("t", level, "t.py", 1, message, (), more.pop("exc_info", None))
    record.__dict__.update(more)
    found: dict[str, Any] = json.loads(JsonFormatter(hide).format(record))
    return found


@pytest.mark.parametrize("level", [logging.INFO, logging.WARNING])
def test_a_line_is_free_of_them_wherever_they_stand(level: int) -> None:
    address, token = "ada@example.com", "Bearer abc.def-123"
    try:
        raise ValueError(address)
    except ValueError as error:
        found = line(
            f"for {address}",
            level,
            fields={"path": f"/x/{address}", "deep": {"list": [token, 7]}, "odd": error, "flag": True},
            exc_info=(ValueError, error, error.__traceback__),
        )
    masked = "a***@example.com"
    assert (found["message"], found["path"], found["odd"]) == (f"for {masked}", f"/x/{masked}", masked)
    assert (found["deep"], found["flag"]) == ({"list": ["Bearer ***", 7]}, True)
    assert found["exception"].endswith("ValueError: a***@example.com")


def test_control_characters_before_an_address_do_not_break_the_line() -> None:
    assert line("\x01\nada@example.com")["message"] == "\x01\na***@example.com"


def test_warnings_are_looked_through_for_more_than_an_at_sign() -> None:
    assert line("password=hunter2", logging.WARNING)["message"] == "password=***"


def test_known_secrets_are_blanked_as_before() -> None:
    assert line('it is "s3cret" here', hide=('"s3cret"',))["message"] == "it is *** here"


def test_a_line_outside_of_requests_has_no_trace() -> None:
    assert set(line("plain")) == {"timestamp", "level", "logger", "message"}
