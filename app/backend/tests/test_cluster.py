"""Redis in cluster mode: three real servers, each with a third of the slots."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import hiredis
import pytest
from backend.cache.cluster import ClusterWire, slot_of, slots_in
from backend.cache.wire import RedisError, command, get
from backend.config import Redis
from hypothesis import example, given
from hypothesis import strategies as st
from redis.crc import key_slot

from app.backend.tests.auth_help import join
from app.backend.tests.redis_cluster import THIRDS, RedisCluster
from app.backend.tests.servers import PASSWORD, RedisServer, scratch_folder, until


@pytest.fixture(scope="module")
def nodes() -> Iterator[list[RedisServer]]:
    """Three nodes that know each other."""
    with scratch_folder("capstan-cluster-") as folder:
        cluster = RedisCluster(folder)
        yield cluster.nodes
        cluster.kill()


@pytest.fixture
def wire(nodes: list[RedisServer]) -> Iterator[ClusterWire]:
    for node in nodes:
        node.client().flushall()
    settings = Redis(host="127.0.0.1", port=nodes[0].port, password=PASSWORD, cluster=True)
    with closing(ClusterWire(settings)) as made:
        yield made


def key_on(node: int) -> bytes:
    """A key of the node with this number."""
    first, last = THIRDS[node]
    return next(key for n in range(1000) if first <= slot_of(key := b"key:%d" % n) <= last)


@given(st.binary(max_size=40))
@example(b"a{}{b}")
@example(b"{{a}}b")
@example(b"}{a}")
def test_slots_are_those_that_an_independent_client_computes(key: bytes) -> None:
    assert slot_of(key) == key_slot(key)


def test_all_keys_of_a_user_share_a_slot() -> None:
    assert slot_of(b"user:{7}") == slot_of(b"session:{7}") == slot_of(b"rate:{7}:read") != slot_of(b"user:{8}")


def test_a_node_without_an_address_is_the_one_that_was_asked() -> None:
    owners = slots_in(
        [[0, 1, [b"", 7000, b"id"], [b"10.0.0.2", 7001, b"id"]], [2, 2, [None, 7002]]], ("10.0.0.1", 7000)
    )
    assert owners[:4] == [("10.0.0.1", 7000), ("10.0.0.1", 7000), ("10.0.0.1", 7002), None]


def test_answers_come_in_the_order_of_the_commands_wherever_the_keys_are(wire: ClusterWire) -> None:
    keys = [b"key:%d" % number for number in range(60)]
    random.Random(7).shuffle(keys)
    assert {next(n for n, (a, b) in enumerate(THIRDS) if a <= slot_of(key) <= b) for key in keys} == {0, 1, 2}
    assert wire.ask([command(key, b"SET", key, key[::-1]) for key in keys]) == [b"OK"] * 60
    assert wire.ask([get(key) for key in reversed(keys)]) == [key[::-1] for key in reversed(keys)]


def test_one_message_goes_to_each_node_that_is_needed_and_none_to_others(
    wire: ClusterWire, nodes: list[RedisServer]
) -> None:
    asked = [get(key_on(0)), get(key_on(1)), get(key_on(0))]
    wire.ask(asked)
    clients = [node.client() for node in nodes]

    def reads() -> list[int]:
        return [client.info("stats")["total_reads_processed"] for client in clients]

    before = reads()
    wire.ask(asked)
    # One of each is the question itself; nodes talk to each other on another port.
    assert [after - earlier - 1 for earlier, after in zip(before, reads(), strict=True)] == [1, 1, 0]


def test_a_key_that_moves_is_followed_while_it_moves_and_afterwards(
    wire: ClusterWire, nodes: list[RedisServer]
) -> None:
    key = key_on(0)
    slot, (old, new) = slot_of(key), (nodes[0].client(), nodes[1].client())
    wire.ask([command(key, b"SET", key, b"before")])
    ids = [client.execute_command("CLUSTER", "MYID") for client in (old, new)]
    new.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[0])
    old.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[1])
    old.execute_command("MIGRATE", "127.0.0.1", nodes[1].port, key.decode(), 0, 1000, "AUTH", PASSWORD)
    assert wire.ask([get(key), get(key_on(1))]) == [b"before", None], "the old node says ASK"
    for client in (new, old):
        client.execute_command("CLUSTER", "SETSLOT", slot, "NODE", ids[1])
    assert wire.ask([command(key, b"SET", key, b"after"), get(key)]) == [b"OK", b"after"], "the old node says MOVED"
    assert new.get(key.decode()) == "after"
    new.delete(key.decode())
    for client in (old, new):
        client.execute_command("CLUSTER", "SETSLOT", slot, "NODE", ids[0])


def test_answers_that_nobody_waited_for_are_not_taken_for_later_ones(
    wire: ClusterWire, nodes: list[RedisServer]
) -> None:
    here, there = key_on(0), key_on(2)
    wire.ask([command(here, b"SET", here, b"right"), get(there)])
    nodes[2].kill()
    with pytest.raises(RedisError):
        wire.ask([get(there), command(here, b"STRLEN", here)])
    assert wire.ask([get(here)]) == [b"right"]
    nodes[2].start()


def test_a_node_that_is_away_is_said_so_and_asked_again_once_it_is_back(
    wire: ClusterWire, nodes: list[RedisServer]
) -> None:
    wire.ask([get(key_on(0)), get(key_on(2))])
    nodes[2].kill()
    with pytest.raises(RedisError):
        wire.ask([get(key_on(0)), get(key_on(2))])
    assert wire.ask([get(key_on(0))]) == [None], "the others are asked as ever"
    nodes[2].start()

    def is_back() -> bool:
        try:
            return not isinstance(wire.ask([get(key_on(2))])[0], hiredis.ReplyError)
        except RedisError:
            return False

    until(is_back)


def test_a_service_on_a_cluster_reads_its_own_writes(start: Any, nodes: list[RedisServer]) -> None:
    running = start(AUTH_REQUIRED="true", REDIS_CLUSTER="true", REDIS_PORT=str(nodes[1].port), RATE_LIMIT_USER="50")
    people = [join(running.api, name) for name in ("Ada", "Bob", "Eve", "Kim")]
    for person in people:
        path = f"/api/users/{person.id}"
        assert [person("GET", path).headers["X-Cache"] for _ in range(2)] == ["miss", "hit"]
        assert person("PUT", path, {"name": "Other", "email": person.email}).status == 200
        assert person("GET", path).json["name"] == "Other"
        assert person("POST", "/api/auth/logout").status == 204
        assert person("GET", path).status == 401
    kept = [key for node in nodes for key in node.client().scan_iter("user:*")]
    assert sorted(kept) == sorted(f"user:{{{person.id}}}" for person in people)


def test_services_on_a_cluster_tell_each_other_of_writes_and_count_together(
    start: Any, nodes: list[RedisServer]
) -> None:
    for node in nodes:
        node.client().flushall()
    changes = {"AUTH_REQUIRED": "true", "REDIS_CLUSTER": "true", "RATE_LIMIT_USER": "8"}
    # They know the cluster by different nodes, and meet on the one that has the channel.
    here, there = (start(REDIS_PORT=str(node.port), **changes) for node in nodes[:2])
    until(lambda: here.backend.caches.is_near() and there.backend.caches.is_near())
    for name in ("Zoe", "Max", "Lea", "Tom"):
        person = join(here.api, name)
        path = f"/api/users/{person.id}"
        for api in (here.api, there.api, there.api):
            person.api = api
            assert person("GET", path).status == 200
        assert there.backend.caches.near_rows() >= 1, "what is not in memory cannot be old"
        person.api = here.api
        assert person("PUT", path, {"name": "Other", "email": person.email}).status == 200
        person.api = there.api
        assert person("GET", path).json["name"] == "Other"
        assert [person("GET", path).status for _ in range(5)] == [200, 200, 200, 200, 429]


def test_who_took_the_place_of_a_node_that_died_is_found(wire: ClusterWire, nodes: list[RedisServer]) -> None:
    key = key_on(2)
    assert wire.ask([command(key, b"SET", key, b"x")]) == [b"OK"]
    nodes[2].kill()
    heir = nodes[1].client().execute_command("CLUSTER", "MYID")
    for node in nodes[:2]:
        node.client().execute_command("CLUSTER", "SETSLOT", slot_of(key), "NODE", heir)
    with pytest.raises(RedisError):
        wire.ask([get(key)])
    assert wire.ask([get(key)]) == [None]
