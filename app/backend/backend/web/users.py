"""/api/users."""

from __future__ import annotations

from typing import Any

from bottle import HTTPResponse

from backend.entities import STATUSES, UserFields
from backend.service.users import UserService
from backend.web.access import ADMINS, OWN_OR_ADMINS, OWN_OR_READERS, READERS
from backend.web.json import page_to_json, reply, user_to_json
from backend.web.operations import Answer, Operation, Parameter
from backend.web.schema import ID_MAX, Choice, Email, Kind, Object, Shown, Text, Whole

LIMIT_DEFAULT, LIMIT_MAX = 50, 200
NAME_MAX = 100

_STATUS = Choice("The status", STATUSES)
_TIME = Shown({"type": "string", "format": "date-time"})
_INPUT: dict[str, Kind] = {"name": Text("The name", NAME_MAX, "Ada Lovelace"), "email": Email(), "status": _STATUS}
FIELDS = Object("UserFields", _INPUT, {"status": "active"})
USER = Object("User", {"id": Whole(1, ID_MAX), **_INPUT, "created_at": _TIME, "updated_at": _TIME})
PAGE = Object(
    "UserPage",
    {
        "items": Shown({"type": "array", "items": {"$ref": "#/components/schemas/User"}}),
        "next_cursor": Shown({"type": ["integer", "null"], "format": "int64", "description": "null at the end"}),
    },
)


def _fields(body: dict[str, Any]) -> UserFields:
    return UserFields(name=body["name"], email=body["email"], status=body["status"])


def operations(users: UserService) -> list[Operation]:
    """The five operations on users."""
    by_id = {"user_id": Parameter(Whole(1, ID_MAX), "The user's id.")}

    def list_users(limit: int, cursor: int | None, status: str | None) -> HTTPResponse:
        return reply(page_to_json(users.list(limit, cursor, status)))

    def get_user(user_id: int) -> HTTPResponse:
        user, hit = users.get(user_id)
        return reply(user_to_json(user), X_Cache="hit" if hit else "miss")

    def create_user(body: dict[str, Any]) -> HTTPResponse:
        user = users.create(_fields(body))
        return reply(user_to_json(user), 201, Location=f"/api/users/{user.id}")

    def update_user(user_id: int, body: dict[str, Any]) -> HTTPResponse:
        return reply(user_to_json(users.update(user_id, _fields(body))))

    def delete_user(user_id: int) -> HTTPResponse:
        users.delete(user_id)
        return HTTPResponse(status=204)

    return [
        Operation(
            name="listUsers",
            method="GET",
            path="/api/users",
            summary="A page of users, newest first",
            run=list_users,
            access=READERS,
            in_query={
                "limit": Parameter(Whole(1, LIMIT_MAX), "The most users of a page.", LIMIT_DEFAULT),
                "cursor": Parameter(Whole(1, ID_MAX), "What next_cursor of the page before was."),
                "status": Parameter(_STATUS, "Only users with this status."),
            },
            answers={200: Answer("The page.", PAGE)},
            problems=(503,),
        ),
        Operation(
            name="createUser",
            method="POST",
            path="/api/users",
            summary="A new user",
            run=create_user,
            access=ADMINS,
            body=FIELDS,
            answers={201: Answer("The user.", USER, {"Location": "The address of the user."})},
            problems=(409, 503),
        ),
        Operation(
            name="getUser",
            method="GET",
            path="/api/users/{user_id}",
            summary="One user",
            run=get_user,
            access=OWN_OR_READERS,
            in_path=by_id,
            answers={200: Answer("The user.", USER, {"X-Cache": "hit, or miss where the database was asked."})},
            problems=(503,),
        ),
        Operation(
            name="replaceUser",
            method="PUT",
            path="/api/users/{user_id}",
            summary="Other fields for a user",
            run=update_user,
            access=OWN_OR_ADMINS,
            in_path=by_id,
            body=FIELDS,
            answers={200: Answer("The user after the change.", USER)},
            problems=(409, 503),
        ),
        Operation(
            name="deleteUser",
            method="DELETE",
            path="/api/users/{user_id}",
            summary="A user is gone for good",
            run=delete_user,
            access=OWN_OR_ADMINS,
            in_path=by_id,
            answers={204: Answer("Gone.")},
            problems=(503,),
        ),
    ]
