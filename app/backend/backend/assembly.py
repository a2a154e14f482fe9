"""Puts the layers together: everything one process needs, from settings."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bottle import Bottle

from backend.cache.users import UserCache, client
from backend.config import Settings
from backend.migrations.plan import pending
from backend.migrations.runner import read_history
from backend.migrations.scripts import SQL_FOLDER, MigrationError, scripts_in
from backend.observability.health import Health
from backend.observability.instruments import Instruments
from backend.repository.pool import Pool
from backend.repository.users import UserRepository
from backend.service.users import NoCache, UserService
from backend.web.app import service_app
from backend.web.edge import Edge
from backend.web.management import management_app


@dataclass(frozen=True, slots=True)
class Backend:
    """The applications and what must be told when the process ends."""

    service: Edge
    management: Bottle
    health: Health
    pool: Pool
    cache: UserCache | None

    def close(self) -> None:
        """Closes all connections."""
        self.pool.close()
        if self.cache is not None:
            self.cache.close()


def assemble(settings: Settings) -> Backend:
    """A backend that serves as soon as its applications are called; connects in the background."""
    instruments = Instruments()
    pool = Pool(settings.database, acquired=instruments.acquired.record, leaked=instruments.leaked.add)
    instruments.watch_pool(pool.stats, settings.database.pool_size, settings.database.pool_min_idle)
    cache = None
    if settings.redis:
        cache = UserCache(client(settings.redis), was_read=lambda hit: instruments.cache_read("users", hit=hit))
    repository = UserRepository(pool, instruments.invocations)

    def database_details() -> dict[str, Any]:
        return {"database": "PostgreSQL", "pool": dataclasses.asdict(pool.stats())}

    ping_cache = cache.ping if cache else None
    health = Health(repository.ping, ping_cache, database_details, _pending_migrations(pool))
    users = UserService(repository, cache or NoCache(), instruments)
    pool.start()
    service = service_app(settings, users, health, instruments)
    return Backend(service, management_app(settings, health, instruments), health, pool, cache)


def _pending_migrations(pool: Pool) -> Callable[[float], list[str]]:
    """(seconds to wait for a connection) -> the migrations that were not run, or why that cannot be said."""
    scripts = scripts_in(SQL_FOLDER)

    def names(timeout_s: float) -> list[str]:
        with pool.lend(timeout_s) as pooled:
            history = read_history(pooled.connection)
        try:
            return [script.name for script in pending(scripts, history)]
        except MigrationError as error:
            return [str(error)]

    return names
