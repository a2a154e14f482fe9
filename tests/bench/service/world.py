"""What the services are measured in: PostgreSQL, Redis, users with logins and their tokens, prepared requests.

All services work on the same tables with the same tokens. Each has keys of its own in Redis, which is emptied before a
service's turn.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import time
from collections.abc import Iterable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Self

import psycopg2
import redis
from argon2 import PasswordHasher
from backend.cache.users import user_key
from backend.keys import Key, KeyRing
from backend.migrations.runner import connect, migrate
from backend.migrations.scripts import SQL_FOLDER, scripts_in
from backend.service.passwords import LANES, MEMORY_KIB, PASSES
from backend.service.tokens import Tokens

from app.backend.tests.redis_cluster import RedisCluster
from app.backend.tests.servers import PASSWORD, Postgres, RedisServer, scratch_folder

from .contenders import CLUSTERED
from .load import Requests
from .mixing import mixed

CALLERS, ADMINS, PEOPLE, OTHERS = 10_000, 100, 3_000, 200_000
TRIED = 500  # of the people: those whose passwords are tried
CONNECTIONS = 32  # keeps eight threads busy, and does not measure queues alone
LOGIN_CONNECTIONS = 8
FRESH_S = 1800  # tokens hold for an hour; they are made again after half of it
FASTEST = 60_000  # requests a second that are prepared for: nobody is faster, and reading more takes wrk time
_SEED = 4711


@dataclass(frozen=True)
class Person:
    """A user who logged in once."""

    id: int
    email: str
    login: str


class World:
    """`with World() as world:`; afterwards nothing of it is left."""

    def __init__(self) -> None:
        self._ends = ExitStack()
        self._key = Key("bench", secrets.token_bytes(32))
        self._tokens_made = 0.0
        self._creates = 0
        self._redis_cluster: RedisCluster | None = None

    def __enter__(self) -> Self:
        with ExitStack() as ends:
            self.folder = ends.enter_context(scratch_folder("capstan-bench-"))
            self._postgres = Postgres(ends.enter_context(scratch_folder("capstan-bench-pg-")), durable=True)
            ends.callback(self._postgres.stop)
            self._redis = RedisServer(ends.enter_context(scratch_folder("capstan-bench-redis-")))
            ends.callback(self._redis.kill)
            self.database = self._postgres.database("postgres")
            self._fill()
            self._ends = ends.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.close()

    # -- how services find it -----------------------------------------------------------------------------------
    def environment(self, name: str) -> dict[str, str]:
        """What a service is told. `JWT_SECRET` is for the peers: what access tokens are signed with."""
        cache = {"REDIS_PORT": str(self._redis.port)}
        if name == CLUSTERED:
            cache = {"REDIS_PORT": str(self._cluster().nodes[0].port), "REDIS_CLUSTER": "true"}
        limit = "1000"  # requests a minute: counted, never reached
        key = [{"kid": self._key.kid, "key": base64.b64encode(self._key.secret).decode()}]
        return {
            "PATH": os.environ["PATH"],
            "DATABASE_HOST": self.database.host,
            "DATABASE_PORT": str(self.database.port),
            "DATABASE_NAME": self.database.name,
            "DATABASE_USER": self.database.user,
            "DATABASE_PASSWORD": PASSWORD,
            "REDIS_HOST": "127.0.0.1",
            **cache,
            "REDIS_PASSWORD": PASSWORD,
            "AUTH_KEYS": json.dumps(key),
            "AUTH_COOKIE_SECURE": "false",
            "JWT_SECRET": base64.b64encode(self._key.mac(b"derive", b"access")).decode(),
            "RATE_LIMIT_USER": limit,
            "RATE_LIMIT_IP": limit,
            "TRACE_SAMPLING": "0.1",
        }

    def empty_cache(self, name: str) -> None:
        """Of what this service asks."""
        with closing(self._client(name)) as client:
            client.flushall()

    def _client(self, name: str) -> redis.Redis | redis.RedisCluster:
        return self._cluster().client() if name == CLUSTERED else self._redis.client()

    def _cluster(self) -> RedisCluster:
        """Started when it is first needed."""
        if self._redis_cluster is None:
            self._redis_cluster = RedisCluster(self._ends.enter_context(scratch_folder("capstan-bench-cluster-")))
            self._ends.callback(self._redis_cluster.kill)
        return self._redis_cluster

    def rows(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """What a statement gives, past the services."""
        with closing(connect(self.database)) as connection, connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            return cursor.fetchall() if cursor.description else []

    # -- tokens -------------------------------------------------------------------------------------------------
    def token(self, person: Person, *, made_at: float | None = None, login: str = "") -> str:
        """An access token as the service would make it."""
        tokens = Tokens(KeyRing([self._key]), time.time if made_at is None else lambda: made_at)
        return tokens.access(person.id, login or person.login)

    def _tokens_of(self, name: str) -> Path:
        if time.time() - self._tokens_made > FRESH_S:
            tokens = Tokens(KeyRing([self._key]))
            for each, whose in (("callers", self.callers), ("admins", self.admins)):
                _lines(self.folder / f"{each}.tokens", (tokens.access(one.id, one.login) for one in whose))
            self._tokens_made = time.time()
        return self.folder / f"{name}.tokens"

    # -- prepared requests --------------------------------------------------------------------------------------
    def requests(self, operation: str, seconds: float, connections: int = CONNECTIONS) -> Requests:
        """Those of one operation: get, list, create, login. The same in every turn, but for new users' addresses."""
        count = round(FASTEST * seconds)
        if operation == "get":
            ids = islice(mixed([one.id for one in self.callers], self.cold, _SEED), count)
            paths = _lines(self.folder / "get.paths", (f"/api/users/{one}" for one in ids))
            tokens = self._tokens_of("callers")
            return Requests(method="GET", paths=paths, tokens=tokens, connections=connections)
        if operation == "list":
            tokens = self._tokens_of("callers")
            paths = _lines(self.folder / "list.paths", ["/api/users?limit=50"])
            return Requests(method="GET", paths=paths, tokens=tokens, connections=connections)
        if operation == "create":
            tokens = self._tokens_of("admins")
            paths = _lines(self.folder / "create.paths", ["/api/users"])
            bodies = self._new_people(count)
            return Requests(method="POST", paths=paths, tokens=tokens, bodies=bodies, connections=connections)
        paths = _lines(self.folder / "login.paths", ["/api/auth/login"])
        given = ({"email": one.email, "password": PASSWORD} for one in self.people[TRIED:])
        bodies = _lines(self.folder / "login.bodies", map(json.dumps, given))
        return Requests(method="POST", paths=paths, bodies=bodies, connections=min(connections, LOGIN_CONNECTIONS))

    def forget_cold(self) -> None:
        """Makes misses again of the users that our service was asked for once."""
        with closing(self._redis.client()) as client:
            left = iter(self.cold)
            while some := list(islice(left, 10_000)):
                client.unlink(*map(user_key, some))

    def _new_people(self, count: int) -> Path:
        """Bodies for creation, whose addresses nobody had in the runs before, either."""
        self._creates += 1
        number = self._creates
        bodies = (f'{{"name":"New {n}","email":"new{number}-{n}@example.com"}}' for n in range(count))
        return _lines(self.folder / "create.bodies", bodies)

    # -- filling ------------------------------------------------------------------------------------------------
    def _fill(self) -> None:
        hashed = PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES).hash(PASSWORD)
        with closing(connect(self.database)) as connection:
            migrate(connection, scripts_in(SQL_FOLDER), 5)
            connection.cursor().execute("SET statement_timeout = 0")
            self.callers = _accounts(connection, "caller", CALLERS, "auditor", hashed)
            self.admins = _accounts(connection, "admin", ADMINS, "admin", hashed)
            self.people = _accounts(connection, "person", PEOPLE, "user", hashed)
            self.other, *self.cold = _users(connection, "other", OTHERS)
            with connection.cursor() as cursor:
                cursor.execute("VACUUM ANALYZE")


def _users(connection: psycopg2.extensions.connection, name: str, count: int) -> list[int]:
    """New users' ids."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO users (name, email) SELECT initcap(%(name)s) || ' ' || n, %(name)s || n || '@example.com'"
            " FROM generate_series(1, %(count)s) n RETURNING id",
            {"name": name, "count": count},
        )
        return [row[0] for row in cursor.fetchall()]


def _accounts(
    connection: psycopg2.extensions.connection, name: str, count: int, role: str, password: str
) -> list[Person]:
    """New users with a password, a role and a login each."""
    ids = _users(connection, name, count)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO accounts (user_id, password, role) SELECT id, %s, %s FROM unnest(%s) id", (password, role, ids)
        )
        cursor.execute(
            "WITH made AS (INSERT INTO logins (id, user_id, expires_at) SELECT gen_random_uuid(), id,"
            " now() + interval '7 days' FROM unnest(%s) id RETURNING id, user_id)"
            " SELECT u.id, u.email, replace(made.id::text, '-', '') FROM made JOIN users u ON u.id = made.user_id"
            " ORDER BY u.id",
            (ids,),
        )
        return [Person(*row) for row in cursor.fetchall()]


def _lines(path: Path, lines: Iterable[str]) -> Path:
    with path.open("w") as file:
        file.writelines(f"{line}\n" for line in lines)
    return path
