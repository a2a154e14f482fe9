"""Who asks, and whether they may: by bearer token for machines, by cookies for browsers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from bottle import HTTPResponse, request

from backend.entities import ANONYMOUS, Caller
from backend.errors import Forbidden, Unauthorized
from backend.observability.tracing import about_user
from backend.service.admission import Admission, Copies, Entry
from backend.service.auth import Issued
from backend.service.tokens import ACCESS_TTL_S, REFRESH_TTL_S
from backend.web.proxies import Client

CSRF_HEADER = "X-CSRF-Token"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_CALLER = "capstan.caller"
CLIENT_KEY = "capstan.client"  # where the edge leaves who sent the request
LEFT_KEY = "capstan.left"  # and where it finds how many more there may be


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

    def __init__(self, admission: Admission, cookies: Cookies, *, required: bool) -> None:
        self._admission = admission
        self._knows_tokens = admission.knows_tokens
        self._cookies = cookies
        self._unknown = ANONYMOUS if required else Caller(user_id=None, role="admin")

    def admit(
        self,
        environ: dict[str, Any],
        access: Access,
        kind: str,
        path: Mapping[str, Any],
        copies: Copies | None = None,
        row_id: int = 0,
    ) -> Entry:
        """Returns where the caller may; `Admission.enter` tells of the row of `copies`. Raises Unauthorized, Forbidden
        and TooManyRequests."""
        token, by_cookie = None, False
        if self._knows_tokens and not access.public:
            token, by_cookie = self._token(environ)
        client: Client | None = environ.get(CLIENT_KEY)
        address = client.address if client is not None and client.vouched else None
        entry = self._admission.enter(token, address, kind, copies, row_id)
        found = environ[_CALLER] = entry.caller or self._unknown
        environ[LEFT_KEY] = entry.left
        if found.user_id is not None:
            about_user(found.user_id)
        if by_cookie and environ["REQUEST_METHOD"] not in _SAFE:
            self.require_csrf(found.login)
        if access.allows(found, path):
            return entry
        if found.user_id is None:
            raise Unauthorized("sign_in", "Please sign in.")
        raise Forbidden("You may not do this.")

    def _token(self, environ: Mapping[str, Any]) -> tuple[str | None, bool]:
        """The token, and whether a cookie brought it."""
        authorization = environ.get("HTTP_AUTHORIZATION")
        if authorization:
            scheme, _, token = authorization.partition(" ")
            if scheme != "Bearer" and scheme.lower() != "bearer":
                raise Unauthorized("bad_token", "The Authorization header must hold a bearer token.")
            return token.strip(), False
        token = request.get_cookie(self._cookies.access) if "HTTP_COOKIE" in environ else None
        return token or None, bool(token)

    def require_csrf(self, login: str) -> None:
        """Browsers send cookies for any page that makes them; this header only for our own. Raises Forbidden."""
        if not self._admission.is_csrf(request.get_header(CSRF_HEADER, ""), login):
            raise Forbidden(f"The header {CSRF_HEADER} must hold the value of the cookie {self._cookies.csrf}.", "csrf")
