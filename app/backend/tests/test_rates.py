"""Limits of requests a minute, and that all that a request asks Redis for is one message."""

from __future__ import annotations

import dataclasses
import threading
import time
from typing import Any

import pytest
from backend.cache.link import Link
from backend.cache.rates import WINDOW_S, Limit, Rates, asks
from backend.cache.wire import SingleWire

from app.backend.tests.auth_help import join, log_in
from app.backend.tests.parts import Clock, wire_settings
from app.backend.tests.tcp_gate import TcpGate

PROXY = {"TRUSTED_PROXIES": "127.0.0.0/8"}


def statuses(person: Any, count: int, method: str = "GET", path: str = "/api/auth/me", body: Any = None) -> list[int]:
    return [person(method, path, body).status for _ in range(count)]


def test_a_caller_has_so_many_requests_a_minute_and_is_told_how_many_are_left(start: Any) -> None:
    ada = join(start(AUTH_REQUIRED="true", RATE_LIMIT_USER="3").api, "Ada")
    first = ada("GET", f"/api/users/{ada.id}")
    assert (first.headers["RateLimit-Policy"], first.headers["RateLimit"]) == ('"user";q=3;w=60', '"user";r=2')
    assert statuses(ada, 2, path=f"/api/users/{ada.id}") == [200, 200]
    refused = ada("GET", f"/api/users/{ada.id}")
    assert (refused.status, refused.json["code"]) == (429, "too_many_requests")
    assert 1 <= int(refused.headers["Retry-After"]) <= 60


def test_reads_writes_and_authentication_are_counted_apart(start: Any, redis_server: Any) -> None:
    ada = join(start(AUTH_REQUIRED="true", RATE_LIMIT_USER="1").api, "Ada")
    body = {"name": "Ada", "email": ada.email}
    assert statuses(ada, 2, path=f"/api/users/{ada.id}") == [200, 429]
    assert statuses(ada, 2, "PUT", f"/api/users/{ada.id}", body) == [200, 429]
    assert statuses(ada, 2) == [200, 429]
    keys = set(redis_server.client().scan_iter("rate:*"))
    assert keys == {f"rate:{{{ada.id}}}:{kind}" for kind in ("read", "write", "auth")}
    assert all(0 < redis_server.client().ttl(key) <= 60 for key in keys)


def test_callers_and_processes_count_together_in_redis_and_each_caller_alone(start: Any) -> None:
    here, there = (start(AUTH_REQUIRED="true", RATE_LIMIT_USER="4").api for _ in range(2))
    ada, bob = join(here, "Ada"), join(here, "Bob")
    assert statuses(ada, 2) == [200, 200]
    ada.api = there
    assert statuses(ada, 3) == [200, 200, 429]
    assert statuses(bob, 1) == [200]


def test_a_count_begins_anew_when_its_minute_is_over(start: Any, redis_server: Any) -> None:
    ada = join(start(AUTH_REQUIRED="true", RATE_LIMIT_USER="1").api, "Ada")
    assert statuses(ada, 2) == [200, 429]
    redis_server.client().delete(f"rate:{{{ada.id}}}:auth")  # what Redis does then
    assert statuses(ada, 2) == [200, 429]


def test_a_count_that_lost_its_end_gets_one_again(start: Any, redis_server: Any) -> None:
    ada = join(start(AUTH_REQUIRED="true", RATE_LIMIT_USER="5").api, "Ada")
    redis_server.client().set(f"rate:{{{ada.id}}}:auth", 99)
    assert statuses(ada, 1) == [429]
    assert 0 < redis_server.client().ttl(f"rate:{{{ada.id}}}:auth") <= 60


def test_of_many_requests_at_once_no_more_than_allowed_are_let_in(start: Any) -> None:
    ada = join(start(AUTH_REQUIRED="true", RATE_LIMIT_USER="10").api, "Ada")
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.extend(statuses(ada, 5))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert (found.count(200), found.count(429)) == (10, 20)


def test_an_address_that_a_trusted_proxy_names_has_a_limit_of_its_own(start: Any) -> None:
    api = start(AUTH_REQUIRED="false", RATE_LIMIT_IP="2", **PROXY).api

    def settings(address: str) -> int:
        return int(api("GET", "/api/settings", X_Forwarded_For=address).status)

    assert [settings("203.0.113.1") for _ in range(3)] == [200, 200, 429]
    assert settings("203.0.113.2") == 200
    assert [settings("2001:db8::1") for _ in range(3)] == [200, 200, 429]


def test_a_login_counts_against_the_address(start: Any) -> None:
    api = start(AUTH_REQUIRED="true", RATE_LIMIT_IP="1", **PROXY).api
    assert log_in(api, "nobody@example.com").status == 401
    assert log_in(api, "other@example.com").status == 429


def test_an_address_that_nobody_vouches_for_is_not_counted(start: Any) -> None:
    api = start(AUTH_REQUIRED="false", RATE_LIMIT_IP="1").api
    assert [api("GET", "/api/settings", X_Forwarded_For="203.0.113.1").status for _ in range(3)] == [200] * 3


def test_health_is_never_refused(start: Any) -> None:
    api = start(AUTH_REQUIRED="false", RATE_LIMIT_IP="1", **PROXY).api
    assert [api("GET", "/actuator/health", X_Forwarded_For="203.0.113.1").status for _ in range(3)] == [200] * 3


def test_refused_requests_are_counted_by_policy(start: Any) -> None:
    running = start(AUTH_REQUIRED="true", RATE_LIMIT_USER="1")
    statuses(join(running.api, "Ada"), 3)
    metric = running.management("GET", "/actuator/metrics/rate.limited?tag=policy:user").json
    assert metric["measurements"][0]["value"] == 2


def test_without_redis_each_process_counts_for_itself(start: Any) -> None:
    ada = join(start(AUTH_REQUIRED="true", RATE_LIMIT_USER="2", REDIS_HOST="").api, "Ada")
    assert statuses(ada, 3) == [200, 200, 429]


def test_a_read_from_the_cache_asks_redis_once(start: Any, redis_server: Any) -> None:
    running, redis = start(AUTH_REQUIRED="true", RATE_LIMIT_USER="9", NEAR_CACHE_ROWS="0"), redis_server.client()
    ada = join(running.api, "Ada")
    request = {"REQUEST_METHOD": "GET", "PATH_INFO": f"/api/users/{ada.id}", "REMOTE_ADDR": "192.0.2.1"}
    request["HTTP_AUTHORIZATION"] = f"Bearer {ada.tokens['access_token']}"

    def read() -> str:
        """Always on this thread, which has one connection."""
        said: dict[str, str] = {}
        running.backend.service(dict(request), lambda status, headers: said.update(headers))
        return said["X-Cache"]

    assert [read(), read()] == ["miss", "hit"]
    before = redis.info("stats")["total_reads_processed"]
    calls = redis.info("commandstats")
    assert read() == "hit"
    pings = redis.info("commandstats")["cmdstat_ping"]["calls"] - calls["cmdstat_ping"]["calls"]
    assert redis.info("stats")["total_reads_processed"] - before - pings == 4, "one message, and three questions here"


def test_the_first_tenth_of_a_minutes_requests_wait_for_nobody_and_are_told_together(redis_server: Any) -> None:
    redis_server.client().flushall()
    redis_server.client().config_resetstat()
    rates, limit = Rates(Link(SingleWire(wire_settings(redis_server)))), Limit("user", b"rate:{1}:read", 100)
    assert [rates.count(limit, time.monotonic()) for _ in range(10)] == [(known, 0) for known in range(1, 11)]
    assert "cmdstat_incrby" not in redis_server.client().info("commandstats")
    rates.tell()
    assert redis_server.client().get("rate:{1}:read") == "10"
    assert 0 < redis_server.client().ttl("rate:{1}:read") <= 60
    rates.tell()
    assert redis_server.client().info("commandstats")["cmdstat_incrby"]["calls"] == 1
    assert rates.count(limit, time.monotonic()) == (11, 1), "from now on Redis is asked"


def test_of_ten_processes_at_once_each_lets_in_a_tenth_more_at_most_and_all_is_counted(redis_server: Any) -> None:
    redis_server.client().flushall()
    link = Link(SingleWire(wire_settings(redis_server)))
    processes, limit = [Rates(link) for _ in range(10)], Limit("user", b"rate:{1}:read", 50)
    let_in: list[int] = []

    def send(rates: Rates) -> None:
        for _ in range(30):
            known, by = rates.count(limit, time.monotonic())
            if by:
                known = rates.settled(limit, known, link.ask(asks(limit.key, by))[0])  # type: ignore[index]
            let_in.append(known <= limit.most)

    def tell() -> None:
        for rates in processes * 20:
            rates.tell()

    threads = [threading.Thread(target=send, args=(rates,)) for rates in processes * 2]
    threads += [threading.Thread(target=tell)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    for rates in processes:
        rates.tell()
    assert limit.most <= sum(let_in) <= limit.most + 9 * limit.most // 10
    assert redis_server.client().get("rate:{1}:read") == "600"


def test_who_needs_redis_waits_for_what_is_on_its_way_there(redis_server: Any, until: Any) -> None:
    redis_server.client().flushall()
    direct, limit = Link(SingleWire(wire_settings(redis_server))), Limit("user", b"rate:{1}:read", 100)
    with TcpGate(redis_server.port) as gate:
        slow = dataclasses.replace(wire_settings(redis_server), port=gate.port, timeout_s=20)
        rates, found = Rates(Link(SingleWire(slow))), []

        def ask() -> None:
            _, by = rates.count(limit, time.monotonic())
            found.extend(direct.ask(asks(limit.key, by)) or [])

        for _ in range(10):
            rates.count(limit, time.monotonic())
        gate.freeze()
        telling, asking = threading.Thread(target=rates.tell), threading.Thread(target=ask)
        telling.start()
        until(rates._telling.locked)
        asking.start()
        asking.join(0.2)  # long enough for who does not wait
        gate.thaw()
        telling.join(10)
        asking.join(10)
    assert found == [11, 0]


def test_a_process_hears_how_often_others_let_somebody_in(redis_server: Any) -> None:
    redis_server.client().flushall()
    link = Link(SingleWire(wire_settings(redis_server)))
    here, there, limit = Rates(link), Rates(link), Limit("user", b"rate:{1}:read", 100)
    for _ in range(8):
        here.count(limit, time.monotonic())
    here.tell()
    assert there.count(limit, time.monotonic()) == (1, 0)
    there.tell()
    assert there.count(limit, time.monotonic()) == (10, 0)
    assert there.count(limit, time.monotonic()) == (11, 2)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_local_counts_end_after_a_minute_and_say_when(clock: Clock) -> None:
    rates, limit = Rates(None, clock), Limit("user", b"k", 9)

    def count() -> int:
        known, by = rates.count(limit, clock.now)
        assert by == 0, "there is nobody to ask"
        return known

    assert [count(), count()] == [1, 2]
    clock.now += 59.4
    assert (count(), rates.left_s(limit)) == (3, 1)
    clock.now += 0.6
    assert count() == 1


def test_redis_is_told_by_itself_and_what_is_over_is_forgotten(clock: Clock, redis_server: Any, until: Any) -> None:
    redis_server.client().flushall()
    rates = Rates(Link(SingleWire(wire_settings(redis_server))), clock, tell_every_s=0.5)
    rates.start()
    limits = [Limit("user", b"rate:{%d}:read" % number, 1000) for number in range(200)]
    for limit in limits * 2:
        rates.count(limit, clock.now)
    until(lambda: redis_server.client().mget([limit.key for limit in limits]) == ["2"] * 200)
    assert len(rates) == 200

    def is_empty_after_another_minute() -> bool:
        clock.now += WINDOW_S  # again, where an answer of Redis was noted after the last time: it begins a minute
        return len(rates) == 0

    until(is_empty_after_another_minute)
    rates.close()
