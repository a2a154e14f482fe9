"""Health in the shapes of Spring's actuator.

Database and schema decide: without them the service is DOWN (503). Without Redis, or with a full disk, it is DEGRADED
(200): slower, but it serves, so nothing may take it out of rotation or restart it. Liveness looks at the process alone,
so that a database outage restarts no pod; readiness asks the database as well, so that a release with wrong credentials
never becomes ready.
"""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable
from typing import Any

from backend.errors import DatabaseUnavailable

log = logging.getLogger(__name__)

UP, DOWN, DEGRADED, OUT_OF_SERVICE = "UP", "DOWN", "DEGRADED", "OUT_OF_SERVICE"
DATABASE_PATIENCE_S = 2.0
DISK_PATH, DISK_THRESHOLD_BYTES = "/tmp", 10 * 1024 * 1024
_DECIDING = ("db", "migrations")

Answer = tuple[int, dict[str, Any]]  # HTTP status, JSON body
Found = tuple[str, dict[str, Any]]  # a component's status, and its details


def overall(components: dict[str, str]) -> str:
    """The status of the whole from those of its components: some decide, the others only degrade."""
    if any(components.get(name) != UP for name in _DECIDING):
        return DOWN
    return UP if all(status == UP for status in components.values()) else DEGRADED


class Health:
    """Asks the components anew each time; their checks end within a few seconds."""

    def __init__(
        self,
        ping_database: Callable[[float], None],
        ping_cache: Callable[[], None] | None,
        database_details: Callable[[], dict[str, Any]],
        pending_migrations: Callable[[float], list[str]],
    ) -> None:
        self._ping_database = ping_database
        self._ping_cache = ping_cache
        self._database_details = database_details
        self._pending_migrations = pending_migrations
        self._draining = threading.Event()

    def drain(self) -> None:
        """From now on not ready: the process is about to end."""
        self._draining.set()

    def whole(self, *, details: bool) -> Answer:
        """/actuator/health; `details` only where no stranger reads them."""
        components = {"db": self._database(details)}
        up = components["db"]["status"] == UP
        components["migrations"] = self._migrations(details) if up else {"status": DOWN}
        if self._ping_cache is not None:
            components["redis"] = self._cache(self._ping_cache, details)
        components["diskSpace"] = checked("disk", disk_space, OSError, details)
        status = overall({name: component["status"] for name, component in components.items()})
        if self._draining.is_set():
            status = OUT_OF_SERVICE
        code = 200 if status in (UP, DEGRADED) else 503
        return code, {"status": status, "components": components}

    def liveness(self) -> Answer:
        """/actuator/health/liveness: that this is answered at all is the point."""
        return 200, {"status": UP, "components": {"livenessState": {"status": UP}}}

    def readiness(self) -> Answer:
        """/actuator/health/readiness."""
        state = OUT_OF_SERVICE if self._draining.is_set() else UP
        components: dict[str, Any] = {"readinessState": {"status": state}, "db": self._database(details=False)}
        status = state if state != UP else components["db"]["status"]
        return 200 if status == UP else 503, {"status": status, "components": components}

    def _database(self, details: bool) -> dict[str, Any]:
        def check() -> Found:
            self._ping_database(DATABASE_PATIENCE_S)
            return UP, self._database_details() if details else {}

        return checked("database", check, DatabaseUnavailable, details)

    def _migrations(self, details: bool) -> dict[str, Any]:
        def check() -> Found:
            pending = self._pending_migrations(DATABASE_PATIENCE_S)
            return DOWN if pending else UP, {"pending": pending}

        return checked("migrations", check, DatabaseUnavailable, details)

    def _cache(self, ping: Callable[[], None], details: bool) -> dict[str, Any]:
        def check() -> Found:
            ping()
            return UP, {}

        # Whatever keeps Redis from answering is the same to us.
        return checked("redis", check, Exception, details)


def checked(name: str, check: Callable[[], Found], failure: type[Exception], details: bool) -> dict[str, Any]:
    """A component: what `check` finds, or DOWN with the reason where it fails with a `failure`."""
    try:
        status, shown = check()
    except failure as error:
        log.warning("health: %s: %s", name, error)
        status, shown = DOWN, {"error": str(error)}
    return {"status": status} | ({"details": shown} if details and shown else {})


def disk_space() -> Found:
    """How full the disk is that temporary files go to."""
    usage = shutil.disk_usage(DISK_PATH)
    shown = {"total": usage.total, "free": usage.free, "threshold": DISK_THRESHOLD_BYTES, "path": DISK_PATH}
    return UP if usage.free >= DISK_THRESHOLD_BYTES else DOWN, shown
