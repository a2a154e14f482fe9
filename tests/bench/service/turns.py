"""A service's turn: started on its core with an empty cache, probed, warmed up, measured, stopped."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.ground import BenchError

from .kernel import Cores, busy_s
from .load import sent
from .mixing import HITS_LEAST, HITS_MOST, hits_share
from .probe import Probe
from .report import Measured, Turn
from .services import Running, running
from .world import CONNECTIONS, World

OPERATIONS = ("get", "list", "create", "login")
_CLIENTS, _CHUNK = 8, 100


@dataclass(frozen=True)
class Bench:
    """Where turns take place. `seconds`: how long each operation is measured."""

    world: World
    programs: Path
    cores: Cores
    seconds: float

    @contextmanager
    def warm(self, name: str) -> Iterator[Running]:
        """The service as it is after a while: every caller is in its cache."""
        world = self.world
        world.empty_cache(name)
        user = (world.callers[0].id, world.token(world.callers[0]))
        folder, environment = world.folder, world.environment(name)
        with running(name, self.programs, environment, self.cores.service, folder, user) as service:
            Probe(service, world).check()
            own = [(caller.id, world.token(caller)) for caller in world.callers]
            ask_all(service.port, own * 2)  # what is asked for again may be kept closer
            yield service

    def turn(self, name: str, operations: Iterable[str]) -> Turn:
        """One service's figures. Raises BenchError."""
        with self.warm(name) as service:
            figures, hits, warm_mib = {}, None, service.memory_mib()
            for operation in operations:
                before = service.cache_reads()
                figures[operation] = self.measured(service, operation, self.seconds)
                if operation == "get":
                    hits = hits_share(before, service.cache_reads())
                    must_hit(name, hits)
            return Turn(service.first_answer_s, warm_mib, service.memory_mib(), figures, hits)

    def measured(
        self, service: Running, operation: str, seconds: float, connections: int = CONNECTIONS, think_ms: float = 0.0
    ) -> Measured:
        """One operation under load."""
        others, requests = self.cores.others, self.world.requests(operation, seconds, connections)
        began, service_s, others_s = time.monotonic(), service.processor_s(), busy_s(others)
        load = sent(service.port, requests, seconds, think_ms)
        took_s, service_s = time.monotonic() - began, service.processor_s() - service_s
        others_s = busy_s(others) - others_s
        # wrk reads its files before it begins, which keeps its core busy and the service idle.
        return Measured(load, service_s / load.seconds, others_s / took_s / len(others))


def must_hit(name: str, hits: float) -> None:
    """Raises BenchError where the cache did not answer as many reads as it should have."""
    if not HITS_LEAST <= hits <= HITS_MOST:
        raise BenchError(
            f"{name}: the cache answered {hits:.1%} of the reads, not {HITS_LEAST:.0%} to {HITS_MOST:.0%}."
            " Either it does not keep what it should, or the users that nobody asked for ran out: take fewer --seconds."
        )


def ask_all(port: int, pairs: Sequence[tuple[int, str]]) -> None:
    """Asks for each user once, (id, token), from several threads. Raises BenchError where an answer is not 200."""

    def ask(some: Sequence[tuple[int, str]]) -> None:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
            for user_id, token in some:
                connection.request("GET", f"/api/users/{user_id}", headers={"Authorization": f"Bearer {token}"})
                answer = connection.getresponse()
                text = answer.read()
                if answer.status != 200:
                    raise BenchError(f"GET /api/users/{user_id}: {answer.status}: {text[:300]!r}")

    with ThreadPoolExecutor(_CLIENTS) as pool:
        try:
            list(pool.map(ask, (pairs[at : at + _CHUNK] for at in range(0, len(pairs), _CHUNK))))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def interleaved(bench: Bench, names: Sequence[str], operations: Sequence[str], rounds: int) -> dict[str, list[Turn]]:
    """Every service's turns: each round has one of each, so what slows the machine for a while slows all of them."""
    results: dict[str, list[Turn]] = {name: [] for name in names}
    for number in range(rounds):
        for name in names:
            began = time.monotonic()
            turn = bench.turn(name, operations)
            results[name].append(turn)
            rates = ", ".join(f"{what} {one.load.per_second:.0f}/s" for what, one in turn.operations.items())
            print(f"  round {number + 1}: {name}: {rates} ({time.monotonic() - began:.0f} s)", flush=True)
    return results
