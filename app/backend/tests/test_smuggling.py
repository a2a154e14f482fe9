"""Requests that two servers may read differently, sent to nginx in front of the service, and to the service itself.

Each variant hides a second request, `/api/hidden`. It is refused, or exactly one request arrives at the service, whose
log lines are counted.
"""

from __future__ import annotations

import gzip
import json
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from app.backend.tests.page import Page
from app.backend.tests.servers import scratch_folder
from app.backend.tests.wire import connection, exchange, request, status

HIDDEN = b"GET /api/hidden HTTP/1.1\r\nHost: service\r\n\r\n"
START = b"POST /api/carrier HTTP/1.1\r\nHost: service\r\n"
GET = START.replace(b"POST", b"GET")
CHUNKED_EMPTY = b"0\r\n\r\n"


def chunk(content: bytes) -> bytes:
    """One chunk of a chunked body."""
    return b"%x\r\n%s\r\n" % (len(content), content)


def both(length: int, coding: bytes, body: bytes) -> bytes:
    """A request with a length and with a transfer coding."""
    return START + b"Content-Length: %d\r\n" % length + coding + b"\r\n\r\n" + body


CL_TE_BODY = CHUNKED_EMPTY + HIDDEN
TE_CL_BODY = chunk(HIDDEN) + CHUNKED_EMPTY
CODING = b"Transfer-Encoding: chunked"

VARIANTS = {
    "CL.TE": both(len(CL_TE_BODY), CODING, CL_TE_BODY),
    "TE.CL": both(4, CODING, TE_CL_BODY),
    "TE first": START + CODING + b"\r\nContent-Length: 4\r\n\r\n" + TE_CL_BODY,
    "TE of two values": both(4, b"Transfer-Encoding: chunked, identity", TE_CL_BODY),
    "TE identity": both(len(HIDDEN), b"Transfer-Encoding: identity", HIDDEN),
    "TE twice": both(4, CODING + b"\r\nTransfer-Encoding: x", TE_CL_BODY),
    "TE misspelled": both(4, b"Transfer-Encoding: xchunked", TE_CL_BODY),
    "TE in capitals": both(4, b"TRANSFER-ENCODING: CHUNKED", TE_CL_BODY),
    "TE quoted": both(4, b'Transfer-Encoding: "chunked"', TE_CL_BODY),
    "TE with a space before the colon": both(4, b"Transfer-Encoding : chunked", TE_CL_BODY),
    "TE after a tab": both(4, b"Transfer-Encoding:\tchunked", TE_CL_BODY),
    "TE after a vertical tab": both(4, b"Transfer-Encoding: \x0bchunked", TE_CL_BODY),
    "TE with a zero byte": both(4, b"Transfer-Encoding: chunked\x00", TE_CL_BODY),
    "TE with an underscore": both(len(CL_TE_BODY), b"Transfer_Encoding: chunked", CL_TE_BODY),
    "TE on a line that goes on": both(4, b"Transfer-Encoding:\r\n chunked", TE_CL_BODY),
    "TE behind a bare LF": both(4, b"X: y\nTransfer-Encoding: chunked", TE_CL_BODY),
    "TE behind a bare CR": both(4, b"X: y\rTransfer-Encoding: chunked", TE_CL_BODY),
    "TE in HTTP/1.0": both(4, CODING, TE_CL_BODY).replace(b"HTTP/1.1\r\nHost", b"HTTP/1.0\r\nHost", 1),
    "two lengths": START + b"Content-Length: 0\r\nContent-Length: %d\r\n\r\n" % len(HIDDEN) + HIDDEN,
    "two lengths, the first longer": START + b"Content-Length: %d\r\nContent-Length: 0\r\n\r\n" % len(HIDDEN) + HIDDEN,
    "a list of lengths": START + b"Content-Length: 0, %d\r\n\r\n" % len(HIDDEN) + HIDDEN,
    "a length with a sign": START + b"Content-Length: +%d\r\n\r\n" % len(HIDDEN) + HIDDEN,
    "a hexadecimal length": START + b"Content-Length: 0x2b\r\n\r\n" + HIDDEN,
    "a negative length": START + b"Content-Length: -1\r\n\r\n" + HIDDEN,
    "a length with a space before the colon": START + b"Content-Length : %d\r\n\r\n" % len(HIDDEN) + HIDDEN,
    "a length with an underscore": START + b"Content_Length: 0\r\nContent-Length: %d\r\n\r\n" % len(HIDDEN) + HIDDEN,
    "a length of a GET": GET + b"Content-Length: %d\r\n\r\n" % len(HIDDEN) + HIDDEN,
    "a chunked GET": GET + CODING + b"\r\n\r\n" + TE_CL_BODY,
    "a chunk with an extension": START + CODING + b"\r\n\r\n%x;a=b\r\n%s\r\n" % (len(HIDDEN), HIDDEN) + CHUNKED_EMPTY,
    "a chunk extension with a bare LF": START
    + CODING + b"\r\n\r\n2;\nxx\r\n" + chunk(HIDDEN) + CHUNKED_EMPTY,
    "a chunk size with a prefix": START + CODING + b"\r\n\r\n0x%x\r\n%s\r\n" % (len(HIDDEN), HIDDEN) + CHUNKED_EMPTY,
    "a chunk size with a sign": START + CODING + b"\r\n\r\n+%x\r\n%s\r\n" % (len(HIDDEN), HIDDEN) + CHUNKED_EMPTY,
    "a chunk size with a space": START + CODING + b"\r\n\r\n%x \r\n%s\r\n" % (len(HIDDEN), HIDDEN) + CHUNKED_EMPTY,
    "a chunk size beyond 64 bits": START + CODING + b"\r\n\r\n1%016x\r\n%s\r\n" % (len(HIDDEN), HIDDEN) + CHUNKED_EMPTY,
    "chunks with bare LFs": START + CODING + b"\r\n\r\n%x\n%s\n0\n\n" % (len(HIDDEN), HIDDEN),
    "a trailer that is a request": START + CODING + b"\r\n\r\n0\r\nX: y\r\nContent-Length: 9\r\n\r\n",
    "lines with bare LFs": START.replace(b"\r\n", b"\n") + b"Content-Length: %d\n\n" % len(HIDDEN) + HIDDEN,
    "a request line with CRs": START.replace(b"\r\n", b"\r\r") + b"\r\n" + HIDDEN,
    "an upgrade to h2c": START
    + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"
    + b"Content-Length: %d\r\n\r\n" % len(HIDDEN) + HIDDEN,
    "a request in the target": START.replace(b"carrier", b"carrier%20HTTP/1.1%0d%0a%0d%0aGET%20/api/hidden")
    + b"Content-Length: 0\r\n\r\n",
}  # fmt: skip


@dataclass(frozen=True)
class Pair:
    """nginx and the service: their ports, and the paths of the service's requests once both have ended."""

    page: int
    service: int
    paths: Callable[[], list[str]]


@pytest.fixture
def pair(launch: Any, until: Any, environment: dict[str, str]) -> Iterator[Pair]:
    """The service as a process, behind the page's nginx."""
    process = launch(SHUTDOWN_DRAIN="0", REQUEST_BODY_TIMEOUT="1")
    until(process.ready)

    def paths() -> list[str]:
        process.process.send_signal(signal.SIGTERM)
        lines = [json.loads(line) for line in process.ended()[1].splitlines()]
        return [line["path"] for line in lines if line["message"] == "request"]

    with scratch_folder("capstan-page-") as folder:
        page = Page(folder, int(environment["APP_PORT"]))
        yield Pair(page.port, int(environment["APP_PORT"]), paths)
        page.stop()


def check(answers: dict[str, bytes], paths: list[str]) -> None:
    """Each answer of the service is one of its requests, and there are no others."""
    passed = [name for name, answer in answers.items() if status(answer) == 404]
    assert [path for path in paths if path.startswith("/api/hidden")] == []
    assert len([path for path in paths if path.startswith("/api/carrier")]) == len(passed), passed
    assert {status(answer) for name, answer in answers.items() if name not in passed} <= {400, 501}


def test_no_variant_brings_a_hidden_request_through_the_pair(pair: Pair) -> None:
    answers = {name: exchange(pair.page, sent, quiet_s=0.5) for name, sent in VARIANTS.items()}
    # What was left behind on a connection between the two would be the beginning of the next request.
    for _ in range(5):
        assert status(exchange(pair.page, request("GET", b"/api/users"))) == 200
    paths = pair.paths()
    check(answers, paths)
    assert paths.count("/api/users") == 5


def test_no_variant_brings_a_hidden_request_past_the_service_alone(pair: Pair) -> None:
    answers = {name: exchange(pair.service, sent, quiet_s=0.5) for name, sent in VARIANTS.items()}
    check(answers, pair.paths())


def test_bodies_that_trickle_into_nginx_do_not_reach_the_service(pair: Pair) -> None:
    slow = [connection(pair.page) for _ in range(30)]
    for client in slow:
        client.sendall(START + b"Content-Length: 1000\r\n\r\n{")
    for _ in range(10):
        assert status(exchange(pair.page, request("GET", b"/api/users"))) == 200
    for client in slow:
        client.close()
    assert set(pair.paths()) == {"/api/settings", "/api/users"}


def test_nginx_refuses_a_long_address_and_long_headers(pair: Pair) -> None:
    assert status(exchange(pair.page, request("GET", b"/api/users?" + b"a" * 9000))) == 414
    assert status(exchange(pair.page, request("GET", b"/api/users", b"X-Long: " + b"a" * 9000))) == 400


def test_through_nginx_an_answer_is_compressed_once_and_has_each_header_once(pair: Pair) -> None:
    answer = exchange(pair.page, request("GET", b"/api/openapi.json", b"Accept-Encoding: gzip"))
    head, _, body = answer.partition(b"\r\n\r\n")
    names = [line.partition(b":")[0].lower() for line in head.split(b"\r\n")[1:]]
    assert json.loads(gzip.decompress(body))["openapi"] == "3.1.0"
    for name in (b"content-encoding", b"x-content-type-options", b"content-security-policy"):
        assert names.count(name) == 1
