"""What the tests of authentication share: people with passwords, and requests in their name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

PASSWORD = "correct horse battery"


@dataclass
class Person:
    """A registered user with tokens; calling it sends a request in its name."""

    api: Any
    id: int
    email: str
    tokens: dict[str, Any]

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        headers.setdefault("Authorization", f"Bearer {self.tokens['access_token']}")
        return self.api(method, path, body, **headers)


def log_in(api: Any, email: str, password: str = PASSWORD) -> Any:
    """The answer to a login."""
    return api("POST", "/api/auth/login", {"email": email, "password": password})


def join(api: Any, name: str, sql: Any = None, role: str = "user") -> Person:
    """Somebody new, logged in; `role` is written past the service."""
    email = f"{name.lower()}@example.com"
    made = api("POST", "/api/auth/register", {"name": name, "email": email, "password": PASSWORD})
    assert made.status == 201, made.content
    if role != "user":
        sql("UPDATE accounts SET role = %s, version = version + 1 WHERE user_id = %s", role, made.json["id"])
    answer = log_in(api, email)
    assert answer.status == 200, answer.content
    return Person(api, made.json["id"], email, answer.json)
