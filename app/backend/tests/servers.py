"""Real PostgreSQL 15 and Redis servers on free ports, for tests and for trying the application by hand."""

from __future__ import annotations

import itertools
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import redis
from backend.config import Database

POSTGRES = Path("/usr/lib/postgresql/15/bin")
PASSWORD = "s3cret-pa55"


# Below those of outgoing connections, one of which could take a port before the server that is to have it is there. A
# node of a Redis cluster also takes the one 10,000 above.
_PORTS = range(10_300, 20_000)
_turn = itertools.count(secrets.randbelow(len(_PORTS)))  # other processes begin elsewhere


def free_port() -> int:
    """A port nobody listens on at the moment; the next one is another, though nobody listens on this one yet."""
    while True:
        port = _PORTS[next(_turn) % len(_PORTS)]
        with closing(socket.socket()) as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def until(condition: Callable[[], Any], timeout_s: float = 20.0) -> Any:
    """The first true answer of `condition`; fails the test when there is none in time."""
    deadline = time.monotonic() + timeout_s
    while True:
        answer = condition()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"still not so after {timeout_s} s"
        threading.Event().wait(0.02)


class Postgres:
    """A PostgreSQL server of its own, which refuses to run as root; a streaming replica where it has a primary.
    `durable`: it waits for the disk, as a real one."""

    def __init__(self, folder: Path, primary: Postgres | None = None, *, durable: bool = False) -> None:
        self.port = free_port()
        self._fsync = "on" if durable else "off"
        self._folder = folder
        self._as = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
        if self._as:
            owner = pwd.getpwnam("postgres")
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        if primary is not None:
            source = ("-h", "127.0.0.1", "-p", str(primary.port), "-U", "app", "-c", "fast", "-N")
            self._run("pg_basebackup", *source, "--write-recovery-conf", PGPASSWORD=PASSWORD)
        else:
            self._initialize()
        self.start()

    def _initialize(self) -> None:
        secret = self._folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        self._run("initdb", "-N", "-U", "app", "-A", "scram-sha-256", f"--pwfile={secret}", "-E", "UTF8", "--locale=C")

    def _run(self, program: str, *arguments: str, **environment: str) -> None:
        command = [str(POSTGRES / program), "-D", str(self._folder / "data"), *arguments]
        env = os.environ | environment
        subprocess.run(command, check=True, capture_output=True, cwd="/", env=env, **self._as)  # type: ignore[call-overload]

    def start(self) -> None:
        """Starts it and waits until it accepts connections."""
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -k {self._folder} -c max_connections=60"
        options += f" -c fsync={self._fsync}"
        self._run("pg_ctl", "-w", "-l", str(self._folder / "log"), "-o", options, "start")

    def stop(self, mode: str = "immediate") -> None:
        """Stops it, ending every connection; nothing to do where it is stopped. After "immediate" it has to recover, as
        after a crash, which takes long where it had much to do; after "fast" it has not."""
        if (self._folder / "data" / "postmaster.pid").exists():
            self._run("pg_ctl", "-w", "-m", mode, "stop")

    def promote(self) -> None:
        """Makes a replica a primary."""
        self._run("pg_ctl", "-w", "promote")

    def database(self, name: str) -> Database:
        """The settings for one of its databases, with patience fit for tests."""
        return Database(
            host="127.0.0.1", port=self.port, name=name, user="app", password=PASSWORD, connection_timeout_s=5, wait_s=5
        )


class RedisServer:
    """A Redis server of its own that can be killed and brought back, empty."""

    def __init__(self, folder: Path, port: int | None = None, *options: str) -> None:
        self.port = port or free_port()
        self._folder = folder
        self._options = options
        self.start()

    def start(self) -> None:
        """Starts it and waits until it answers."""
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir"]
        command += [str(self._folder), "--requirepass", PASSWORD, *self._options]
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

    def client(self, number: int = 0, *, text: bool = True) -> redis.Redis:
        """A client that shares no code with the service's; without `text` what it gives are bytes."""
        return redis.Redis(port=self.port, password=PASSWORD, db=number, decode_responses=text)


@contextmanager
def scratch_folder(prefix: str) -> Iterator[Path]:
    """A folder that is gone afterwards."""
    path = Path(tempfile.mkdtemp(prefix=prefix))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
