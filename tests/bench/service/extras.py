"""What is measured of our service alone: half of its load, many hours, many connections, how long a refusal takes."""

from __future__ import annotations

import http.client
import json
import resource
import socket
import statistics
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from itertools import cycle

from tests.bench.ground import BenchError

from .contenders import OURS
from .held import closed_among, statuses_of
from .load import Load, together
from .mixing import hits_share
from .report import apart, slope
from .turns import Bench, must_hit
from .world import TRIED

PACED_CONNECTIONS = 256  # so many that what a slow answer holds back is a small part of the load
LEAD_S = 2.0  # the first requests of that many connections make the memory grow that all later ones use again
WORKING = 100  # of many connections, those that are not only held open
CROWD_S = 10.0  # the server closes a connection that asks for nothing for 30 s
HELD_TIMEOUT_S = 30.0
SEGMENT_S = 20.0
SETTLED_MIN = 2.0  # minutes after which memory should not grow any more
WITHIN = 0.05
_SPARE_FILES = 200


def half_load(bench: Bench, most: float) -> str:
    """Latency at half of the rate `most`, after LEAD_S of the same. wrk's connections rest between requests, at random,
    so it is not fully open: a connection that waits for an answer sends nothing, but it is one of 256."""
    wanted = most / 2
    think_ms = PACED_CONNECTIONS / wanted * 1000
    with bench.warm(OURS) as service:
        bench.measured(service, "get", LEAD_S, PACED_CONNECTIONS, think_ms)
        bench.world.forget_cold()
        before = service.cache_reads()
        figures = bench.measured(service, "get", bench.seconds, PACED_CONNECTIONS, think_ms)
        must_hit(OURS, hits_share(before, service.cache_reads()))
    load = figures.load
    return (
        f"Half load: {load.per_second:.0f} requests/s of {wanted:.0f} wanted, from {PACED_CONNECTIONS} connections that"
        f" rest in between, after {LEAD_S:g} s of it: {latencies(load)}; {figures.core_share:.0%} of its core"
    )


def soak(bench: Bench, minutes: float) -> str:
    """Full load for long: how memory grows, and the slowest answers."""
    world = bench.world
    loads: list[Load] = []
    memory: list[tuple[float, float]] = []
    with bench.warm(OURS) as service:
        began, before = time.monotonic(), service.cache_reads()
        while (left_s := minutes * 60 - (time.monotonic() - began)) > 0:
            loads.append(bench.measured(service, "get", min(SEGMENT_S, left_s)).load)
            memory.append(((time.monotonic() - began) / 60, service.memory_mib()))
            print(f"  {memory[-1][0]:.1f} min: {loads[-1].per_second:.0f}/s, {memory[-1][1]:.1f} MiB", flush=True)
            world.forget_cold()
        hits = hits_share(before, service.cache_reads())
    load = together(loads)
    settled = [point for point in memory if point[0] >= SETTLED_MIN]
    grows = f"{slope(settled) * 10:+.2f} MiB in 10 min" if len(settled) > 1 else "too short to say how it grows"
    return (
        f"Soak of {minutes:g} min: {load.per_second:.0f} requests/s, {hits:.1%} hits, {latencies(load)}; memory"
        f" {memory[0][1]:.1f} to {memory[-1][1]:.1f} MiB, {grows} (after {SETTLED_MIN:g} min)"
    )


def crowd(bench: Bench, connections: int) -> str:
    """Many connections that are held open while some of them work. Raises BenchError where one of them was lost."""
    world = bench.world
    # Each in the name of another caller: one alone would soon meet the limit of requests.
    questions = (
        f"GET /api/users/{caller.id} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {world.token(caller)}\r\n\r\n"
        for caller in cycle(world.callers)
    )
    with bench.warm(OURS) as service, ExitStack() as ends:
        before_mib = service.memory_mib()
        held: list[socket.socket] = []
        try:
            for _ in range(connections - WORKING):
                held.append(ends.enter_context(socket.create_connection(("127.0.0.1", service.port), HELD_TIMEOUT_S)))
            statuses = statuses_of(held, map(str.encode, questions))
        except (OSError, http.client.HTTPException) as error:
            raise BenchError(f"After {len(held)} connections, one was not answered: {error!r}") from error
        if statuses != {200}:
            raise BenchError(f"Connections that are to be held open were answered {sorted(statuses)}.")
        figures = bench.measured(service, "get", min(bench.seconds, CROWD_S), WORKING)
        memory_mib = service.memory_mib()
        if lost := closed_among(held):
            raise BenchError(f"{lost} of {len(held)} connections that were held open were closed.")
    load = figures.load
    return (
        f"{len(held) + WORKING} connections, {WORKING} of them at work: {load.per_second:.0f} requests/s,"
        f" {latencies(load)}; memory {before_mib:.0f} MiB before, {memory_mib:.0f} MiB with all of them"
    )


def allow_files(connections: int) -> None:
    """Raises this process's limit of open files, and so its children's, to what that takes. Raises BenchError."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _SPARE_FILES
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise BenchError(f"{connections} connections take {wanted} open files; the limit is {hard} (ulimit -Hn).")
    soft = max(wanted, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def login_timing(bench: Bench) -> str:
    """Whether the time of a refusal tells that an address is known. Each try has another address: a few wrong
    passwords for one make the next wait."""
    known: list[float] = []
    unknown: list[float] = []
    with bench.warm(OURS) as service:
        connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=30)
        for number, person in enumerate(bench.world.people[:TRIED]):
            tries = [(known, person.email), (unknown, f"nobody{number}@example.com")]
            # Either is first in turn, so that neither always follows the other.
            for times, email in tries if number % 2 else reversed(tries):
                times.append(_refusal_s(connection, email))
        connection.close()
    difference = apart(known, unknown)
    verdict = "within" if difference < WITHIN else "MORE THAN"
    return (
        f"Refused logins, medians of {TRIED}: known address {statistics.median(known) * 1000:.2f} ms, unknown"
        f" {statistics.median(unknown) * 1000:.2f} ms; {difference:.1%} apart, {verdict} {WITHIN:.0%}"
    )


def latencies(load: Load) -> str:
    """The percentiles of interest."""
    return ", ".join(f"{name} {load.ms(share):.2f} ms" for name, share in _shares(load).items())


def _shares(load: Load) -> Mapping[str, float]:
    """The further out, the more answers it takes to say something."""
    shares = {"p50": 0.5, "p99": 0.99}
    if load.requests >= 10_000:
        shares["p99.9"] = 0.999
    if load.requests >= 100_000:
        shares["p99.99"] = 0.9999
    return shares


def _refusal_s(connection: http.client.HTTPConnection, email: str) -> float:
    body = json.dumps({"email": email, "password": "not the password"})
    began = time.perf_counter()
    connection.request("POST", "/api/auth/login", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    answer.read()
    took_s = time.perf_counter() - began
    if answer.status != 401:
        raise BenchError(f"A login with a wrong password was answered {answer.status}.")
    return took_s


def of_ours(bench: Bench, most: float | None, *, logins: bool, soak_min: float, connections: int) -> Iterator[str]:
    """Everything that was asked for, a sentence each. `most`: requests a second, where reads were measured."""
    if most is not None:
        yield half_load(bench, most)
    if logins:
        yield login_timing(bench)
    if connections:
        yield crowd(bench, connections)
    if soak_min:
        yield soak(bench, soak_min)
