"""Real servers for the tests: PostgreSQL 15 and Redis, each started once a session on a free port.

A test has a database and a Redis database of its own.
"""

from __future__ import annotations

import itertools
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import redis
import urllib3
from backend.assembly import Backend, assemble
from backend.config import Database, Settings, settings_from_env
from backend.management import serve_in_background
from backend.migrations.runner import connect, migrate
from backend.migrations.scripts import SQL_FOLDER, scripts_in

POSTGRES = Path("/usr/lib/postgresql/15/bin")
BACKEND = Path(__file__).parents[1]
PASSWORD = "s3cret-pa55"
_numbers = itertools.count(1)


def free_port() -> int:
    """A port nobody listens on at the moment."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(condition: Callable[[], Any], timeout_s: float = 20.0) -> Any:
    """The first true answer of `condition`; fails the test when there is none in time."""
    deadline = time.monotonic() + timeout_s
    while True:
        answer = condition()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"still not so after {timeout_s} s"
        threading.Event().wait(0.02)


@pytest.fixture(name="until")
def _until() -> Callable[..., Any]:
    """`until`, for tests."""
    return until


class Postgres:
    """A PostgreSQL server of its own, which refuses to run as root."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._folder = folder
        self._as = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
        if self._as:
            owner = pwd.getpwnam("postgres")
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        secret = folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        self._run("initdb", "-N", "-U", "app", "-A", "scram-sha-256", f"--pwfile={secret}", "-E", "UTF8", "--locale=C")
        self.start()

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(POSTGRES / program), "-D", str(self._folder / "data"), *arguments]
        subprocess.run(command, check=True, capture_output=True, cwd="/", **self._as)  # type: ignore[call-overload]

    def start(self) -> None:
        """Starts it and waits until it accepts connections."""
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -k {self._folder} -c fsync=off -c max_connections=60"
        self._run("pg_ctl", "-w", "-l", str(self._folder / "log"), "-o", options, "start")

    def stop(self) -> None:
        """Stops it, ending every connection; nothing to do where it is stopped."""
        if (self._folder / "data" / "postmaster.pid").exists():
            self._run("pg_ctl", "-w", "-m", "immediate", "stop")

    def database(self, name: str) -> Database:
        """The settings for one of its databases, with patience fit for tests."""
        return Database(
            host="127.0.0.1", port=self.port, name=name, user="app", password=PASSWORD, connection_timeout_s=5, wait_s=5
        )


class RedisServer:
    """A Redis server of its own that can be killed and brought back, empty."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._folder = folder
        self.start()

    def start(self) -> None:
        """Starts it and waits until it answers."""
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir"]
        command += [str(self._folder), "--requirepass", PASSWORD]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        until(self._answers)

    def _answers(self) -> bool:
        try:
            return bool(self.client().ping())
        except redis.RedisError:
            return False

    def kill(self) -> None:
        """Kills it without a word to its clients."""
        self._process.kill()
        self._process.wait()

    def client(self, number: int = 0) -> redis.Redis:
        """A client that shares no code with the service's."""
        return redis.Redis(port=self.port, password=PASSWORD, db=number, decode_responses=True)


@contextmanager
def _folder(prefix: str) -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix=prefix))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """PostgreSQL 15, for the whole session."""
    with _folder("capstan-pg-") as folder:
        server = Postgres(folder)
        yield server
        server.stop()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """Redis, for the whole session."""
    with _folder("capstan-redis-") as folder:
        server = RedisServer(folder)
        yield server
        server.kill()


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
    """Sends requests to one port."""

    def __init__(self, port: int) -> None:
        self._base = f"http://127.0.0.1:{port}"
        self._pool = urllib3.PoolManager(retries=False, timeout=20)

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        """`body` is sent as JSON, bytes as they are; underscores in header names stand for hyphens."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            named.setdefault("Content-Type", "application/json")
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        answer = self._pool.request(method, self._base + path, body=data, headers=named)
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
        return Running(service, management, backend)

    yield starter
    for step in undo:
        step()


@pytest.fixture
def api(start: Callable[..., Running]) -> Api:
    """A running service's port."""
    return start().api


class Process:
    """``python -m backend`` as a process, as the container runs it."""

    def __init__(self, environment: dict[str, str], module: str = "backend", *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(BACKEND)} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
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

    def ended(self) -> tuple[int, str, str]:
        """Exit status, standard output and standard error, once it has ended by itself."""
        output, errors = self.process.communicate(timeout=30)
        return self.process.returncode, output, errors


@pytest.fixture
def launch(environment: dict[str, str]) -> Iterator[Callable[..., Process]]:
    """Launches the service as a process of its own; keyword arguments change its environment."""
    launched: list[Process] = []

    def launcher(*arguments: str, module: str = "backend", **changes: str) -> Process:
        process = Process(environment | changes, module, *arguments)
        launched.append(process)
        return process

    yield launcher
    for process in launched:
        if process.process.poll() is None:
            process.terminate()
            process.ended()
