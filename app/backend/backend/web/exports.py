"""/api/users/{user_id}/export: what is stored of one person, as one document."""

from __future__ import annotations

from typing import Any

from bottle import HTTPResponse

from backend.entities import ROLES
from backend.service.exports import ExportService
from backend.web.access import OWN_OR_ADMINS
from backend.web.audit import ENTRY, origin
from backend.web.json import export_to_json, reply
from backend.web.operations import Answer, Operation, Parameter
from backend.web.schema import ID_MAX, Object, Shown, Whole

_TIME: dict[str, Any] = {"type": "string", "format": "date-time"}
_LOGIN = Object(
    "ExportedLogin",
    {"id": Shown({"type": "string", "format": "uuid"}), "used_at": Shown(_TIME), "expires_at": Shown(_TIME)},
)
_REQUEST = Object("ExportedRequest", {"at": Shown(_TIME), "user_id": Shown({"type": "integer"})})
EXPORT = Object(
    "UserExport",
    {
        "user": Shown({"$ref": "#/components/schemas/User"}),
        "role": Shown({"enum": [*ROLES, None], "description": "null without an account"}),
        "logins": Shown({"type": "array", "items": _LOGIN.json_schema()}),
        "requests": Shown(
            {
                "type": "array",
                "items": _REQUEST.json_schema(),
                "description": "requests with an Idempotency-Key, of the last day, and the users that they created",
            }
        ),
        "audit": Shown({"type": "array", "items": ENTRY.json_schema(), "description": "what was done to this user"}),
    },
)


def operations(exports: ExportService) -> list[Operation]:
    """The one operation."""

    def export_user(user_id: int) -> HTTPResponse:
        body = export_to_json(exports.export(user_id, origin()))
        return reply(body, Content_Disposition=f'attachment; filename="user-{user_id}.json"')

    return [
        Operation(
            name="exportUser",
            method="GET",
            path="/api/users/{user_id}/export",
            summary="Everything that is stored of a user",
            run=export_user,
            access=OWN_OR_ADMINS,
            in_path={"user_id": Parameter(Whole(1, ID_MAX), "The user's id.")},
            answers={200: Answer("All of it.", EXPORT, {"Content-Disposition": "The name of a file for it."})},
            problems=(503,),
        ),
    ]
