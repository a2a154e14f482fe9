"""The way to Redis: many commands, one message."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import hiredis
import pytest
from backend.cache.link import Link, Script
from backend.cache.wire import RedisError, RedisTimeout, SingleWire, command, get
from backend.config import Redis

from app.backend.tests.servers import PASSWORD


@pytest.fixture
def settings(redis_server: Any) -> Redis:
    redis_server.client().flushall()
    return Redis(host="127.0.0.1", port=redis_server.port, password=PASSWORD)


@pytest.fixture
def wire(settings: Redis) -> Iterator[SingleWire]:
    with closing(SingleWire(settings)) as made:
        yield made


def test_answers_come_in_the_order_of_the_commands(wire: SingleWire, redis_server: Any) -> None:
    redis_server.client().set("text", "a\r\nb")
    redis_server.client().rpush("list", "x", "y")
    answers = wire.ask(
        [get(b"text"), get(b"none"), command(b"n", b"INCR", b"n"), command(b"l", b"LRANGE", b"list", b"0", b"-1")]
    )
    assert answers == [b"a\r\nb", None, 1, [b"x", b"y"]]


def test_a_command_that_redis_refuses_spoils_no_other(wire: SingleWire) -> None:
    first, refused, last = wire.ask([command(b"k", b"SET", b"k", b"x"), command(b"k", b"INCR", b"k"), get(b"k")])
    assert (first, last) == (b"OK", b"x")
    assert isinstance(refused, hiredis.ReplyError) and "not an integer" in str(refused)


def test_large_values_arrive_whole(wire: SingleWire) -> None:
    value = b"0123456789" * 100_000
    assert wire.ask([command(b"k", b"SET", b"k", value), get(b"k"), get(b"k")]) == [b"OK", value, value]


def test_threads_have_connections_of_their_own(wire: SingleWire, redis_server: Any) -> None:
    ready, found = threading.Barrier(4), []

    def work(number: int) -> None:
        key = b"k%d" % number
        wire.ask([command(key, b"SET", key, key)])
        ready.wait(10)
        found.extend(wire.ask([get(key)]) == [key] for _ in range(200))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert found == [True] * 800
    named = [one for one in redis_server.client().client_list() if one["name"] == "capstan-backend"]
    assert len(named) == 4


def test_a_connection_that_died_while_it_rested_costs_nothing(wire: SingleWire, own_redis: Any) -> None:
    assert wire.ask([get(b"k")]) == [None]
    own_redis.kill()
    own_redis.start()
    assert wire.ask([get(b"k")]) == [None]


def test_a_redis_that_is_away_is_said_so(wire: SingleWire, own_redis: Any) -> None:
    wire.ask([get(b"k")])
    own_redis.kill()
    with pytest.raises(RedisError, match="refused"):
        wire.ask([get(b"k")])


def test_a_wrong_password_is_said_without_being_shown(settings: Redis) -> None:
    wrong = SingleWire(Redis(host=settings.host, port=settings.port, password="not-the-password"))
    with pytest.raises(RedisError) as caught:
        wrong.ask([get(b"k")])
    assert "WRONGPASS" in str(caught.value) and "not-the-password" not in str(caught.value)


def test_a_redis_that_does_not_answer_is_not_waited_for_longer_than_said() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(RedisTimeout):
            SingleWire(Redis(host="127.0.0.1", port=port, timeout_s=0.05)).ask([get(b"k")])


def test_what_is_not_answered_in_time_is_not_sent_again(until: Any) -> None:
    seen: list[bytes] = []

    def serve(listener: socket.socket) -> None:
        """Greets, answers once, and says nothing more."""
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            for answer in (b"+OK\r\n", b"$-1\r\n", b""):
                seen.append(connection.recv(1000))
                connection.sendall(answer)

    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        wire = SingleWire(Redis(host="127.0.0.1", port=listener.getsockname()[1], timeout_s=0.2))
        assert wire.ask([get(b"k")]) == [None]
        with pytest.raises(RedisTimeout):
            wire.ask([get(b"k")])
        until(lambda: len(seen) == 3)
        assert sum(b"HELLO" in one for one in seen) == 1


def test_after_a_late_answer_no_later_question_gets_it(wire: SingleWire, settings: Redis, redis_server: Any) -> None:
    hasty = SingleWire(Redis(host=settings.host, port=settings.port, password=PASSWORD, timeout_s=0.2))
    assert hasty.ask([command(b"k", b"SET", b"k", b"right")]) == [b"OK"]
    redis_server.client().execute_command("CLIENT", "PAUSE", "400", "ALL")
    with pytest.raises(RedisTimeout):
        hasty.ask([command(b"other", b"SET", b"other", b"late")])
    redis_server.client().execute_command("CLIENT", "UNPAUSE")
    assert hasty.ask([get(b"k")]) == [b"right"]


def test_a_script_is_sent_whole_only_where_redis_does_not_know_it(wire: SingleWire, redis_server: Any) -> None:
    redis_server.client().config_resetstat()
    script = Script("return redis.call('INCRBY', KEYS[1], ARGV[1])")
    assert [script.run(wire.ask, b"k", b"5"), script.run(wire.ask, b"k", b"2")] == [5, 7]
    calls = redis_server.client().info("commandstats")
    assert (calls["cmdstat_eval"]["calls"], calls["cmdstat_evalsha"]["calls"]) == (1, 2)
    redis_server.client().script_flush()
    assert script.run(wire.ask, b"k", b"1") == 8
    with pytest.raises(RedisError, match="not an integer"):
        script.run(wire.ask, b"k", b"x")


def test_what_redis_says_of_one_call_of_a_script_does_not_hide_the_others(wire: SingleWire) -> None:
    script = Script("return redis.call('INCRBY', KEYS[1], ARGV[1])")
    answers = script.answers(wire.ask, [(b"k", (b"5",)), (b"k", (b"x",)), (b"k", (b"2",))])
    assert [answers[0], answers[2]] == [5, 7]
    assert "not an integer" in str(answers[1])


def test_a_link_rests_after_a_failure(settings: Redis, own_redis: Any) -> None:
    now = [100.0]
    link = Link(SingleWire(settings), clock=lambda: now[0])
    assert link.ask([get(b"k")]) == [None]
    own_redis.kill()
    assert link.ask([get(b"k")]) is None
    own_redis.start()
    now[0] += 1.9
    assert link.ask([get(b"k")]) is None
    now[0] += 0.2
    assert link.ask([get(b"k")]) == [None]


def test_a_redis_that_refuses_to_answer_is_not_well(settings: Redis, own_redis: Any) -> None:
    link = Link(SingleWire(settings))
    link.ping()
    own_redis.client().execute_command("ACL", "SETUSER", "default", "-ping")
    with pytest.raises(RedisError, match="NOPERM"):
        link.ping()
