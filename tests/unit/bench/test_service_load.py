"""wrk itself with the benchmark's script, and connections that are held open, against a server that takes notes."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import repeat
from pathlib import Path

import pytest

from tests.bench.ground import BenchError
from tests.bench.service.held import closed_among, statuses_of
from tests.bench.service.load import Requests, sent


class Notes(ThreadingHTTPServer):
    """Notes (method, path, token, body) of requests; answers `status`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = 200
        self.seen: list[tuple[str, str, str | None, str]] = []


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Notes

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        self.server.seen.append((self.command, self.path, self.headers["Authorization"], body))
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_POST = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Not worth a line each."""


@pytest.fixture
def server() -> Iterator[Notes]:
    with Notes() as notes:
        threading.Thread(target=notes.serve_forever, args=(0.02,), daemon=True).start()
        yield notes
        notes.shutdown()


def written(path: Path, *lines: str) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def test_prepared_requests_are_sent_in_turn_each_with_the_next_token(server: Notes, tmp_path: Path) -> None:
    paths = written(tmp_path / "paths", "/api/users/1", "/api/users/2", "/api/users/3")
    tokens = written(tmp_path / "tokens", "a", "b")
    load = sent(server.server_port, Requests(method="GET", paths=paths, tokens=tokens, connections=1), 1)
    # The very first of the list is what wrk tries its script with; it never leaves.
    wanted = [("GET", f"/api/users/{n % 3 + 1}", f"Bearer {'ab'[n % 2]}", "") for n in range(1, len(server.seen) + 1)]
    assert server.seen == wanted
    assert load.requests in (len(server.seen), len(server.seen) - 1)
    assert sum(load.latency_us.values()) >= load.requests


def test_bodies_are_sent_with_their_length_in_bytes_and_without_tokens_nobody_asks(
    server: Notes, tmp_path: Path
) -> None:
    bodies = written(tmp_path / "bodies", '{"name": "Zoë"}', "{}")
    requests = Requests(method="POST", paths=written(tmp_path / "paths", "/x"), bodies=bodies, connections=1)
    sent(server.server_port, requests, 1)
    assert server.seen[:2] == [("POST", "/x", None, "{}"), ("POST", "/x", None, '{"name": "Zoë"}')]


def test_connections_that_rest_between_requests_send_as_many_as_their_rests_allow(
    server: Notes, tmp_path: Path
) -> None:
    requests = Requests(method="GET", paths=written(tmp_path / "paths", "/x"), connections=4)
    load = sent(server.server_port, requests, 1, think_ms=100.0)
    assert 1 <= load.requests <= 200  # 40 on average; without rests, as many as the server can answer


def test_an_answer_that_is_no_success_ends_the_benchmark(server: Notes, tmp_path: Path) -> None:
    server.status = 503
    with pytest.raises(BenchError, match="'status': "):
        sent(server.server_port, Requests(method="GET", paths=written(tmp_path / "p", "/x"), connections=1), 1)


def test_a_server_that_is_not_there_ends_the_benchmark(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="wrk: exit status 1"):
        sent(1, Requests(method="GET", paths=written(tmp_path / "p", "/x"), connections=1), 1)


QUESTION = b"GET /x HTTP/1.1\r\nHost: bench\r\n\r\n"


def test_connections_that_were_answered_are_open_until_the_other_side_closes_some(server: Notes) -> None:
    with ExitStack() as ends:
        address = ("127.0.0.1", server.server_port)
        held = [ends.enter_context(socket.create_connection(address, 10)) for _ in range(5)]
        assert statuses_of(held, repeat(QUESTION)) == {200}
        assert closed_among(held) == 0
        last = QUESTION.replace(b"bench\r\n", b"bench\r\nConnection: close\r\n")
        assert statuses_of(held[:2], repeat(last)) == {200}
        for connection in held[:2]:
            select.select([connection], [], [], 10)
        assert closed_among(held) == 2


def test_each_status_that_a_connection_was_answered_is_told(server: Notes) -> None:
    server.status = 429
    with socket.create_connection(("127.0.0.1", server.server_port), 10) as connection:
        assert statuses_of([connection], [QUESTION]) == {429}
