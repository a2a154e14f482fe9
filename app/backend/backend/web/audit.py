"""/api/audit: who did what to whom; and where a request comes from, as the audit log has it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from bottle import HTTPResponse

from backend.entities import ACTIONS, AuditListing, Origin
from backend.observability.tracing import correlation_id
from backend.service.audit import AuditService
from backend.web.access import READERS, caller
from backend.web.cursors import audit_cursor_text, audit_position_in, links
from backend.web.json import entry_to_json, reply
from backend.web.operations import Answer, Operation, Parameter, given_query
from backend.web.schema import ID_MAX, Moment, Object, Several, Shown, Text, Whole

LIMIT_DEFAULT, LIMIT_MAX = 50, 200
CURSOR_MAX = 500

_AUDIT = "/api/audit"
_USER_ID: dict[str, Any] = {"type": ["integer", "null"], "description": "a user's id; the user may be gone"}
ENTRY = Object(
    "AuditEntry",
    {
        "id": Shown({"type": "string", "format": "uuid"}),
        "at": Shown({"type": "string", "format": "date-time"}),
        "action": Shown({"type": "string", "enum": list(ACTIONS)}),
        "actor": Shown(_USER_ID),
        "subject": Shown(_USER_ID),
        "correlation_id": Shown({"type": ["string", "null"]}),
        "details": Shown({"type": "object", "description": "names of fields and figures, never personal data"}),
    },
)
_PAGE = Object(
    "AuditPage",
    {
        "items": Shown({"type": "array", "items": ENTRY.json_schema()}),
        "next_cursor": Shown({"type": ["string", "null"], "description": "null at the end"}),
    },
)
_QUERY = {
    "limit": Parameter(Whole(1, LIMIT_MAX), "The most entries of a page.", LIMIT_DEFAULT),
    "cursor": Parameter(Text("The cursor", CURSOR_MAX), "What next_cursor of the page before was; all else as then."),
    "subject": Parameter(Whole(1, ID_MAX), "Only what was done to the user with this id."),
    "actor": Parameter(Whole(1, ID_MAX), "Only what the user with this id did."),
    "action": Parameter(Several("The action", ACTIONS), "Only this action, or one of these."),
    "from": Parameter(Moment("The beginning"), "Only entries of this moment or later."),
    "to": Parameter(Moment("The end"), "Only entries before this moment."),
}


def origin() -> Origin:
    """Where the current request comes from."""
    return Origin(caller().user_id, correlation_id())


def operations(audit: AuditService) -> list[Operation]:
    """The operations on the audit log."""

    def list_audit(
        limit: int,
        cursor: str | None,
        subject: int | None,
        actor: int | None,
        action: tuple[str, ...] | None,
        **times: datetime | None,
    ) -> HTTPResponse:
        listing = AuditListing(subject=subject, actor=actor, actions=action, since=times["from"], until=times["to"])
        after = audit_position_in(listing, cursor) if cursor is not None else None
        page = audit.list(listing, limit, after, origin())
        following = audit_cursor_text(listing, page.end) if page.end is not None else None
        asked = {name: value for name, value in given_query().items() if name in _QUERY}
        body = {"items": [entry_to_json(entry) for entry in page.entries], "next_cursor": following}
        return reply(body, Link=links(_AUDIT, asked, following))

    return [
        Operation(
            name="listAudit",
            method="GET",
            path=_AUDIT,
            summary="A page of the audit log, the latest entries first",
            run=list_audit,
            access=READERS,
            in_query=_QUERY,
            answers={200: Answer("The page.", _PAGE, {"Link": "The first page and the next one, RFC 8288."})},
            problems=(503,),
        ),
    ]
