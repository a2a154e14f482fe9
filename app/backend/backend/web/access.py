"""Who asks, and whether they may: by bearer token for machines, by cookies for browsers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from bottle import HTTPResponse, request

from backend.entities import ANONYMOUS, Caller
from backend.errors import Forbidden, Unauthorized
from backend.observability.tracing import about_user
from backend.service.auth import AuthService, Issued
from backend.service.tokens import ACCESS_TTL_S, REFRESH_TTL_S

CSRF_HEADER = "X-CSRF-Token"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_CALLER = "capstan.caller"


@dataclass(frozen=True, slots=True)
class Access:
    """Who may use an operation: `roles`; besides, whom the parameter `own` of the path names. An operation that says
    nothing is for administrators."""

    roles: frozenset[str] = frozenset({"admin"})
    own: str = ""
    public: bool = False

    def allows(self, caller: Caller, path: Mapping[str, Any]) -> bool:
        """Whether the caller may, at this address."""
        if self.public or caller.role in self.roles:
            return True
        return bool(self.own) and caller.user_id is not None and path[self.own] == caller.user_id

    def said(self) -> str:
        """For people."""
        who = [f"the user {self.own} names"] if self.own else []
        return "For " + ", ".join([*who, *sorted(self.roles)]) + "."


PUBLIC = Access(public=True)
SIGNED_IN = Access(frozenset({"user", "auditor", "admin"}))
ADMINS = Access()
READERS = Access(frozenset({"auditor", "admin"}))
OWN_OR_READERS = Access(READERS.roles, own="user_id")
OWN_OR_ADMINS = Access(ADMINS.roles, own="user_id")


def caller() -> Caller:
    """Who sent the current request."""
    return cast(Caller, request.environ.get(_CALLER, ANONYMOUS))


@dataclass(frozen=True, slots=True)
class Cookies:
    """The names of the cookies. Their prefixes make browsers refuse them over plain HTTP, or from a sibling domain."""

    secure: bool

    @property
    def access(self) -> str:
        """Of the access token, for all addresses."""
        return "__Host-access" if self.secure else "access"

    @property
    def refresh(self) -> str:
        """Of the refresh token, for the addresses of authentication only."""
        return "__Secure-refresh" if self.secure else "refresh"

    @property
    def csrf(self) -> str:
        """Of the CSRF token, the one that scripts of the page can read."""
        return "__Host-csrf" if self.secure else "csrf"

    def set(self, answer: HTTPResponse, issued: Issued) -> None:
        """Hands tokens to a browser."""
        self._set(answer, self.access, issued.access, ACCESS_TTL_S, "/", httponly=True)
        self._set(answer, self.refresh, issued.refresh, REFRESH_TTL_S, "/api/auth", httponly=True)
        self._set(answer, self.csrf, issued.csrf, REFRESH_TTL_S, "/", httponly=False)

    def clear(self, answer: HTTPResponse) -> None:
        """Takes them away."""
        for name, path in ((self.access, "/"), (self.refresh, "/api/auth"), (self.csrf, "/")):
            self._set(answer, name, "", 0, path, httponly=True)

    def _set(self, answer: HTTPResponse, name: str, value: str, age_s: int, path: str, *, httponly: bool) -> None:
        answer.set_cookie(
            name, value, max_age=age_s, path=path, secure=self.secure, httponly=httponly, samesite="strict"
        )


class Gate:
    """Lets callers through to operations. Not `required`: who brings no token may do what an administrator may."""

    def __init__(self, auth: AuthService | None, cookies: Cookies, *, required: bool) -> None:
        self._auth = auth
        self._cookies = cookies
        self._unknown = ANONYMOUS if required else Caller(user_id=None, role="admin")

    def admit(self, access: Access, path: Mapping[str, Any]) -> None:
        """Returns where the caller may. Raises Unauthorized and Forbidden."""
        found = self._caller()
        request.environ[_CALLER] = found
        if found.user_id is not None:
            about_user(found.user_id)
        if access.allows(found, path):
            return
        if found.user_id is None:
            raise Unauthorized("sign_in", "Please sign in.")
        raise Forbidden("You may not do this.")

    def _caller(self) -> Caller:
        if self._auth is None:
            return self._unknown
        scheme, _, token = request.environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme:
            if scheme.lower() != "bearer":
                raise Unauthorized("bad_token", "The Authorization header must hold a bearer token.")
            return self._auth.caller(token.strip())
        token = request.get_cookie(self._cookies.access) or ""
        if not token:
            return self._unknown
        found = self._auth.caller(token, by_cookie=True)
        if request.method not in _SAFE:
            self.require_csrf(found.login)
        return found

    def require_csrf(self, login: str) -> None:
        """Browsers send cookies for any page that makes them; this header only for our own. Raises Forbidden."""
        assert self._auth is not None
        if not self._auth.is_csrf(request.get_header(CSRF_HEADER, ""), login):
            raise Forbidden(f"The header {CSRF_HEADER} must hold the value of the cookie {self._cookies.csrf}.", "csrf")
