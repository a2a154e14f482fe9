"""A service at work: users that are written, read and created all the time, and whether every answer was right."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import urllib3

from app.backend.tests.auth_help import Person
from app.backend.tests.servers import until

WRITERS, READERS = 2, 3
IN_A_ROW = 5  # successes after which a worker counts as well again


@dataclass
class Written:
    """A user with one writer. `names`: all that it may have, as some writes were neither confirmed nor refused, and may
    even be carried out after later ones."""

    id: int
    email: str
    version: int
    name: str
    names: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)


class Load:
    """Works at a service in the name of an administrator, from `start` to `stop`."""

    def __init__(self, person: Person, process: Any) -> None:
        self.process = process
        self._person = person
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._in_a_row: Counter[str] = Counter()
        self._rounds: Counter[str] = Counter()
        self.statuses: Counter[tuple[str, int]] = Counter()  # ("read", 200); 0 where the service gave no answer
        self.wrong: list[str] = []
        self.created: dict[str, int] = {}  # address -> id
        self._wanted = ""
        self._failed_at = 0.0
        self._users = [self._new(number) for number in range(WRITERS)]
        works = {f"writer {user.id}": lambda user=user: self._write(user) for user in self._users}
        works |= {f"reader {number}": self._read for number in range(READERS)}
        works["creator"] = self._create
        self._threads = {name: threading.Thread(target=self._repeat, args=(name, work)) for name, work in works.items()}
        self._numbers = count()

    def start(self) -> None:
        """Sets all workers to work."""
        for thread in self._threads.values():
            thread.start()

    def stop(self) -> None:
        """Ends them."""
        self._stop.set()
        for thread in self._threads.values():
            thread.join(30)

    def work(self, rounds: int) -> None:
        """Returns when every worker has done that much more, well or not."""
        before = dict(self._rounds)
        until(lambda: all(self._rounds[name] >= before.get(name, 0) + rounds for name in self._threads), 60)

    def well_again_after(self) -> float:
        """Returns once everybody is answered with success again; how many seconds from now the last failure came."""
        with self._lock:
            began = self._failed_at = time.monotonic()
            self._in_a_row.clear()
        until(lambda: all(self._in_a_row[name] >= IN_A_ROW for name in self._threads), 60)
        return self._failed_at - began

    def answered(self, what: str, status: int) -> int:
        """How often so far."""
        return self.statuses[what, status]

    # -- the workers

    def _new(self, number: int) -> Written:
        email = f"written-{number}@example.com"
        made = self._person("POST", "/api/users", {"name": "new", "email": email})
        assert made.status == 201, made.content
        return Written(made.json["id"], email, 1, "new")

    def _repeat(self, name: str, work: Any) -> None:
        while not self._stop.is_set():
            well = work()
            with self._lock:
                self._rounds[name] += 1
                self._in_a_row[name] = self._in_a_row[name] + 1 if well else 0
                if not well:
                    self._failed_at = time.monotonic()

    def _ask(self, what: str, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """The answer; None where there was none, or a 503."""
        try:
            answer = self._person(method, path, body, **headers)
        except urllib3.exceptions.HTTPError:
            answer = None
        status = answer.status if answer is not None else 0
        with self._lock:
            self.statuses[what, status] += 1
            if status not in (0, 200, 201, 409, 503):
                self.wrong.append(f"{method} {path}: {status} {answer.content[:300]!r}")
        return answer if status in (200, 201) else None

    def _write(self, user: Written) -> bool:
        name = f"name {next(self._numbers)}"
        with user.lock:
            user.names.add(name)
        answer = self._ask("write", "PUT", f"/api/users/{user.id}", {"name": name, "email": user.email})
        if answer is None:
            return False
        version = version_of(answer)
        with user.lock:
            if version <= user.version:
                self.wrong.append(f"a write made version {version} after {user.version}")
            user.version, user.name = version, name
        return True

    def _read(self) -> bool:
        user = random.choice(self._users)
        with user.lock:
            version, name = user.version, user.name
        answer = self._ask("read", "GET", f"/api/users/{user.id}")
        if answer is None:
            return False
        seen, shown = version_of(answer), answer.json["name"]
        with user.lock:
            known = user.names | {"new"}
        if seen < version or (seen == version and shown != name) or shown not in known:
            self.wrong.append(f"read {shown!r} ({seen}) when {name!r} ({version}) was written")
        return True

    def _create(self) -> bool:
        """Asks for the same user until it is told that there is one."""
        email = self._wanted = self._wanted or f"created-{next(self._numbers)}@example.com"
        made = self._ask("create", "POST", "/api/users", {"name": "Ada", "email": email}, Idempotency_Key=email)
        if made is None:
            return False
        self.created[email], self._wanted = made.json["id"], ""
        return True

    def must_be_right(self, sql: Any) -> None:
        """After the end: what was answered is what is stored, each once."""
        assert not self.wrong, self.wrong[:5]
        # Each request has a correlation id of its own, which is noted with what it changed.
        twice = "GROUP BY correlation_id, action HAVING count(*) > 1"
        assert sql(f"SELECT action, correlation_id FROM audit_log WHERE action LIKE 'user.c%%' {twice}") == []
        stored = dict(sql("SELECT email, id FROM users WHERE email LIKE 'created-%%'"))
        assert {email: stored.get(email) for email in self.created} == self.created
        assert len(stored) - len(self.created) <= 1, "the last one may not have heard of it"
        for user in self._users:
            ((name, version),) = sql("SELECT name, version FROM users WHERE id = %s", user.id)
            assert version >= user.version and name in user.names, f"{name!r} ({version}) is stored of {user}"


def version_of(answer: Any) -> int:
    """Of the user in an answer, by its entity tag."""
    return int(answer.headers["ETag"].strip('"'))
