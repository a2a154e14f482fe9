"""/api/users."""

from __future__ import annotations

from bottle import Bottle, HTTPResponse, request

from backend.entities import STATUSES
from backend.errors import FieldError, InvalidRequest, NotFound
from backend.service.users import UserService
from backend.service.validation import user_fields
from backend.web.json import page_to_json, read_json, reply, user_to_json

LIMIT_DEFAULT, LIMIT_MAX = 50, 200
_ID_MAX = 2**63 - 1


def _user_id(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text[:20]) > _ID_MAX:
        raise NotFound(f"There is no user {text[:40]!r}.")
    return int(text)


def _whole(name: str, low: int, high: int) -> int | None:
    """The query parameter as a number, None where it is not given. Raises InvalidRequest."""
    text = request.query.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 19) or not low <= int(text) <= high:
        raise InvalidRequest([FieldError(name, "out_of_range", f"{name} must be a whole number from {low} to {high}.")])
    return int(text)


def _status() -> str | None:
    text: str | None = request.query.get("status")
    if text is not None and text not in STATUSES:
        raise InvalidRequest([FieldError("status", "not_a_choice", f"status must be one of {', '.join(STATUSES)}.")])
    return text


def add_routes(app: Bottle, users: UserService) -> None:
    """The five operations on users."""

    @app.get("/api/users")
    def list_users() -> HTTPResponse:
        limit = _whole("limit", 1, LIMIT_MAX) or LIMIT_DEFAULT
        return reply(page_to_json(users.list(limit, _whole("cursor", 1, _ID_MAX), _status())))

    @app.get("/api/users/<user_id>")
    def get_user(user_id: str) -> HTTPResponse:
        user, hit = users.get(_user_id(user_id))
        return reply(user_to_json(user), X_Cache="hit" if hit else "miss")

    @app.post("/api/users")
    def create_user() -> HTTPResponse:
        user = users.create(user_fields(read_json()))
        return reply(user_to_json(user), 201, Location=f"/api/users/{user.id}")

    @app.put("/api/users/<user_id>")
    def update_user(user_id: str) -> HTTPResponse:
        return reply(user_to_json(users.update(_user_id(user_id), user_fields(read_json()))))

    @app.delete("/api/users/<user_id>")
    def delete_user(user_id: str) -> HTTPResponse:
        users.delete(_user_id(user_id))
        return HTTPResponse(status=204)
