"""Do all services make the same checks and give the same answers? Asked before each turn, so no figure is of one that
saves itself some of the work."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from app.backend.tests.servers import PASSWORD
from tests.bench.ground import BenchError

from .services import Running, asked
from .world import TRIED, Person, World

FIELDS = ("id", "name", "email", "status", "created_at", "updated_at")
_NOBODY = 2**40


class Probe:
    """Asks one service."""

    def __init__(self, service: Running, world: World) -> None:
        self._service = service
        self._world = world

    def check(self) -> None:
        """Raises BenchError for the first answer that is not as it should be."""
        self._reads()
        self._refusals()
        self._writes()
        self._logins()

    def _ask(self, wanted: int | tuple[int, ...], method: str, path: str, token: str = "", body: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        content = None if body is None else json.dumps(body).encode()
        if content:
            headers["Content-Type"] = "application/json"
        status, answer = asked(self._service.port, method, path, headers, content)
        if status not in ((wanted,) if isinstance(wanted, int) else wanted):
            said = answer[:300].decode(errors="replace")
            raise BenchError(f"{self._service.name}: {method} {path}: {status}, not {wanted}\n{said}")
        return json.loads(answer) if answer else None

    def _must_be(self, what: str, given: object, wanted: object) -> None:
        if given != wanted:
            raise BenchError(f"{self._service.name}: {what}: {given!r}, not {wanted!r}")

    def _reads(self) -> None:
        world, caller = self._world, self._world.token(self._world.callers[0])
        user_id = world.other
        row = world.rows("SELECT id, name, email, status, created_at, updated_at FROM users WHERE id = %s", user_id)
        stored = dict(zip(FIELDS, row[0], strict=True))
        for _ in ("from the database", "from the cache"):
            self._must_be("the user", user_of(self._ask(200, "GET", f"/api/users/{user_id}", caller)), stored)
        page = self._ask(200, "GET", "/api/users?limit=50", caller)
        self._must_be("a page", (len({one["id"] for one in page["items"]}), set(page)), (50, {"items", "next_cursor"}))
        self._must_be("fields of a page", set(page["items"][0]), set(FIELDS))
        self._ask(404, "GET", f"/api/users/{_NOBODY}", caller)

    def _refusals(self) -> None:
        world, caller = self._world, self._world.callers[0]
        good = world.token(caller)
        path = f"/api/users/{world.other}"
        middle = good.rindex(".") + 5
        forged = good[:middle] + ("A" if good[middle] != "A" else "B") + good[middle + 1 :]
        expired = world.token(caller, made_at=time.time() - 7200)
        logged_out = world.token(caller, login="0" * 32)
        for token in ("", forged, expired, logged_out):
            self._ask(401, "GET", path, token)
        self._ask(403, "GET", path, world.token(world.people[0]))
        self._ask(403, "POST", "/api/users", good, {"name": "Ada", "email": "ada@example.com"})

    def _writes(self) -> None:
        admin = self._world.token(self._world.admins[0])
        given = {"name": "Ada", "email": f"probe-{time.time_ns()}@example.com"}
        made = self._ask(201, "POST", "/api/users", admin, given)
        self._must_be("a new user", {name: made[name] for name in given}, given)
        self._ask(409, "POST", "/api/users", admin, given)
        self._ask((400, 422), "POST", "/api/users", admin, {"name": "", "email": "ada@example.com"})
        self._ask((400, 422), "POST", "/api/users", admin, {"name": "Ada", "email": "ada"})

    def _logins(self) -> None:
        person: Person = self._world.people[TRIED]
        given: Mapping[str, str] = {"email": person.email, "password": PASSWORD}
        self._ask(401, "POST", "/api/auth/login", body={**given, "password": "wrong"})
        self._ask(401, "POST", "/api/auth/login", body={**given, "email": "nobody@example.com"})
        tokens = self._ask(200, "POST", "/api/auth/login", body=given)
        own = self._ask(200, "GET", f"/api/users/{person.id}", tokens["access_token"])
        self._must_be("the own user", own["email"], person.email)


def user_of(answer: Mapping[str, Any]) -> dict[str, Any]:
    """A user's fields from an answer; times as moments, however they were written."""
    times = {name: datetime.fromisoformat(answer[name]) for name in ("created_at", "updated_at")}
    return {name: answer[name] for name in FIELDS} | times
