"""The shared watch: what it knows, and how it goes on after it broke."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from ansible_collections.capstan.fullstack.plugins.module_utils.engine.errors import ApiError, Category
from ansible_collections.capstan.fullstack.plugins.module_utils.kube.watch import Cache, newer


def item(name: str, version: int) -> dict[str, Any]:
    return {"metadata": {"name": name, "resourceVersion": str(version)}}


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


class Server:
    """A collection that the test moves: lists say `held`, watches say what is put into `events`."""

    def __init__(self, *held: dict[str, Any]) -> None:
        self.held = list(held)
        self.events: queue.Queue[Any] = queue.Queue()
        self.lists = 0
        self.begun: list[str] = []
        self.refuse: ApiError | None = None
        self.closed = threading.Event()

    def list_all(self) -> tuple[list[Any], str]:
        if self.refuse is not None:
            raise self.refuse
        self.lists += 1
        return list(self.held), "10"

    def stream(self, version: str) -> Iterator[Any]:
        self.begun.append(version)
        while True:
            event = self.events.get(timeout=10)
            if event is None:
                return
            if isinstance(event, Exception):
                raise event
            yield event

    def cache(self) -> Cache:
        return Cache(self.list_all, self.stream, lambda one: str(one["metadata"]["name"]), self.closed)


def test_the_list_and_then_every_event_are_known() -> None:
    server = Server(item("a", 1))
    cache = server.cache()
    assert cache.ready()
    assert cache.object("a") == item("a", 1)
    server.events.put({"type": "ADDED", "object": item("b", 11)})
    server.events.put({"type": "MODIFIED", "object": item("a", 12)})
    eventually(lambda: cache.object("a") == item("a", 12))
    assert cache.object("b") == item("b", 11)
    server.events.put({"type": "DELETED", "object": item("a", 13)})
    eventually(lambda: cache.object("a") is None)
    assert cache.objects() == [item("b", 11)]
    server.closed.set()
    server.events.put(None)


def test_a_watch_that_the_server_ended_goes_on_where_it_stood() -> None:
    server = Server()
    cache = server.cache()
    server.events.put({"type": "BOOKMARK", "object": item("", 42)})
    server.events.put(None)
    eventually(lambda: server.begun == ["10", "42"])
    assert server.lists == 1
    server.closed.set()
    server.events.put(None)
    assert cache.ready()


def test_a_version_that_is_too_old_lists_again() -> None:
    server = Server(item("a", 1))
    cache = server.cache()
    assert cache.ready()
    server.held = [item("b", 20)]
    server.events.put({"type": "ERROR", "object": {"code": 410}})
    eventually(lambda: cache.object("b") == item("b", 20))
    assert cache.object("a") is None
    server.closed.set()
    server.events.put(None)


def test_a_connection_that_breaks_lists_again() -> None:
    server = Server(item("a", 1))
    cache = server.cache()
    assert cache.ready()
    server.events.put(ApiError("watch", "NoAnswer", category=Category.LOST))
    eventually(lambda: server.lists == 2)
    server.closed.set()
    server.events.put(None)


def test_who_may_not_watch_is_told_so_at_once() -> None:
    server = Server()
    server.refuse = ApiError("watch pods", "Forbidden", category=Category.DENIED)
    cache = server.cache()
    started = time.monotonic()
    assert cache.ready() is False
    assert time.monotonic() - started < 5


def test_the_later_of_two_states_is_the_one_with_the_larger_version() -> None:
    assert newer(item("a", 100), item("a", 99))
    assert not newer(item("a", 99), item("a", 100))
    assert not newer(item("a", 5), item("a", 5))
