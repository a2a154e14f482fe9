"""Puts the layers together: everything one process needs, from settings."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bottle import Bottle

from backend.cache.users import UserCache, client
from backend.config import Database, Settings
from backend.migrations.plan import pending
from backend.migrations.runner import read_history
from backend.migrations.scripts import SQL_FOLDER, MigrationError, scripts_in
from backend.observability.health import Health
from backend.observability.instruments import Instruments
from backend.repository.pool import Pool, together
from backend.repository.replicas import Replica, Replicas
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
    replicas: Replicas
    cache: UserCache | None

    def close(self) -> None:
        """Closes all connections."""
        self.pool.close()
        self.replicas.close()
        if self.cache is not None:
            self.cache.close()


def assemble(settings: Settings) -> Backend:
    """A backend that serves as soon as its applications are called; connects in the background."""
    instruments = Instruments()
    pool = _pool(settings.database, instruments)
    replicas = _replicas(settings.database, instruments)
    pools = [pool, *(replica.pool for replica in replicas.all)]
    size, min_idle = (len(pools) * each for each in (settings.database.pool_size, settings.database.pool_min_idle))
    instruments.watch_pool(lambda: together(each.stats() for each in pools), size, min_idle)
    instruments.watch_replicas(replicas.fresh)
    cache = None
    if settings.redis:
        cache = UserCache(client(settings.redis), was_read=lambda hit: instruments.cache_read("users", hit=hit))
    repository = UserRepository(pool, instruments.invocations, replicas)

    def database_details() -> dict[str, Any]:
        shown = [{"address": replica.address, "fresh": replica.is_fresh()} for replica in replicas.all]
        return {"database": "PostgreSQL", "pool": dataclasses.asdict(pool.stats()), "replicas": shown}

    ping_cache = cache.ping if cache else None
    health = Health(repository.ping, ping_cache, database_details, _pending_migrations(pool))
    users = UserService(repository, cache or NoCache(), instruments)
    pool.start()
    replicas.start()
    service = service_app(settings, users, health, instruments)
    return Backend(service, management_app(settings, health, instruments), health, pool, replicas, cache)


def _pool(database: Database, instruments: Instruments) -> Pool:
    return Pool(database, acquired=instruments.acquired.record, leaked=instruments.leaked.add)


def _replicas(primary: Database, instruments: Instruments) -> Replicas:
    databases = [dataclasses.replace(primary, host=host, port=port) for host, port in primary.replicas]
    return Replicas([Replica(primary, database, _pool(database, instruments)) for database in databases])


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
