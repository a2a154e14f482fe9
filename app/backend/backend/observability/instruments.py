"""What the service counts and times. The names are those of Spring Boot's meters, so dashboards carry over."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from backend.observability.metrics import Registry
from backend.repository.pool import PoolStats

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_OUTCOMES = {1: "INFORMATIONAL", 2: "SUCCESS", 3: "REDIRECTION", 4: "CLIENT_ERROR", 5: "SERVER_ERROR"}
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Instruments:
    """The meters of one process. Tags take their values from fixed sets: no client can make new series."""

    def __init__(self) -> None:
        self.registry = Registry()
        new = self.registry
        self._requests = new.timer(
            "http.server.requests", "Requests of the service port.", "method", "uri", "status", "outcome"
        )
        self.acquired = new.timer("jdbc.connections.acquire", "Waits for a connection of the pool.").series()
        self.leaked = new.counter("jdbc.connections.leaked", "Connections that were lent for too long.")
        self.invocations = new.timer(
            "spring.data.repository.invocations", "Calls of the database.", "repository", "method", "state"
        )
        self._cache_gets = new.counter("cache.gets", "Reads of the cache.", "cache", "result")
        self.users_created = new.counter("users.created", "Users created.")
        self.users_deleted = new.counter("users.deleted", "Users deleted.")
        self.rate_limited = new.counter("rate.limited", "Requests refused because there were too many.", "policy")
        hashes = new.timer("password.hashes", "Hashes of passwords, with the wait for a turn.")
        self.password_hashed = hashes.series()
        self._authentications = new.counter("authentications", "Logins, refreshes, and so on.", "event", "result")
        self.spans_exported = new.counter("otel.spans.exported", "Spans that the collector took.")
        self.spans_dropped = new.counter("otel.spans.dropped", "Spans that did not fit, or that it did not take.")
        self.audit_lost = new.counter("audit.reads.lost", "Looks at data that did not get into the audit log.")
        self.lines_lost = new.counter("log.lines.lost", "Request lines of the log that could not be written.")
        # What records an answered request, given method, route and status; a route is not what the client wrote.
        self.answered = lru_cache(256)(self._answered)
        _of_process(new)

    def cache_reads(self, cache: str) -> tuple[Callable[[], None], Callable[[], None]]:
        """What is to be told of each hit of a cache, and of each miss."""
        return self._cache_gets.series(cache, "hit"), self._cache_gets.series(cache, "miss")

    def authentication(self, event: str, *, ok: bool) -> None:
        """Somebody showed who they are, or could not."""
        self._authentications.add(event, "ok" if ok else "refused")

    def _answered(self, method: str, uri: str, status: int) -> Callable[[float], None]:
        known = method if method in METHODS else "UNKNOWN"
        return self._requests.series(known, uri, str(status), _OUTCOMES.get(status // 100, "UNKNOWN"))

    def watch_pool(self, stats: Callable[[], PoolStats], most: int, least_idle: int) -> None:
        """Shows a connection pool's figures."""
        new = self.registry
        new.gauge("jdbc.connections.active", "Connections in use.", lambda: stats().active)
        new.gauge("jdbc.connections.idle", "Connections that wait for use.", lambda: stats().idle)
        new.gauge("jdbc.connections.pending", "Threads that wait for a connection.", lambda: stats().waiting)
        new.gauge("jdbc.connections.max", "The most connections that there may be.", lambda: most)
        new.gauge("jdbc.connections.min", "How many are kept idle.", lambda: least_idle)

    def watch_near_cache(self, usable: Callable[[], bool], rows: Callable[[], int]) -> None:
        """Shows the copies in this process's memory."""
        new = self.registry
        new.gauge("cache.near.usable", "Whether copies in memory may be used: 1 or 0.", usable)
        new.gauge("cache.near.rows", "Copies in memory.", rows)

    def watch_replicas(self, fresh: Callable[[], int]) -> None:
        """Shows how many replicas can be read from."""
        self.registry.gauge("database.replicas.fresh", "Replicas that are fresh enough to be read from.", fresh)


def _of_process(new: Registry) -> None:
    started = time.time()
    new.gauge("process.resident.memory", "Memory in use.", _resident_bytes, "bytes")
    new.gauge("process.open.fds", "Open files and sockets.", lambda: sum(1 for _ in Path("/proc/self/fd").iterdir()))
    new.gauge("process.threads", "Threads.", threading.active_count)
    new.gauge("process.start.time", "When this process started, since the epoch.", lambda: started, "seconds")
    new.asked_counter("process.cpu", "Processor time, of user and system.", time.process_time, "seconds")


def _resident_bytes() -> int:
    """Source: proc(5), statm."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES
