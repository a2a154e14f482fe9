"""/api/auth: registration, logins, tokens."""

from __future__ import annotations

import json
from typing import Any

from bottle import HTTPResponse, request

from backend.entities import ROLES, UserFields
from backend.errors import FieldError, InvalidRequest, Unauthorized
from backend.service.auth import AuthService, Issued
from backend.service.tokens import ACCESS_TTL_S, REFRESH_TTL_S
from backend.service.users import UserService
from backend.web.access import ADMINS, PUBLIC, SIGNED_IN, Cookies, Gate, caller
from backend.web.audit import origin
from backend.web.compression import SECRET
from backend.web.failures import answer_to
from backend.web.json import reply, user_to_json
from backend.web.operations import Answer, Operation, Parameter
from backend.web.schema import ID_MAX, Choice, Email, Flag, Kind, Object, Password, Shown, Text, Whole
from backend.web.users import NAME_MAX, USER

PASSWORD_MIN, PASSWORD_MAX = 12, 200
_STRING: dict[str, Any] = {"type": "string"}
_SECONDS: dict[str, Any] = {"type": "integer", "description": "seconds"}

NEW_PASSWORD = Password("The password", PASSWORD_MIN, PASSWORD_MAX)
_GIVEN_PASSWORD = Password("The password", 1, PASSWORD_MAX)
_ROLE = Choice("The role", ROLES)
_COOKIES = Flag("Hand the tokens out as cookies, as browsers should have them")
REGISTRATION = Object(
    "Registration", {"name": Text("The name", NAME_MAX, "Ada Lovelace"), "email": Email(), "password": NEW_PASSWORD}
)
LOGIN = Object("Login", {"email": Email(), "password": _GIVEN_PASSWORD, "cookies": _COOKIES}, {"cookies": False})
REFRESH = Object("Refresh", {"refresh_token": Text("The refresh token", 200)}, {"refresh_token": None})
PASSWORD_CHANGE = Object("PasswordChange", {"current": _GIVEN_PASSWORD, "new": NEW_PASSWORD})
ROLE = Object("Role", {"role": _ROLE})
ME = Object("Me", {"user": Shown({"$ref": "#/components/schemas/User"}), "role": _ROLE})
_SHOWN: dict[str, Kind] = {
    "access_token": Shown(_STRING),
    "token_type": Shown({"type": "string", "enum": ["Bearer"]}),
    "expires_in": Shown(_SECONDS),
    "refresh_token": Shown(_STRING),
    "refresh_expires_in": Shown(_SECONDS),
    "csrf_token": Shown({"type": "string", "description": "what the header X-CSRF-Token must hold with cookies"}),
}
_EITHER_WAY = ("token_type", "expires_in", "refresh_expires_in", "csrf_token")
TOKENS = Object("Tokens", _SHOWN, {name: None for name in _SHOWN if name not in _EITHER_WAY})


def _answer(issued: Issued, cookies: Cookies | None) -> HTTPResponse:
    """Tokens in the body, or in cookies and then not in the body, where scripts could read them."""
    body: dict[str, Any] = {
        "token_type": "Bearer",
        "expires_in": ACCESS_TTL_S,
        "refresh_expires_in": REFRESH_TTL_S,
        "csrf_token": issued.csrf,
    }
    if cookies is None:
        return reply(body | {"access_token": issued.access, "refresh_token": issued.refresh}, Cache_Control=SECRET)
    answer = reply(body, Cache_Control=SECRET)
    cookies.set(answer, issued)
    return answer


def operations(auth: AuthService, users: UserService, gate: Gate, cookies: Cookies) -> list[Operation]:
    """Everything about who may come in."""

    def register(body: dict[str, Any]) -> HTTPResponse:
        fields = UserFields(name=body["name"], email=body["email"], status="active")
        if body["password"].lower() in (fields.name.lower(), fields.email.lower()):
            message = "The password must be neither the name nor the e-mail address."
            raise InvalidRequest([FieldError("password", "too_simple", message)])
        user = auth.register(fields, body["password"], origin())
        return reply(user_to_json(user), 201, Location=f"/api/users/{user.id}")

    def login(body: dict[str, Any]) -> HTTPResponse:
        issued = auth.login(body["email"], body["password"], origin())
        return _answer(issued, cookies if body["cookies"] else None)

    def refresh(body: dict[str, Any]) -> HTTPResponse:
        if body["refresh_token"] is not None:
            return _answer(auth.refresh(body["refresh_token"], origin()), None)
        token = request.get_cookie(cookies.refresh) or ""
        if not token:
            raise Unauthorized("sign_in", "There is no refresh token, neither in the body nor in a cookie.")
        login = auth.login_of(token)
        if login:  # else it is nobody's, which `refresh` says
            gate.require_csrf(login)
        try:
            return _answer(auth.refresh(token, origin()), cookies)
        except Unauthorized as refused:
            # Where nobody has to sign in, a browser would be refused for cookies that it cannot get rid of by itself.
            answer = answer_to(refused)
            cookies.clear(answer)
            return answer

    def logout(everywhere: bool) -> HTTPResponse:
        auth.logout(caller(), origin(), everywhere=everywhere)
        answer = HTTPResponse(status=204)
        if cookies.access in request.cookies:
            cookies.clear(answer)
        return answer

    def change_password(body: dict[str, Any]) -> HTTPResponse:
        _known()
        auth.change_password(caller(), body["current"], body["new"], origin())
        return HTTPResponse(status=204)

    def me() -> HTTPResponse:
        copy, _ = users.get(_known())
        return reply({"user": json.loads(copy.body), "role": caller().role})

    def set_role(user_id: int, body: dict[str, Any]) -> HTTPResponse:
        auth.set_role(user_id, body["role"], origin())
        return HTTPResponse(status=204)

    return [
        Operation(
            name="register",
            method="POST",
            path="/api/auth/register",
            summary="A new user who can log in",
            run=register,
            access=PUBLIC,
            body=REGISTRATION,
            answers={201: Answer("The user.", USER, {"Location": "The address of the user."})},
            problems=(409, 503),
        ),
        Operation(
            name="login",
            method="POST",
            path="/api/auth/login",
            summary="Tokens for an e-mail address and its password",
            run=login,
            access=PUBLIC,
            body=LOGIN,
            answers={200: Answer("Tokens; with cookies, the tokens themselves are only there.", TOKENS)},
            problems=(401, 429, 503),
        ),
        Operation(
            name="refresh",
            method="POST",
            path="/api/auth/refresh",
            summary="New tokens for a refresh token, which is good once",
            run=refresh,
            access=PUBLIC,
            body=REFRESH,
            answers={200: Answer("Tokens, the way the refresh token came.", TOKENS)},
            problems=(401, 403, 503),
        ),
        Operation(
            name="logout",
            method="POST",
            path="/api/auth/logout",
            summary="The caller's tokens are worth nothing any more",
            run=logout,
            access=SIGNED_IN,
            in_query={"everywhere": Parameter(Flag("All logins of this user"), "All logins of this user.", False)},
            answers={204: Answer("Logged out.")},
            problems=(503,),
        ),
        Operation(
            name="changePassword",
            method="PUT",
            path="/api/auth/password",
            summary="Another password; all other logins end",
            run=change_password,
            access=SIGNED_IN,
            body=PASSWORD_CHANGE,
            answers={204: Answer("Changed.")},
            problems=(429, 503),
        ),
        Operation(
            name="getMe",
            method="GET",
            path="/api/auth/me",
            summary="Who the caller is",
            run=me,
            access=SIGNED_IN,
            answers={200: Answer("The user and the role.", ME)},
            problems=(404, 503),
        ),
        Operation(
            name="setRole",
            method="PUT",
            path="/api/users/{user_id}/role",
            summary="Another role for a user",
            run=set_role,
            access=ADMINS,
            in_path={"user_id": Parameter(Whole(1, ID_MAX), "The user's id.")},
            body=ROLE,
            answers={204: Answer("It counts from the next request on.")},
            problems=(503,),
        ),
    ]


def _known() -> int:
    """The caller's user id. Raises Unauthorized where everybody may come in, and this one did not say who they are."""
    user_id = caller().user_id
    if user_id is None:
        raise Unauthorized("sign_in", "Please sign in.")
    return user_id
