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

from backend.errors import DatabaseUnavailable, ServiceError

log = logging.getLogger(__name__)

UP, DOWN, DEGRADED, OUT_OF_SERVICE = "UP", "DOWN", "DEGRADED", "OUT_OF_SERVICE"
DATABASE_PATIENCE_S = 2.0
DISK_PATH, DISK_THRESHOLD_BYTES = "/tmp", 10 * 1024 * 1024
_DECIDING = ("db", "migrations")

Answer = tuple[int, dict[str, Any]]  # HTTP status, JSON body


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
        components["diskSpace"] = disk_space(details)
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
        try:
            self._ping_database(DATABASE_PATIENCE_S)
        except DatabaseUnavailable as error:
            log.warning("health: database: %s", error)
            return {"status": DOWN} | ({"details": {"error": str(error)}} if details else {})
        return {"status": UP} | ({"details": self._database_details()} if details else {})

    def _migrations(self, details: bool) -> dict[str, Any]:
        try:
            pending = self._pending_migrations(DATABASE_PATIENCE_S)
        except ServiceError as error:
            log.warning("health: migrations: %s", error)
            return {"status": DOWN} | ({"details": {"error": str(error)}} if details else {})
        return {"status": DOWN if pending else UP} | ({"details": {"pending": pending}} if details else {})

    def _cache(self, ping: Callable[[], None], details: bool) -> dict[str, Any]:
        try:
            ping()
        except Exception as error:  # whatever keeps Redis from answering is the same to us
            log.warning("health: redis: %s", error)
            return {"status": DOWN} | ({"details": {"error": str(error)}} if details else {})
        return {"status": UP}


def disk_space(details: bool) -> dict[str, Any]:
    """How full the disk is that temporary files go to."""
    usage = shutil.disk_usage(DISK_PATH)
    shown = {"total": usage.total, "free": usage.free, "threshold": DISK_THRESHOLD_BYTES, "path": DISK_PATH}
    status = UP if usage.free >= DISK_THRESHOLD_BYTES else DOWN
    return {"status": status} | ({"details": shown} if details else {})
