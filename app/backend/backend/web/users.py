"""/api/users."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from bottle import HTTPResponse, request

from backend.entities import NEWEST_FIRST, SORTS, STATUSES, Listing, UserChange, UserFields
from backend.service.admission import Entry
from backend.service.audit import AuditService
from backend.service.users import UserService
from backend.web.access import ADMINS, OWN_OR_ADMINS, OWN_OR_READERS, READERS
from backend.web.audit import origin
from backend.web.cursors import cursor_text, links, position_in
from backend.web.etags import Match, NoneMatch, etag_of
from backend.web.json import CACHE_KEY, JSON_TYPE, MERGE_PATCH_TYPE, ReadyReply, page_to_json, reply, user_to_json
from backend.web.operations import Answer, Operation, Parameter, given_query
from backend.web.schema import (
    EMAIL_MAX,
    ID_MAX,
    Choice,
    Email,
    Kind,
    Moment,
    Object,
    Patch,
    Several,
    Shown,
    Text,
    Whole,
)

LIMIT_DEFAULT, LIMIT_MAX = 50, 200
NAME_MAX = 100
CURSOR_MAX = 2000

_USERS = "/api/users"

_STATUS = Choice("The status", STATUSES)
_TIME = Shown({"type": "string", "format": "date-time"})
_INPUT: dict[str, Kind] = {"name": Text("The name", NAME_MAX, "Ada Lovelace"), "email": Email(), "status": _STATUS}
FIELDS = Object("UserFields", _INPUT, {"status": "active"})
PATCH = Patch("UserPatch", _INPUT)
USER = Object("User", {"id": Whole(1, ID_MAX), **_INPUT, "created_at": _TIME, "updated_at": _TIME})
PAGE = Object(
    "UserPage",
    {
        "items": Shown({"type": "array", "items": {"$ref": "#/components/schemas/User"}}),
        "next_cursor": Shown({"type": ["string", "null"], "description": "null at the end"}),
    },
)
_ETAG = {"ETag": "The version: If-None-Match and If-Match take it."}
_READ_HEADERS = {**_ETAG, "X-Cache": "hit, or miss where the database was asked."}
_CREATED_HEADERS = {
    **_ETAG,
    "Location": "The address of the user.",
    "Idempotency-Replayed": "true where an earlier request with this key created the user.",
}
_IF_MATCH = {"If-Match": Parameter(Match(), "ETags of the versions that this is meant for; 412 for any other.")}
_SORT = "By what; with -, the greatest or latest first."
_LIST_QUERY = {
    "limit": Parameter(Whole(1, LIMIT_MAX), "The most users of a page.", LIMIT_DEFAULT),
    "cursor": Parameter(Text("The cursor", CURSOR_MAX), "What next_cursor of the page before was; all else as then."),
    "status": Parameter(Several("The status", STATUSES), "Only users with this status, or one of these."),
    "created_from": Parameter(Moment("The earliest creation"), "Only users created at this moment or later."),
    "created_to": Parameter(Moment("The end of creation"), "Only users created before this moment."),
    "search": Parameter(
        Text("The search", EMAIL_MAX, "ada love"),
        "The user with this e-mail address, or those whose name has words that begin with all of these, whatever the"
        " case.",
    ),
}


_JSON = ("Content-Type", JSON_TYPE)
_NOT_STORED = ("Cache-Control", "no-store")
_HIT, _MISS = ("X-Cache", "hit"), ("X-Cache", "miss")


def _fields(body: dict[str, Any]) -> UserFields:
    return UserFields(name=body["name"], email=body["email"], status=body["status"])


def operations(users: UserService, audit: AuditService, *, by_name: bool = True) -> list[Operation]:
    """The operations on users. Not `by_name`: names are sealed, so the database cannot put them in order."""
    sorts = tuple(sort for sort in SORTS if by_name or sort.removeprefix("-") != "name")
    in_query = _LIST_QUERY | {"sort": Parameter(Choice("The order", sorts), _SORT, NEWEST_FIRST)}
    by_id = {"user_id": Parameter(Whole(1, ID_MAX), "The user's id.")}

    def list_users(limit: int, cursor: str | None, status: tuple[str, ...] | None, **narrowed: Any) -> HTTPResponse:
        listing = Listing(statuses=status, **narrowed)
        page = users.list(listing, limit, position_in(listing, cursor) if cursor is not None else None)
        following = cursor_text(listing, page.end) if page.end is not None else None
        asked = {name: value for name, value in given_query().items() if name in in_query}
        audit.users_listed(origin(), asked, len(page.users))
        return reply(page_to_json(page, following), Link=links(_USERS, asked, following))

    def get_user(user_id: int, if_none_match: Container[int] | None, entry: Entry) -> HTTPResponse:
        copy, hit = users.get(user_id, entry)
        request.environ[CACHE_KEY] = "hit" if hit else "miss"
        if entry.caller is not None and entry.caller.user_id != user_id:
            audit.user_read(origin(), user_id)
        from_cache, etag = _HIT if hit else _MISS, ("ETag", etag_of(copy))
        if if_none_match is not None and copy.version in if_none_match:
            return ReadyReply("304 Not Modified", [_NOT_STORED, from_cache, etag], b"")
        return ReadyReply("200 OK", [_JSON, _NOT_STORED, from_cache, etag], copy.body)

    def create_user(body: dict[str, Any], idempotency_key: str | None) -> HTTPResponse:
        fields = _fields(body)
        if idempotency_key is None:
            user, earlier = users.create(fields, origin()), False
        else:
            user, earlier = users.create_once(fields, idempotency_key, origin())
        replayed = {"Idempotency_Replayed": "true"} if earlier else {}
        return reply(user_to_json(user), 201, Location=f"{_USERS}/{user.id}", ETag=etag_of(user), **replayed)

    def update_user(user_id: int, body: dict[str, Any], if_match: list[int] | None) -> HTTPResponse:
        user = users.update(user_id, _fields(body), origin(), if_match)
        return reply(user_to_json(user), ETag=etag_of(user))

    def patch_user(user_id: int, body: dict[str, Any], if_match: list[int] | None) -> HTTPResponse:
        user = users.update(user_id, UserChange(**body), origin(), if_match)
        return reply(user_to_json(user), ETag=etag_of(user))

    def delete_user(user_id: int, if_match: list[int] | None) -> HTTPResponse:
        users.delete(user_id, origin(), if_match)
        return HTTPResponse(status=204)

    return [
        Operation(
            name="listUsers",
            method="GET",
            path=_USERS,
            summary="A page of users, newest first unless asked otherwise",
            run=list_users,
            access=READERS,
            in_query=in_query,
            answers={200: Answer("The page.", PAGE, {"Link": "The first page and the next one, RFC 8288."})},
            problems=(503,),
        ),
        Operation(
            name="createUser",
            method="POST",
            path=_USERS,
            summary="A new user",
            run=create_user,
            access=ADMINS,
            body=FIELDS,
            in_header={
                "Idempotency-Key": Parameter(
                    Text("The Idempotency-Key", 255, "8e03978e-40d5-43dd-bc93-6894a57f9324"),
                    "For a request that may be sent again: whatever is lost on the way, there is one user.",
                )
            },
            answers={201: Answer("The user.", USER, _CREATED_HEADERS)},
            problems=(409, 422, 503),
        ),
        Operation(
            name="getUser",
            method="GET",
            path=_USERS + "/{user_id}",
            summary="One user",
            run=get_user,
            access=OWN_OR_READERS,
            copies=users.copies,
            in_path=by_id,
            in_header={"If-None-Match": Parameter(NoneMatch(), "ETags of what the client has; that is not sent.")},
            answers={
                200: Answer("The user.", USER, _READ_HEADERS),
                304: Answer("The client has it already.", headers=_READ_HEADERS),
            },
            problems=(503,),
        ),
        Operation(
            name="replaceUser",
            method="PUT",
            path=_USERS + "/{user_id}",
            summary="Other fields for a user",
            run=update_user,
            access=OWN_OR_ADMINS,
            in_path=by_id,
            in_header=_IF_MATCH,
            body=FIELDS,
            answers={200: Answer("The user after the change.", USER, _ETAG)},
            problems=(409, 412, 503),
        ),
        Operation(
            name="changeUser",
            method="PATCH",
            path=_USERS + "/{user_id}",
            summary="Some other fields for a user",
            run=patch_user,
            access=OWN_OR_ADMINS,
            in_path=by_id,
            in_header=_IF_MATCH,
            body=PATCH,
            body_type=MERGE_PATCH_TYPE,
            answers={200: Answer("The user after the change.", USER, _ETAG)},
            problems=(409, 412, 503),
        ),
        Operation(
            name="deleteUser",
            method="DELETE",
            path=_USERS + "/{user_id}",
            summary="A user is gone for good",
            run=delete_user,
            access=OWN_OR_ADMINS,
            in_path=by_id,
            in_header=_IF_MATCH,
            answers={204: Answer("Gone.")},
            problems=(412, 503),
        ),
    ]
