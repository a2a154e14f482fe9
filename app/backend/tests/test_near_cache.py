"""Copies in memory: they spare Redis, and no write is answered while any process still has the old one."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from backend.cache.invalidations import LEASE_S
from backend.cache.memory import NEVER, SHORTEST, TTL_S, Lease, Memory

from app.backend.tests.auth_help import join
from app.backend.tests.load import version_of
from app.backend.tests.servers import free_port, until
from app.backend.tests.tcp_gate import TcpGate

ADA = {"name": "Ada Lovelace", "email": "ada@example.com"}


def is_near(running: Any) -> bool:
    """Whether the service uses its memory."""
    found = running.management("GET", "/actuator/metrics/cache.near.usable").json["measurements"]
    return bool(found[0]["value"])


def named(name: str) -> dict[str, str]:
    return {"name": name, "email": "ada@example.com"}


@pytest.fixture
def near(start: Any) -> Callable[..., Any]:
    """Starts a service that uses its memory."""

    def starter(**changes: str) -> Any:
        running = start(**changes)
        until(lambda: is_near(running))
        return running

    return starter


@pytest.fixture
def gate(redis_server: Any) -> Iterator[TcpGate]:
    """A way to Redis that can be closed."""
    with TcpGate(redis_server.port) as made:
        yield made


def fill_memory(running: Any) -> None:
    """The first read fills Redis, the second one the memory."""
    for _ in range(2):
        running.api("GET", "/api/users/1")
    assert running.backend.caches.near_rows() == 1


# -- what it spares


def asked_of_redis(redis_server: Any) -> int:
    """How often so far, for copies and counts."""
    calls = redis_server.client().info("commandstats")
    return sum(calls.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in ("get", "evalsha", "incrby"))


def test_what_is_in_memory_is_read_without_redis(near: Any, redis_server: Any) -> None:
    ada = join(near(AUTH_REQUIRED="true", RATE_LIMIT_USER="0").api, "Ada")
    path = f"/api/users/{ada.id}"
    assert [ada("GET", path).headers["X-Cache"] for _ in range(2)] == ["miss", "hit"]
    before = asked_of_redis(redis_server)
    assert [ada("GET", path).headers["X-Cache"] for _ in range(5)] == ["hit"] * 5
    assert asked_of_redis(redis_server) == before


def test_a_process_without_rows_in_memory_asks_redis_each_time(near: Any, redis_server: Any) -> None:
    ada = join(near(AUTH_REQUIRED="true", NEAR_CACHE_ROWS="0").api, "Ada")
    path = f"/api/users/{ada.id}"
    ada("GET", path)
    before = asked_of_redis(redis_server)
    assert [ada("GET", path).headers["X-Cache"] for _ in range(5)] == ["hit"] * 5
    assert asked_of_redis(redis_server) >= before + 10, "session and copy"


def test_hits_in_memory_are_hits_in_the_metrics(near: Any) -> None:
    running = near()
    running.api("POST", "/api/users", ADA)
    for _ in range(4):
        running.api("GET", "/api/users/1")
    found = running.management("GET", "/actuator/metrics/cache.gets?tag=cache:users&tag=result:hit").json
    assert found["measurements"][0]["value"] == 3
    rows = running.management("GET", "/actuator/metrics/cache.near.rows").json["measurements"]
    assert rows[0]["value"] == 1


# -- what every reader may rely on


def test_a_write_in_one_process_is_seen_by_the_next_read_in_any_other(near: Any) -> None:
    services = [near().api for _ in range(3)]
    services[0]("POST", "/api/users", ADA)
    for number in range(12):
        assert {api("GET", "/api/users/1").status for api in services} == {200}
        services[number % 3]("PUT", "/api/users/1", named(f"Ada {number}"))
        assert [api("GET", "/api/users/1").json["name"] for api in services] == [f"Ada {number}"] * 3
    services[1]("DELETE", "/api/users/1")
    assert [api("GET", "/api/users/1").status for api in services] == [404] * 3


def test_a_token_that_was_revoked_in_one_process_is_refused_by_the_next_request_to_any_other(near: Any) -> None:
    here, there = (near(AUTH_REQUIRED="true").api for _ in range(2))
    ada = join(here, "Ada")
    copy_of_her_token = join(there, "Bob")
    copy_of_her_token.tokens = ada.tokens
    for _ in range(2):
        assert copy_of_her_token("GET", "/api/auth/me").status == 200
    assert ada("POST", "/api/auth/logout").status == 204
    assert copy_of_her_token("GET", "/api/auth/me").status == 401


def test_whoever_reads_after_a_write_was_answered_sees_it_wherever_they_read(near: Any, gate: TcpGate) -> None:
    """Writers and readers at random processes, of which one loses all its connections to Redis again and again."""
    services = [near().api, near().api, near(REDIS_PORT=str(gate.port)).api]
    services[0]("POST", "/api/users", ADA)
    chance, wrong, stop = random.Random(5), [], threading.Event()
    writers_turn, answered = threading.Lock(), [1]

    def write() -> None:
        for number in range(60):
            with writers_turn:
                written = version_of(chance.choice(services)("PUT", "/api/users/1", named(f"Ada {number}")))
                answered.append(written)
                seen = [version_of(api("GET", "/api/users/1")) for api in services]
            if min(seen) < written:
                wrong.append(f"wrote {written}, then read {seen}")
            if number % 10 == 9:
                gate.cut()

    def read() -> None:
        while not stop.is_set():
            least = answered[-1]
            seen = version_of(chance.choice(services)("GET", "/api/users/1"))
            if seen < least:
                wrong.append(f"read {seen} after {least} was answered")

    readers = [threading.Thread(target=read) for _ in range(3)]
    writers = [threading.Thread(target=write) for _ in range(2)]
    for thread in readers + writers:
        thread.start()
    for thread in writers:
        thread.join(60)
    stop.set()
    for thread in readers:
        thread.join(10)
    assert wrong == []


# -- when messages do not arrive


def test_a_process_that_hears_of_nothing_stops_using_its_memory_before_a_write_is_answered(
    near: Any, gate: TcpGate
) -> None:
    writer, reader = near(), near(REDIS_PORT=str(gate.port))
    writer.api("POST", "/api/users", ADA)
    assert [reader.api("GET", "/api/users/1").headers["X-Cache"] for _ in range(2)] == ["miss", "hit"]
    gate.freeze()
    began = time.monotonic()
    assert writer.api("PUT", "/api/users/1", named("Ada King")).status == 200
    assert time.monotonic() - began < LEASE_S + 2
    assert reader.api("GET", "/api/users/1").json["name"] == "Ada King"
    gate.thaw()
    until(lambda: is_near(reader))
    assert reader.api("GET", "/api/users/1").json["name"] == "Ada King"


def test_a_write_by_a_process_that_is_cut_off_from_redis_is_seen_by_all_within_a_second(
    near: Any, gate: TcpGate
) -> None:
    writer, *readers = near(REDIS_PORT=str(gate.port)), near(), near(NEAR_CACHE_ROWS="0")
    writer.api("POST", "/api/users", ADA)
    for reader in readers:
        for _ in range(2):
            assert reader.api("GET", "/api/users/1").json["name"] == "Ada Lovelace"
    gate.freeze()
    assert writer.api("PUT", "/api/users/1", named("Ada King")).status == 200
    until(lambda: all(reader.api("GET", "/api/users/1").json["name"] == "Ada King" for reader in readers), 1.0)
    until(lambda: readers[1].api("GET", "/api/users/1").headers["X-Cache"] == "hit")  # a new copy is in Redis
    assert writer.api("DELETE", "/api/users/1").status == 204
    until(lambda: all(reader.api("GET", "/api/users/1").status == 404 for reader in readers), 1.0)


def test_a_token_that_was_revoked_by_a_process_that_is_cut_off_is_refused_by_all_within_a_second(
    near: Any, gate: TcpGate
) -> None:
    cut_off = near(AUTH_REQUIRED="true", REDIS_PORT=str(gate.port)).api
    others = [near(AUTH_REQUIRED="true").api, near(AUTH_REQUIRED="true", NEAR_CACHE_ROWS="0").api]
    ada = join(cut_off, "Ada")
    for ada.api in others:
        for _ in range(2):
            assert ada("GET", "/api/auth/me").status == 200
    gate.freeze()
    ada.api = cut_off
    assert ada("POST", "/api/auth/logout").status == 204
    for ada.api in others:
        until(lambda: ada("GET", "/api/auth/me").status == 401, 1.0)


def test_what_a_process_could_not_tell_redis_is_told_by_others_after_its_end(
    near: Any, start: Any, gate: TcpGate, redis_server: Any
) -> None:
    writer, other = (near(REDIS_PORT=str(gate.port)) for _ in range(2))
    writer.api("POST", "/api/users", ADA)
    fill_memory(other)
    gate.lead_to(free_port())  # all are cut off
    assert writer.api("PUT", "/api/users/1", named("Ada King")).status == 200
    writer.backend.close()
    old = redis_server.client().get("user:{1}")
    assert "Ada Lovelace" in old
    gate.lead_to(redis_server.port)
    until(lambda: redis_server.client().get("user:{1}") != old)  # though nobody asks for anything
    assert start().api("GET", "/api/users/1").json["name"] == "Ada King"


def test_many_writes_that_redis_did_not_hear_of_are_told_together(near: Any, gate: TcpGate, redis_server: Any) -> None:
    running, redis = near(REDIS_PORT=str(gate.port)), redis_server.client()
    for number in range(40):
        running.api("POST", "/api/users", {"name": "Ada", "email": f"ada{number}@example.com"})
    gate.lead_to(free_port())
    for number in range(1, 41):
        assert running.api("DELETE", f"/api/users/{number}").status == 204
    redis.config_resetstat()
    gate.lead_to(redis_server.port)
    until(lambda: len(redis.keys("user:*")) == 40)
    told = until(lambda: redis.info("commandstats").get("cmdstat_spublish"))
    assert told["calls"] < 10, "not a message for each"


def listening(sql: Any, what: str = "count(*)") -> Any:
    """`what` of the connection over which a process hears of the database, once it does."""
    ((found,),) = sql(
        f"SELECT {what} FROM pg_stat_activity"
        " WHERE application_name = 'capstan-backend-notices' AND starts_with(query, 'LISTEN') AND state = 'idle'"
    )
    return found


def test_what_nobody_understands_in_the_database_empties_the_memory(near: Any, sql: Any) -> None:
    running = near()
    running.api("POST", "/api/users", ADA)
    until(lambda: listening(sql) == 1)
    for words in ("what is this", "users 1 x", "elephants 1 2"):
        fill_memory(running)
        sql("SELECT pg_notify('capstan_written', %s)", words)
        until(lambda: running.backend.caches.near_rows() == 0)


def test_a_process_that_the_database_told_nothing_for_a_while_forgets_all(near: Any, sql: Any) -> None:
    running = near()
    running.api("POST", "/api/users", ADA)
    until(lambda: listening(sql) == 1)
    fill_memory(running)
    assert listening(sql, "count(pg_terminate_backend(pid))") == 1
    until(lambda: running.backend.caches.near_rows() == 0)
    until(lambda: listening(sql) == 1)


def test_a_process_whose_connections_broke_forgets_all_and_begins_anew(near: Any, gate: TcpGate) -> None:
    running = near(REDIS_PORT=str(gate.port))
    running.api("POST", "/api/users", ADA)
    fill_memory(running)
    gate.cut()
    until(lambda: running.backend.caches.near_rows() == 0)
    until(lambda: is_near(running))
    assert running.api("GET", "/api/users/1").headers["X-Cache"] == "hit", "from Redis"


def test_without_redis_nothing_is_read_from_memory(near: Any, own_redis: Any, sql: Any) -> None:
    running = near()
    running.api("POST", "/api/users", ADA)
    fill_memory(running)
    own_redis.kill()
    until(lambda: not is_near(running))
    sql("UPDATE users SET name = 'changed behind the cache'")
    assert running.api("GET", "/api/users/1").json["name"] == "changed behind the cache"
    own_redis.start()
    until(lambda: is_near(running))


def test_what_nobody_understands_on_the_channel_empties_the_memory(near: Any, redis_server: Any) -> None:
    running = near()
    running.api("POST", "/api/users", ADA)
    fill_memory(running)
    assert redis_server.client().execute_command("SPUBLISH", "{capstan:written}", "what is this") == 1
    until(lambda: running.backend.caches.near_rows() == 0)
    until(lambda: is_near(running))


# -- the memory alone


@pytest.fixture
def lease() -> Lease:
    made = Lease()
    made.until = 1e9
    return made


def test_a_row_that_was_written_while_it_was_read_is_not_kept(lease: Lease) -> None:
    memory: Memory[str] = Memory(lease, 10)
    early = memory.ticket(1)
    memory.drop(1)
    memory.keep(1, "old", early, 0.0)
    assert memory.get(1, 0.0) is None
    memory.keep(1, "new", memory.ticket(1), 0.0)
    assert memory.get(1, 0.0) == "new"
    early = memory.ticket(1)
    memory.clear()
    memory.keep(1, "old", early, 0.0)
    assert memory.get(1, 0.0) is None


def test_rows_are_used_for_a_minute_at_most_and_do_not_all_end_together(lease: Lease) -> None:
    memory: Memory[str] = Memory(lease, 1000)
    for row_id in range(1000):
        memory.keep(row_id, "row", memory.ticket(row_id), 100.0)

    def left(after_s: float) -> int:
        return sum(memory.get(row_id, 100.0 + after_s) is not None for row_id in range(1000))

    assert (left(TTL_S * SHORTEST - 0.1), left(TTL_S)) == (1000, 0)
    halfway = TTL_S * (1 + SHORTEST) / 2
    assert 400 < left(halfway) < 600
    assert left(halfway - 1) - left(halfway) < 100


def test_rows_are_used_only_within_the_lease(lease: Lease) -> None:
    memory: Memory[str] = Memory(lease, 10)
    memory.keep(1, "row", memory.ticket(1), 100.0)
    lease.until = 120.0
    assert (memory.get(1, 119.9), memory.get(1, 120.0)) == ("row", None)
    memory.keep(2, "row", memory.ticket(2), 120.0)
    lease.until = 1e9
    assert memory.get(2, 120.0) is None
    lease.until = NEVER
    assert memory.get(1, 119.0) is None


def test_the_oldest_rows_give_way(lease: Lease) -> None:
    memory: Memory[str] = Memory(lease, 3)
    for row_id in (1, 2, 3, 1, 4):
        memory.keep(row_id, "row", memory.ticket(row_id), 0.0)
    assert [row_id for row_id in range(5) if memory.get(row_id, 0.0)] == [1, 3, 4]
    assert len(memory) == 3


def test_of_many_rows_some_give_way_together(lease: Lease) -> None:
    memory: Memory[str] = Memory(lease, 1000)
    for row_id in range(5000):
        memory.keep(row_id, "row", memory.ticket(row_id), 0.0)
        assert len(memory) <= 1000
    assert all(memory.get(row_id, 0.0) for row_id in range(4010, 5000))
