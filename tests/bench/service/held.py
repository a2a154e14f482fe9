"""Connections that are held open, and whether they still are."""

from __future__ import annotations

import http.client
import select
import socket
from collections.abc import Iterable, Sequence


def statuses_of(connections: Sequence[socket.socket], questions: Iterable[bytes]) -> set[int]:
    """Asks on all of them at once, each its own question, so that the first is not idle for long when the last has its
    answer."""
    for connection, question in zip(connections, questions, strict=False):
        connection.sendall(question)
    found = set()
    for connection in connections:
        with http.client.HTTPResponse(connection) as answer:
            answer.begin()
            answer.read()
            found.add(answer.status)
    return found


def closed_among(connections: Sequence[socket.socket]) -> int:
    """How many the other side has closed. Nothing is outstanding on them, so what can be read is their end."""
    poll = select.poll()
    for connection in connections:
        poll.register(connection, select.POLLIN)
    return len(poll.poll(0))
