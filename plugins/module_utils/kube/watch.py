"""One watch a collection instead of one poll an object: started by the first who waits, kept up to date by the server.

A write's own answer is fresher than the watch for a moment; versions are compared so that nobody sees the past.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..engine.errors import ApiError, Category

LISTED_S = 10.0  # how long a waiter gives a new watch to list before it asks by itself
WATCH_S = 240  # the server ends a watch after this long; it is begun again where it stood
PAUSE_S = 0.5  # before a broken watch is begun again


class Gone(Exception):
    """The watch cannot go on from where it stood: list again."""


class Cache:
    """The live objects of one collection, by path. `list_all` gives (objects, version), `stream` the watch's events."""

    def __init__(
        self,
        list_all: Callable[[], tuple[list[Mapping[str, Any]], str]],
        stream: Callable[[str], Iterator[Any]],
        path_of: Callable[[Mapping[str, Any]], str],
        closed: threading.Event,
    ) -> None:
        self._list_all = list_all
        self._stream = stream
        self._path_of = path_of
        self._closed = closed
        self._lock = threading.Lock()
        self._objects: dict[str, Mapping[str, Any]] = {}
        self._listed = threading.Event()
        self.error: ApiError | None = None
        threading.Thread(target=self._run, name="capstan-watch", daemon=True).start()

    def ready(self) -> bool:
        """Has it listed? Waits for that a little while; False also when it may not watch."""
        return self._listed.wait(LISTED_S) and self.error is None

    def object(self, path: str) -> Mapping[str, Any] | None:
        """One object as last seen."""
        with self._lock:
            return self._objects.get(path)

    def objects(self) -> list[Mapping[str, Any]]:
        """All of them."""
        with self._lock:
            return list(self._objects.values())

    def _run(self) -> None:
        version = ""
        while not self._closed.is_set():
            try:
                version = version or self._begin()
                version = self._follow(version)
            except Gone:
                version = ""
            except ApiError as error:
                if error.category in (Category.DENIED, Category.ABSENT, Category.FATAL):
                    self.error = error
                    self._listed.set()
                    return
                version = ""
                self._closed.wait(PAUSE_S)

    def _begin(self) -> str:
        objects, version = self._list_all()
        with self._lock:
            self._objects = {self._path_of(item): item for item in objects}
        self._listed.set()
        return version

    def _follow(self, version: str) -> str:
        for event in self._stream(version):
            if self._closed.is_set():
                break
            version = self.take(event) or version
        return version

    def take(self, event: Mapping[str, Any]) -> str:
        """Takes one event in; returns the version that it brings. Raises Gone when the server says so."""
        kind, item = event.get("type"), event.get("object") or {}
        if kind == "ERROR":
            raise Gone(json.dumps(item)[:200])
        version = str((item.get("metadata") or {}).get("resourceVersion", ""))
        if kind == "BOOKMARK":
            return version
        path = self._path_of(item)
        with self._lock:
            if kind == "DELETED":
                self._objects.pop(path, None)
            else:
                self._objects[path] = item
        return version


def newer(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Is `one` a later state of the same object than `other`? Versions are decimal numbers since Kubernetes 1.35."""

    def version(item: Mapping[str, Any]) -> int:
        text = str((item.get("metadata") or {}).get("resourceVersion", "0"))
        return int(text) if text.isdigit() else 0

    return version(one) > version(other)
