"""JSON in and out, and the one shape of an error answer."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from bottle import HTTPResponse, request

from backend.entities import Page, User
from backend.errors import FieldError, InvalidRequest

JSON_TYPE = "application/json"


def reply(body: object, status: int = 200, **headers: str) -> HTTPResponse:
    """A JSON answer; underscores in header names stand for hyphens."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return HTTPResponse(text.encode(), status, {"Content-Type": JSON_TYPE, "Cache-Control": "no-store"} | named)


def error_reply(
    status: int, code: str, message: str, errors: list[FieldError] | None = None, **headers: str
) -> HTTPResponse:
    """An error answer: status, code, message, the first field at fault (or null), and all of them."""
    listed = errors or []
    body = {
        "status": status,
        "code": code,
        "message": message,
        "field": (listed[0].field or None) if listed else None,
        "errors": [{"field": e.field or None, "code": e.code, "message": e.message} for e in listed],
    }
    return reply(body, status, **headers)


def read_json() -> Any:
    """The decoded body of the current request. Raises InvalidRequest."""
    if request.content_type.partition(";")[0].strip().lower() != JSON_TYPE:
        raise InvalidRequest([FieldError("", "not_json", f"The Content-Type must be {JSON_TYPE}.")])
    try:
        # Straight from the edge, which has read and measured it: Bottle would spool long bodies to a file.
        return json.loads(request.environ["wsgi.input"].read(), parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise InvalidRequest([FieldError("", "not_json", "The body is not valid JSON.")]) from None


def _refuse(constant: str) -> None:
    raise ValueError(constant)  # NaN and Infinity are not JSON, though Python reads them


def _time(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def user_to_json(user: User) -> dict[str, Any]:
    """A user as clients see it; times in UTC, RFC 3339."""
    return {
        "id": user.id,
        "name": user.name,
        "email": user.email,
        "status": user.status,
        "created_at": _time(user.created_at),
        "updated_at": _time(user.updated_at),
    }


def page_to_json(page: Page) -> dict[str, Any]:
    """A page of the list; `next_cursor` is null at the end."""
    return {"items": [user_to_json(user) for user in page.users], "next_cursor": page.next_cursor}
