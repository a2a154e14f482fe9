"""Copies on their way to Redis: at once while they are few or somebody asks, else together; never past a write."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from backend.cache.link import Link
from backend.cache.offers import IN_MESSAGE, LATE_S, MOST, Offers
from backend.cache.users import user_key, users_form
from backend.cache.versioned import VersionedCache
from backend.cache.wire import SingleWire
from backend.config import Redis
from backend.entities import UserCopy
from backend.sealing import PLAIN

from app.backend.tests.parts import wire_settings
from app.backend.tests.servers import PASSWORD
from app.backend.tests.tcp_gate import TcpGate

NEVER_S = 3600.0  # what waits so long goes only where somebody asks for it


@pytest.fixture
def redis(redis_server: Any) -> Any:
    client = redis_server.client()
    client.flushall()
    return client


@pytest.fixture
def link(redis_server: Any) -> Iterator[Link]:
    link = Link(SingleWire(wire_settings(redis_server)))
    yield link
    link.close()


@pytest.fixture
def started() -> Iterator[Callable[..., Offers]]:
    """Starts offers that are sent only where somebody asks, unless it is told otherwise."""
    made: list[Offers] = []

    def start(link: Link, **changes: Any) -> Offers:
        made.append(Offers(link, **{"late_s": NEVER_S, "burst": 0, **changes}))
        made[-1].start()
        return made[-1]

    yield start
    for offers in made:
        offers.close()


@pytest.fixture
def held(link: Link, started: Callable[..., Offers]) -> Offers:
    """Offers that are sent only where somebody asks."""
    return started(link)


def copy_of(user_id: int, version: int = 1) -> UserCopy:
    return UserCopy(id=user_id, version=version, body=b'{"id":%d,"name":"Ada"}' % user_id)


def messages(redis: Any) -> int:
    """How many Redis has read, whoever sent them."""
    return int(redis.info("stats")["total_reads_processed"])


def test_what_is_offered_arrives_soon(redis: Any, link: Link, started: Callable[..., Offers], until: Any) -> None:
    offers = started(link, late_s=LATE_S)
    offers.add(b"user:{1}", b"3", b"Ada", b"300")
    until(lambda: redis.get("user:{1}") == "3:Ada")
    assert 295 <= redis.ttl("user:{1}") <= 300
    offers.add(b"user:{2}", b"1", b"Bob", b"300")  # the thread goes on
    until(lambda: redis.get("user:{2}") == "1:Bob")


def test_a_few_are_there_at_once_and_what_follows_them_waits(
    redis: Any, link: Link, started: Callable[..., Offers]
) -> None:
    offers = started(link, burst=3)
    sent = []
    for number in range(5):
        sent.append(offers.add(b"key%d" % number, b"1", b"text", b"300"))
        assert redis.exists(f"key{number}") == sent[-1]
    assert sent == [True, True, True, False, False]


def test_after_a_pause_one_goes_at_once_again_but_no_request_sends_what_others_offered(
    redis: Any, link: Link, started: Callable[..., Offers]
) -> None:
    now = [100.0]
    offers = started(link, burst=1, clock=lambda: now[0])
    assert offers.add(b"first", b"1", b"text", b"300")
    assert not offers.add(b"second", b"1", b"text", b"300")
    now[0] += NEVER_S
    assert not offers.add(b"third", b"1", b"text", b"300"), "the second still waits"
    assert redis.keys() == ["first"]
    offers.send()
    assert offers.add(b"fourth", b"1", b"text", b"300")
    assert redis.dbsize() == 4


def test_many_go_in_few_messages(redis: Any, held: Offers) -> None:
    held.add(b"first", b"1", b"text", b"300")
    held.send()  # connects, and tells Redis the script
    before = messages(redis)
    for number in range(2 * IN_MESSAGE):
        held.add(b"key%d" % number, b"1", b"text", b"300")
    held.send()
    assert redis.dbsize() == 1 + 2 * IN_MESSAGE
    assert messages(redis) - before < IN_MESSAGE / 5, "among them those that ask for these figures"


def test_who_asks_for_one_finds_it_though_its_time_has_not_come(redis: Any, link: Link, held: Offers) -> None:
    cache = VersionedCache(link, users_form(PLAIN), offers=held)
    cache.put(copy_of(1))
    cache.put(copy_of(2))
    assert not redis.exists("user:{1}")
    assert cache.get(3) is None
    assert not redis.exists("user:{1}"), "nobody asked for it"
    assert cache.get(1) == copy_of(1)
    assert redis.exists("user:{2}"), "all go together"


def test_who_asks_for_one_that_is_on_its_way_waits_for_it(
    redis: Any, redis_server: Any, started: Callable[..., Offers]
) -> None:
    with TcpGate(redis_server.port) as gate:
        slow = Link(SingleWire(Redis(host="127.0.0.1", port=gate.port, password=PASSWORD, timeout_s=30)))
        offers, found, done = started(slow), [], threading.Event()
        offers.add(b"other", b"1", b"text", b"300")
        offers.send()
        offers.add(b"user:{1}", b"1", b"text", b"300")
        gate.freeze()
        sender = threading.Thread(target=offers.send)

        def ask() -> None:
            offers.hurry(b"user:{1}")
            found.append(redis.get("user:{1}"))
            done.set()

        asker = threading.Thread(target=ask)
        sender.start()
        asker.start()
        assert not done.wait(0.2)
        gate.thaw()
        sender.join(10)
        asker.join(10)
        assert found == ["1:text"]
        slow.close()


def test_a_copy_of_before_a_write_is_not_sent_after_it(redis: Any, link: Link, held: Offers) -> None:
    cache = VersionedCache(link, users_form(PLAIN), offers=held)
    cache.put(copy_of(1, version=1))
    cache.forget(1, 2)
    cache.put(copy_of(2, version=1))
    cache.heard(2, 2)  # another process wrote it
    redis.flushall()  # so that no mark would keep it out
    held.send()
    assert redis.keys() == []


def test_redis_takes_no_copy_that_is_older_than_what_it_has(redis: Any, held: Offers) -> None:
    redis.set(user_key(1), "2:")
    held.add(user_key(1), b"1", b"old", b"300")
    held.add(user_key(2), b"1", b"Bob", b"300")
    held.send()
    assert [redis.get(user_key(1)), redis.get(user_key(2))] == ["2:", "1:Bob"]


def test_a_copy_that_redis_refuses_keeps_no_other_from_it_and_nobody_from_asking(
    own_redis: Any, link: Link, held: Offers
) -> None:
    redis = own_redis.client()
    redis.flushall()
    redis.lpush("list", "no text")
    held.add(b"list", b"1", b"text", b"300")
    held.add(b"user:{1}", b"1", b"Ada", b"300")
    held.send()
    assert redis.get("user:{1}") == "1:Ada"
    assert link.is_open()


def test_while_redis_is_away_offers_are_dropped(own_redis: Any, started: Callable[..., Offers]) -> None:
    now = [100.0]
    link = Link(SingleWire(wire_settings(own_redis)), clock=lambda: now[0])
    offers = started(link)
    own_redis.kill()
    offers.add(b"user:{1}", b"1", b"Ada", b"300")
    offers.send()
    assert not link.is_open()
    own_redis.start()
    own_redis.client().flushall()
    now[0] += 60
    offers.send()
    assert own_redis.client().keys() == []
    offers.add(b"user:{1}", b"1", b"Ada", b"300")
    offers.send()
    assert own_redis.client().keys() == ["user:{1}"]
    link.close()


def test_a_crowd_of_offers_is_bounded(redis: Any, held: Offers) -> None:
    for number in range(MOST + 5):
        held.add(b"key%d" % number, b"1", b"text", b"300")
    held.send()
    assert redis.dbsize() == MOST
