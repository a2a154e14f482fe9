"""The services under test: how each is started, alone on its core, and what it takes while it runs."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from app.backend.tests.servers import free_port
from tests.bench.ground import BenchError

from .contenders import PEERS, THREADS, cache_reads_in, command_of, is_ours
from .kernel import memory_of, processes_of, together_mib

BACKEND = Path(__file__).parents[3] / "app" / "backend"
START_LIMIT_S, STOP_LIMIT_S = 60.0, 30.0


@dataclass(frozen=True)
class Running:
    """A service that answers. `first_answer_s`: from the start of its process until it gave a user."""

    name: str
    port: int
    management_port: int
    process: subprocess.Popen[bytes]
    first_answer_s: float

    def processor_s(self) -> float:
        """Processor time of all its processes so far, user and system."""
        return sum(stat.processor_s for stat in processes_of(self.process.pid))

    def memory_mib(self) -> float:
        """Resident memory of all its processes together."""
        return together_mib(memory_of(processes_of(self.process.pid)))

    def cache_reads(self) -> tuple[int, int]:
        """Reads of users that its cache answered, and those that it did not, by its own metrics."""
        where = (self.management_port, "/actuator/prometheus") if is_ours(self.name) else (self.port, "/metrics")
        status, text = asked(where[0], "GET", where[1])
        if status != 200:
            raise BenchError(f"{self.name}: {where[1]} answers {status}")
        return cache_reads_in(text.decode())


@contextmanager
def running(
    name: str, programs: Path, environment: Mapping[str, str], core: int, folder: Path, user: tuple[int, str]
) -> Iterator[Running]:
    """The service in a process of its own, until the end of the block. `user`: whom to ask for, and by which token.

    Its log lines go to a file, as they would to a collector. Raises BenchError where it does not come up.
    """
    port, management_port = free_port(), free_port()
    own = {
        "BIND_ADDRESS": "127.0.0.1",
        "APP_PORT": str(port),
        "MANAGEMENT_PORT": str(management_port),
        "HTTP_THREADS": THREADS,
        "SHUTDOWN_DRAIN": "0",
        "PYTHONPATH": str(BACKEND if is_ours(name) else PEERS),
    }
    log = folder / f"{name}.log"
    with log.open("wb") as output:
        began = time.monotonic()
        process = subprocess.Popen(
            ["taskset", "-c", str(core), *command_of(name, programs, port)],
            env={**environment, **own},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        while not _answers(port, *user):
            if process.poll() is not None or time.monotonic() - began > START_LIMIT_S:
                raise BenchError(f"{name} does not come up:\n{log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.005)
        yield Running(name, port, management_port, process, time.monotonic() - began)
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ends all processes of the session: asked first, then made to."""
    process.send_signal(signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_LIMIT_S)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _answers(port: int, user_id: int, token: str) -> bool:
    try:
        status, _ = asked(port, "GET", f"/api/users/{user_id}", {"Authorization": f"Bearer {token}"})
    except (OSError, http.client.HTTPException):
        return False
    return status == 200


def asked(
    port: int, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
) -> tuple[int, bytes]:
    """Status and body of an answer, over a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body, dict(headers or {}))
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
