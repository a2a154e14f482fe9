"""JSON in and out, and problem documents (RFC 9457), the one shape of an error answer."""

from __future__ import annotations

import json
from typing import Any

from bottle import HTTPResponse, request

from backend.entities import AuditEntry, Page, UserExport
from backend.errors import FieldError, InvalidRequest
from backend.forms import time_text, to_json, user_to_json
from backend.observability.tracing import correlation_id

JSON_TYPE = "application/json"
PROBLEM_TYPE = "application/problem+json"
MERGE_PATCH_TYPE = "application/merge-patch+json"  # RFC 7396
MAX_DEPTH = 32
# Where the edge leaves how deep a body may be nested.
DEPTH_KEY = "capstan.max_json_depth"
# Where an operation leaves whether the cache had what it was asked for: "hit" or "miss".
CACHE_KEY = "capstan.cache"


def reply(body: object, status: int = 200, **headers: str) -> HTTPResponse:
    """A JSON answer; underscores in header names stand for hyphens."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return HTTPResponse(to_json(body), status, {"Content-Type": JSON_TYPE, "Cache-Control": "no-store"} | named)


class ReadyReply(HTTPResponse):
    """An answer whose headers are ours from end to end, so that nothing about them has to be checked."""

    def __init__(self, line: str, headers: list[tuple[str, str]], body: bytes) -> None:
        # Not the base class's work, which takes longer than all else that such an answer needs.
        self.ready = line, headers, body

    # For Bottle, which asks only where a request goes through it.

    _cookies = None

    @property
    def _status_line(self) -> str:
        return self.ready[0]

    @property
    def _status_code(self) -> int:
        return int(self.ready[0][:3])

    @property
    def _headers(self) -> dict[str, list[str]]:
        return {name: [value] for name, value in self.ready[1]}

    @property
    def body(self) -> bytes:
        return self.ready[2]


def problem(
    status: int, code: str, detail: str, errors: list[FieldError] | None = None, **headers: str
) -> HTTPResponse:
    """A problem document. Besides the standard members: `code` for programs, `errors` with every field at fault, and
    the correlation id under which the logs tell more."""
    body = {
        "type": f"urn:capstan:problem:{code}",
        "title": code.replace("_", " ").capitalize(),
        "status": status,
        "detail": detail,
        "code": code,
        "errors": [{"field": e.field or None, "code": e.code, "detail": e.message} for e in errors or ()],
    }
    found = correlation_id()
    if found is not None:
        body["correlation_id"] = found
    return reply(body, status, Content_Type=PROBLEM_TYPE, **headers)


def media_type() -> str:
    """The type of the current request's body, without its parameters; "" where it says none."""
    text: str = request.content_type
    return text.partition(";")[0].strip().lower()


def read_json() -> Any:
    """The decoded body of the current request. Raises InvalidRequest."""
    # Straight from the edge, which has read and measured it: Bottle would spool long bodies to a file.
    return json_from(request.environ["wsgi.input"].read(), request.environ.get(DEPTH_KEY, MAX_DEPTH))


def json_from(content: bytes, max_depth: int = MAX_DEPTH) -> Any:
    """What a body holds. Raises InvalidRequest."""
    try:
        found = json.loads(content, parse_constant=_refuse)
    except ValueError:
        raise InvalidRequest([FieldError("", "not_json", "The body is not valid JSON.")]) from None
    except RecursionError:
        raise _too_deep(max_depth) from None
    # Few brackets cannot be nested deeply, whatever they are: nearly every body ends here.
    if content.count(b"[") + content.count(b"{") > max_depth and is_deeper(found, max_depth):
        raise _too_deep(max_depth)
    return found


def is_deeper(value: Any, max_depth: int) -> bool:
    """Whether lists and objects are nested more than `max_depth` deep. Goes level by level: no recursion to exhaust."""
    level = [value] if isinstance(value, (list, dict)) else []
    for _ in range(max_depth):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, (list, dict))
        ]
        if not level:
            return False
    return bool(level)


def _too_deep(max_depth: int) -> InvalidRequest:
    return InvalidRequest([FieldError("", "too_deep", f"The body must be nested at most {max_depth} deep.")])


def _refuse(constant: str) -> None:
    raise ValueError(constant)  # NaN and Infinity are not JSON, though Python reads them


def page_to_json(page: Page, next_cursor: str | None) -> dict[str, Any]:
    """A page of a list; `next_cursor` is null at the end."""
    return {"items": [user_to_json(user) for user in page.users], "next_cursor": next_cursor}


def entry_to_json(entry: AuditEntry) -> dict[str, Any]:
    """An entry of the audit log as clients see it."""
    return {
        "id": entry.id,
        "at": time_text(entry.at),
        "action": entry.action,
        "actor": entry.actor,
        "subject": entry.subject,
        "correlation_id": entry.correlation_id,
        "details": entry.details,
    }


def export_to_json(export: UserExport) -> dict[str, Any]:
    """Everything that is stored of a user, for that person."""
    return {
        "user": user_to_json(export.user),
        "role": export.role,
        "logins": [
            {"id": login.id, "used_at": time_text(login.used_at), "expires_at": time_text(login.expires_at)}
            for login in export.logins
        ],
        "requests": [{"at": time_text(request.at), "user_id": request.user_id} for request in export.requests],
        "audit": [entry_to_json(entry) for entry in export.entries],
    }
