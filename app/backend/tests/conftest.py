"""Real servers for the tests: PostgreSQL 15 and Redis, each started once a session on a free port.

A test has a database and a Redis database of its own.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import urllib3
from backend.assembly import Backend, assemble
from backend.config import Database, Settings
from backend.environment import settings_from_env
from backend.management import serve_in_background
from backend.migrations.runner import connect, migrate
from backend.migrations.scripts import SQL_FOLDER, scripts_in

from app.backend.tests.collector import Collector, collect
from app.backend.tests.contract import Contract
from app.backend.tests.servers import PASSWORD, Postgres, RedisServer, free_port, scratch_folder, until

AUTH_KEYS = json.dumps([{"kid": "k1", "key": base64.b64encode(b"a signing key, thirty-two bytes.").decode()}])
BACKEND = Path(__file__).parents[1]
_numbers = itertools.count(1)


@pytest.fixture(name="until")
def _until() -> Callable[..., Any]:
    """`until`, for tests."""
    return until


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """PostgreSQL 15, for the whole session."""
    with scratch_folder("capstan-pg-") as folder:
        server = Postgres(folder)
        yield server
        server.stop()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """Redis, for the whole session."""
    with scratch_folder("capstan-redis-") as folder:
        server = RedisServer(folder)
        yield server
        server.kill()


@pytest.fixture
def own_redis(redis_server: RedisServer) -> Iterator[RedisServer]:
    """Redis, alive again afterwards whatever the test did to it."""
    yield redis_server
    redis_server.kill()
    redis_server.start()


@pytest.fixture
def empty_database(postgres: Postgres) -> Database:
    """A database with nothing in it."""
    name = f"test_{next(_numbers)}"
    with closing(connect(postgres.database("postgres"))) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    return postgres.database(name)


@pytest.fixture
def database(empty_database: Database) -> Database:
    """A database with the schema."""
    with closing(connect(empty_database)) as connection:
        migrate(connection, scripts_in(SQL_FOLDER), 5)
    return empty_database


@pytest.fixture
def sql(database: Database) -> Iterator[Callable[..., list[tuple[Any, ...]]]]:
    """Runs a statement on the test's database, past the service."""
    connection = psycopg2.connect(
        host=database.host, port=database.port, dbname=database.name, user="app", password=PASSWORD
    )
    connection.autocommit = True

    def run(statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        with connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            return cursor.fetchall() if cursor.description else []

    with closing(connection):
        yield run


@pytest.fixture
def environment(database: Database, redis_server: RedisServer) -> dict[str, str]:
    """The environment of a service on free ports, with the test's database and an empty Redis."""
    redis_server.client().flushall()
    return {
        "DATABASE_HOST": database.host,
        "DATABASE_PORT": str(database.port),
        "DATABASE_NAME": database.name,
        "DATABASE_USER": "app",
        "DATABASE_PASSWORD": PASSWORD,
        "DATABASE_CONNECTION_TIMEOUT": "5",
        "REDIS_HOST": "127.0.0.1",
        "REDIS_PORT": str(redis_server.port),
        "REDIS_PASSWORD": PASSWORD,
        "AUTH_REQUIRED": "false",
        "AUTH_KEYS": AUTH_KEYS,
        "AUTH_COOKIE_SECURE": "false",
        "RATE_LIMIT_USER": "0",
        "RATE_LIMIT_IP": "0",
        "BIND_ADDRESS": "127.0.0.1",
        "APP_PORT": str(free_port()),
        "MANAGEMENT_PORT": str(free_port()),
        "SHUTDOWN_DRAIN": "0.5",
    }


@dataclass(frozen=True)
class Reply:
    """An HTTP answer."""

    status: int
    headers: urllib3.HTTPHeaderDict
    content: bytes

    @property
    def json(self) -> Any:
        """The decoded body."""
        return json.loads(self.content)


class Api:
    """Sends requests to one port. With a contract, no answer may be other than that says."""

    def __init__(self, port: int, contract: Contract | None = None) -> None:
        self.base = f"http://127.0.0.1:{port}"
        self._contract = contract
        self._pool = urllib3.PoolManager(retries=False, timeout=20)

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        """`body` is sent as JSON, bytes as they are; underscores in header names stand for hyphens."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            named.setdefault("Content-Type", "application/json")
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        answer = self._pool.request(method, self.base + path, body=data, headers=named)
        if self._contract is not None:
            self._contract.check(method, path, answer.status, answer.headers, answer.data)
        return Reply(answer.status, answer.headers, answer.data)


@dataclass(frozen=True)
class Running:
    """A service in this process, behind real sockets."""

    api: Api
    management: Api
    backend: Backend


@pytest.fixture
def start(environment: dict[str, str]) -> Iterator[Callable[..., Running]]:
    """Starts a service in this process; keyword arguments change its environment."""
    undo: list[Callable[[], None]] = []

    def starter(**changes: str) -> Running:
        settings: Settings = settings_from_env(environment | changes)
        backend = assemble(settings)
        servers = [serve_in_background(app, "127.0.0.1", 0, 0.02) for app in (backend.service, backend.management)]
        undo.extend([backend.close, *(server.shutdown for server in servers)])
        undo.extend(server.server_close for server in servers)
        service, management = (Api(server.server_port) for server in servers)
        contract = Contract(service("GET", "/api/openapi.json").json)
        return Running(Api(servers[0].server_port, contract), management, backend)

    yield starter
    for step in undo:
        step()


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A collector of traces, which takes everything."""
    running = collect()
    yield running
    running.stop()


@pytest.fixture
def api(start: Callable[..., Running]) -> Api:
    """A running service's port."""
    return start().api


class Process:
    """``python -m backend`` as a process, as the container runs it."""

    def __init__(
        self, environment: dict[str, str], module: str = "backend", *arguments: str, output: Any = subprocess.PIPE
    ) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(BACKEND)} | environment,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            text=True,
        )
        self.api = Api(int(environment["APP_PORT"]))
        self.management = Api(int(environment["MANAGEMENT_PORT"]))

    def ready(self) -> bool:
        """Whether it serves and says that it is ready."""
        try:
            return self.management("GET", "/actuator/health/readiness").status == 200 and bool(
                self.api("GET", "/api/settings")
            )
        except urllib3.exceptions.HTTPError:
            return False

    def terminate(self) -> None:
        """What Kubernetes sends first."""
        self.process.send_signal(signal.SIGTERM)

    def pids(self) -> list[int]:
        """Its own number, and its worker's."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [self.process.pid, *map(int, children.split())]

    def metric(self, name: str) -> float:
        """A metric's value."""
        return float(self.management("GET", f"/actuator/metrics/{name}").json["measurements"][0]["value"])

    def ended(self, given: str = "") -> tuple[int, str, str]:
        """Exit status, standard output and standard error, once it has ended by itself. `given`: on standard input."""
        output, errors = self.process.communicate(given, timeout=30)
        return self.process.returncode, output, errors


@pytest.fixture
def launch(environment: dict[str, str]) -> Iterator[Callable[..., Process]]:
    """Launches the service as a process of its own; keyword arguments change its environment. `output`: a file."""
    launched: list[Process] = []

    def launcher(*arguments: str, module: str = "backend", output: Any = subprocess.PIPE, **changes: str) -> Process:
        process = Process(environment | changes, module, *arguments, output=output)
        launched.append(process)
        return process

    yield launcher
    for process in launched:
        if process.process.poll() is None:
            process.terminate()
            process.ended()
