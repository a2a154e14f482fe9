"""The process against clients that send too much, or too slowly: sockets, not a client library."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from app.backend.tests.wire import connection, exchange, received, request, status

ADA = {"name": "Ada Lovelace", "email": "ada@example.com"}
BODY = json.dumps(ADA).encode()
POST = b"POST /api/users HTTP/1.1\r\nHost: service\r\nContent-Type: application/json\r\n"
LENGTH = b"Content-Length: %d\r\n\r\n" % len(BODY)
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.fixture
def port(launch: Any, until: Any, environment: dict[str, str]) -> Iterator[int]:
    """A service that gives bodies a second."""
    process = launch(REQUEST_BODY_TIMEOUT="1")
    until(process.ready)
    yield int(environment["APP_PORT"])


def test_a_head_may_have_sixteen_kilobytes_and_a_hundred_headers(port: int) -> None:
    assert status(exchange(port, request("GET", b"/api/users", b"X-Long: " + b"a" * 16_000))) == 200
    assert status(exchange(port, request("GET", b"/api/users", b"X-Long: " + b"a" * 33_000))) == 431
    many = [b"X-%d: a" % number for number in range(101)]
    assert status(exchange(port, request("GET", b"/api/users", *many[:98]))) == 200
    assert status(exchange(port, request("GET", b"/api/users", *many[:99]))) == 431


def test_an_address_longer_than_eight_kilobytes_is_refused(port: int) -> None:
    assert status(exchange(port, request("GET", b"/api/users?status=" + b"a" * 9000))) == 414


def test_http2_without_tls_is_not_spoken(port: int) -> None:
    answer = exchange(port, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00", quiet_s=2)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4")


@pytest.mark.parametrize("framing", [LENGTH, CHUNKED + b"1\r\n{\r\n"])
def test_a_body_that_does_not_come_is_refused_and_the_connection_closed(port: int, framing: bytes, sql: Any) -> None:
    answer = exchange(port, POST + framing)
    assert status(answer) == 408
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "too_slow"
    assert sql("SELECT count(*) FROM users") == [(0,)]


def test_a_body_that_trickles_in_is_refused(port: int, until: Any) -> None:
    with closing(connection(port)) as client:
        client.sendall(POST + LENGTH)
        client.settimeout(0.1)

        def answer_after_another_byte() -> bytes:
            try:
                client.send(b"{")
                return client.recv(65536)
            except TimeoutError:
                return b""

        assert status(until(answer_after_another_byte)) == 408


def test_a_chunked_body_without_its_end_is_not_taken_though_what_came_is_json(port: int, sql: Any) -> None:
    answer = exchange(port, POST + CHUNKED + b"%x\r\n%s\r\n" % (len(BODY), BODY))
    assert status(answer) == 408
    assert sql("SELECT count(*) FROM users") == [(0,)]


def test_a_second_request_on_a_connection_has_no_more_time_than_the_first(port: int) -> None:
    answer = exchange(port, b"GET /api/users HTTP/1.1\r\nHost: service\r\n\r\n" + POST + LENGTH)
    assert [answer.count(b"HTTP/1.1 " + code) for code in (b"200", b"408")] == [1, 1]


def test_a_client_that_waits_for_leave_to_send_has_no_more_time_either(port: int) -> None:
    answer = exchange(port, POST + b"Expect: 100-continue\r\n" + LENGTH)
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 408")


def test_a_body_that_ends_before_its_length_is_not_taken(port: int, until: Any, sql: Any) -> None:
    with closing(connection(port)) as client:
        client.sendall(POST + b"Content-Length: 1000\r\n\r\n" + BODY)
        client.shutdown(socket.SHUT_WR)
        received(client)
    assert status(exchange(port, request("GET", b"/api/users"))) == 200
    assert sql("SELECT count(*) FROM users") == [(0,)]


def test_fifty_slow_clients_hold_nobody_up(launch: Any, until: Any, environment: dict[str, str]) -> None:
    process = launch(REQUEST_BODY_TIMEOUT="6")
    until(process.ready)
    port = int(environment["APP_PORT"])
    slow = [connection(port) for _ in range(50)]
    try:
        for number, client in enumerate(slow):
            client.sendall(POST + (LENGTH if number % 2 else CHUNKED))
        # The eight threads of the service are not all in wait for bodies, so these come while the slow ones are there:
        for _ in range(20):
            assert process.api("GET", "/api/users").status == 200
        # most of the slow ones were turned away, the others have not got their answer yet;
        assert not all(has_answer(client) for client in slow)
        # in the end all have one, and writes go through again.
        assert {status(received(client)) for client in slow} == {408, 503}
        assert until(lambda: process.api("POST", "/api/users", ADA).status == 201)
    finally:
        for client in slow:
            client.close()


def has_answer(client: socket.socket) -> bool:
    """Whether something can be read, without reading it."""
    client.setblocking(False)
    try:
        return bool(client.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return False


def test_who_sends_no_body_needs_no_turn_for_one(launch: Any, until: Any, environment: dict[str, str]) -> None:
    until(launch(HTTP_THREADS="2", REQUEST_BODY_TIMEOUT="60").ready)
    port = int(environment["APP_PORT"])
    with closing(connection(port)) as slow:
        slow.sendall(POST + LENGTH)
        other = POST + b"Connection: close\r\n" + LENGTH + BODY
        until(lambda: status(exchange(port, other)) == 503)  # the only turn is taken
        assert status(exchange(port, request("GET", b"/api/settings", b"Content-Length: 0"))) == 200


def test_heads_that_do_not_come_take_no_thread_and_are_given_up(
    launch: Any, until: Any, environment: dict[str, str]
) -> None:
    process = launch(KEEP_ALIVE_TIMEOUT="2")
    until(process.ready)
    slow = [connection(int(environment["APP_PORT"])) for _ in range(200)]
    try:
        for client in slow:
            client.sendall(b"GET /api/users HTTP/1.1\r\nHost: ser")
        assert process.api("GET", "/api/users").status == 200
        assert {received(client) for client in slow} <= {b""}
    finally:
        for client in slow:
            client.close()


def test_a_connection_in_use_by_others_is_not_cut_with_a_slow_one(port: int) -> None:
    with closing(connection(port)) as busy, closing(connection(port)) as slow:
        slow.sendall(POST + LENGTH)
        slow.settimeout(0.05)
        answered = b""
        while not answered:
            busy.sendall(b"GET /api/settings HTTP/1.1\r\nHost: service\r\n\r\n")
            assert status(busy.recv(65536)) == 200
            try:
                answered = slow.recv(65536)
            except TimeoutError:
                continue
        assert status(answered) == 408
        busy.sendall(b"GET /api/settings HTTP/1.1\r\nHost: service\r\n\r\n")
        assert status(busy.recv(65536)) == 200
