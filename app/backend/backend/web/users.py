"""/api/users."""

from __future__ import annotations

from typing import Any

from bottle import HTTPResponse

from backend.entities import NEWEST_FIRST, SORTS, STATUSES, Listing, UserFields
from backend.service.users import UserService
from backend.web.cursors import cursor_text, links, position_in
from backend.web.json import page_to_json, reply, user_to_json
from backend.web.operations import Answer, Operation, Parameter, given_query
from backend.web.schema import EMAIL_MAX, ID_MAX, Choice, Email, Kind, Moment, Object, Several, Shown, Text, Whole

LIMIT_DEFAULT, LIMIT_MAX = 50, 200
NAME_MAX = 100
CURSOR_MAX = 2000

_USERS = "/api/users"

_STATUS = Choice("The status", STATUSES)
_TIME = Shown({"type": "string", "format": "date-time"})
_INPUT: dict[str, Kind] = {"name": Text("The name", NAME_MAX, "Ada Lovelace"), "email": Email(), "status": _STATUS}
FIELDS = Object("UserFields", _INPUT, {"status": "active"})
USER = Object("User", {"id": Whole(1, ID_MAX), **_INPUT, "created_at": _TIME, "updated_at": _TIME})
PAGE = Object(
    "UserPage",
    {
        "items": Shown({"type": "array", "items": {"$ref": "#/components/schemas/User"}}),
        "next_cursor": Shown({"type": ["string", "null"], "description": "null at the end"}),
    },
)
_LIST_QUERY = {
    "limit": Parameter(Whole(1, LIMIT_MAX), "The most users of a page.", LIMIT_DEFAULT),
    "cursor": Parameter(Text("The cursor", CURSOR_MAX), "What next_cursor of the page before was; all else as then."),
    "sort": Parameter(Choice("The order", SORTS), "By what; with -, the greatest or latest first.", NEWEST_FIRST),
    "status": Parameter(Several("The status", STATUSES), "Only users with this status, or one of these."),
    "created_from": Parameter(Moment("The earliest creation"), "Only users created at this moment or later."),
    "created_to": Parameter(Moment("The end of creation"), "Only users created before this moment."),
    "search": Parameter(
        Text("The search", EMAIL_MAX, "ada love"),
        "The user with this e-mail address, or those whose name has words that begin with all of these, whatever the"
        " case.",
    ),
}


def _fields(body: dict[str, Any]) -> UserFields:
    return UserFields(name=body["name"], email=body["email"], status=body["status"])


def operations(users: UserService) -> list[Operation]:
    """The five operations on users."""
    by_id = {"user_id": Parameter(Whole(1, ID_MAX), "The user's id.")}

    def list_users(limit: int, cursor: str | None, status: tuple[str, ...] | None, **narrowed: Any) -> HTTPResponse:
        listing = Listing(statuses=status, **narrowed)
        page = users.list(listing, limit, position_in(listing, cursor) if cursor is not None else None)
        following = cursor_text(listing, page.end) if page.end is not None else None
        asked = {name: value for name, value in given_query().items() if name in _LIST_QUERY}
        return reply(page_to_json(page, following), Link=links(_USERS, asked, following))

    def get_user(user_id: int) -> HTTPResponse:
        user, hit = users.get(user_id)
        return reply(user_to_json(user), X_Cache="hit" if hit else "miss")

    def create_user(body: dict[str, Any]) -> HTTPResponse:
        user = users.create(_fields(body))
        return reply(user_to_json(user), 201, Location=f"{_USERS}/{user.id}")

    def update_user(user_id: int, body: dict[str, Any]) -> HTTPResponse:
        return reply(user_to_json(users.update(user_id, _fields(body))))

    def delete_user(user_id: int) -> HTTPResponse:
        users.delete(user_id)
        return HTTPResponse(status=204)

    return [
        Operation(
            name="listUsers",
            method="GET",
            path=_USERS,
            summary="A page of users, newest first unless asked otherwise",
            run=list_users,
            in_query=_LIST_QUERY,
            answers={200: Answer("The page.", PAGE, {"Link": "The first page and the next one, RFC 8288."})},
            problems=(503,),
        ),
        Operation(
            name="createUser",
            method="POST",
            path=_USERS,
            summary="A new user",
            run=create_user,
            body=FIELDS,
            answers={201: Answer("The user.", USER, {"Location": "The address of the user."})},
            problems=(409, 503),
        ),
        Operation(
            name="getUser",
            method="GET",
            path=_USERS + "/{user_id}",
            summary="One user",
            run=get_user,
            in_path=by_id,
            answers={200: Answer("The user.", USER, {"X-Cache": "hit, or miss where the database was asked."})},
            problems=(503,),
        ),
        Operation(
            name="replaceUser",
            method="PUT",
            path=_USERS + "/{user_id}",
            summary="Other fields for a user",
            run=update_user,
            in_path=by_id,
            body=FIELDS,
            answers={200: Answer("The user after the change.", USER)},
            problems=(409, 503),
        ),
        Operation(
            name="deleteUser",
            method="DELETE",
            path=_USERS + "/{user_id}",
            summary="A user is gone for good",
            run=delete_user,
            in_path=by_id,
            answers={204: Answer("Gone.")},
            problems=(503,),
        ),
    ]
