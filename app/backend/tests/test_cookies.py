"""Browsers: tokens in cookies, and what shows that our own page asks."""

from __future__ import annotations

from typing import Any

import pytest

from app.backend.tests.auth_help import PASSWORD, join


@pytest.fixture
def api(start: Any) -> Any:
    """A service that asks who is there."""
    return start(AUTH_REQUIRED="true").api


def cookies_of(answer: Any) -> dict[str, str]:
    """The cookies that an answer sets, each with its attributes."""
    return {line.partition("=")[0]: line.partition("=")[2] for line in answer.headers.getlist("Set-Cookie")}


def values(answer: Any) -> str:
    return "; ".join(f"{name}={rest.partition(';')[0]}" for name, rest in cookies_of(answer).items())


def log_in_browser(api: Any) -> Any:
    join(api, "Ada")
    answer = api("POST", "/api/auth/login", {"email": "ada@example.com", "password": PASSWORD, "cookies": True})
    assert answer.status == 200
    return answer


def test_a_browser_gets_its_tokens_in_cookies_that_scripts_cannot_read(api: Any) -> None:
    answer = log_in_browser(api)
    assert "access_token" not in answer.json and "refresh_token" not in answer.json
    cookies = cookies_of(answer)
    for name, path in (("access", "/"), ("refresh", "/api/auth")):
        attributes = cookies[name].lower()
        assert "httponly" in attributes and "samesite=strict" in attributes and f"path={path};" in attributes + ";"
    assert "httponly" not in cookies["csrf"].lower()
    assert api("GET", "/api/auth/me", Cookie=values(answer)).status == 200


def test_secure_cookies_carry_the_prefixes_that_browsers_enforce(start: Any) -> None:
    api = start(AUTH_REQUIRED="true", AUTH_COOKIE_SECURE="true").api
    answer = log_in_browser(api)
    cookies = cookies_of(answer)
    assert set(cookies) == {"__Host-access", "__Secure-refresh", "__Host-csrf"}
    assert all("secure" in rest.lower() for rest in cookies.values())
    assert api("GET", "/api/auth/me", Cookie=values(answer)).status == 200


def test_a_change_by_cookie_needs_the_csrf_token_of_the_same_login(api: Any) -> None:
    answer = log_in_browser(api)
    jar, token = values(answer), answer.json["csrf_token"]
    others = join(api, "Eve").tokens["csrf_token"]
    body = {"name": "Ada King", "email": "ada@example.com"}
    for wrong in ({}, {"X_CSRF_Token": "x"}, {"X_CSRF_Token": others}):
        refused = api("PUT", "/api/users/1", body, Cookie=jar, **wrong)
        assert (refused.status, refused.json["code"]) == (403, "csrf")
    assert api("PUT", "/api/users/1", body, Cookie=jar, X_CSRF_Token=token).status == 200
    assert api("POST", "/api/auth/refresh", {}, Cookie=jar).status == 403
    fresh = api("POST", "/api/auth/refresh", {}, Cookie=jar, X_CSRF_Token=token)
    assert fresh.status == 200 and "access" in cookies_of(fresh)


def test_a_logout_takes_the_cookies_away(api: Any) -> None:
    answer = log_in_browser(api)
    gone = api("POST", "/api/auth/logout", Cookie=values(answer), X_CSRF_Token=answer.json["csrf_token"])
    assert gone.status == 204
    assert all("max-age=0" in rest.lower() for rest in cookies_of(gone).values()) and len(cookies_of(gone)) == 3
    assert api("GET", "/api/auth/me", Cookie=values(answer)).status == 401


def test_a_refused_refresh_takes_the_cookies_away_so_that_the_browser_is_not_refused_for_them(start: Any) -> None:
    api = start(AUTH_REQUIRED="false").api
    jar = "access=of-another-service; refresh=of-another-service; csrf=of-another-service"
    assert api("GET", "/api/users", Cookie=jar).status == 401
    refused = api("POST", "/api/auth/refresh", {}, Cookie=jar)
    assert (refused.status, refused.json["code"]) == (401, "bad_token")
    gone = cookies_of(refused)
    assert set(gone) == {"access", "refresh", "csrf"} and all("max-age=0" in rest.lower() for rest in gone.values())
    assert api("GET", "/api/users").status == 200
