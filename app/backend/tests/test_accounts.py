"""What operators do in the container: `python -m backend.accounts`."""

from __future__ import annotations

from typing import Any

from app.backend.tests.auth_help import PASSWORD, join, log_in


def test_an_operator_makes_the_first_administrator(start: Any, launch: Any) -> None:
    api = start(AUTH_REQUIRED="true").api
    ada = join(api, "Ada")
    assert ada("GET", "/api/users").status == 403
    assert launch("role", "ADA@example.com", "admin", module="backend.accounts").ended()[0] == 0
    assert ada("GET", "/api/users").status == 200
    status, _, said = launch("role", "nobody@example.com", "admin", module="backend.accounts").ended()
    assert (status, said) == (1, "There is no user nobody@example.com.\n")


def test_an_operator_sets_a_password_which_ends_all_logins(start: Any, launch: Any) -> None:
    api = start(AUTH_REQUIRED="true").api
    ada = join(api, "Ada")
    assert ada("GET", "/api/auth/me").status == 200
    status, _, said = launch("password", ada.email, module="backend.accounts").ended("too short\n")
    assert (status, said) == (1, "The password must have 12 to 200 characters.\n")
    assert ada("GET", "/api/auth/me").status == 200
    assert launch("password", ada.email, module="backend.accounts").ended("set by an operator\n")[0] == 0
    assert ada("GET", "/api/auth/me").status == 401
    assert (log_in(api, ada.email).status, log_in(api, ada.email, "set by an operator").status) == (401, 200)


def test_a_user_whom_an_administrator_made_can_be_given_a_password(start: Any, launch: Any) -> None:
    api = start(AUTH_REQUIRED="false").api
    assert api("POST", "/api/users", {"name": "Ada", "email": "ada@example.com"}).status == 201
    said = launch("role", "ada@example.com", "admin", module="backend.accounts").ended()[2]
    assert said == "ada@example.com has no account yet: set a password first.\n"
    assert log_in(api, "ada@example.com").status == 401
    assert launch("password", "ada@example.com", module="backend.accounts").ended(f"{PASSWORD}\n")[0] == 0
    assert log_in(api, "ada@example.com").status == 200
