"""Puts the layers together: everything one process needs, from settings."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from bottle import Bottle

from backend.cache.users import UserCache, client
from backend.config import Settings
from backend.observability.health import Health
from backend.repository.pool import Pool
from backend.repository.users import UserRepository
from backend.service.users import NoCache, UserService
from backend.web.app import management_app, service_app
from backend.web.edge import Edge


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
    pool = Pool(settings.database)
    cache = UserCache(client(settings.redis)) if settings.redis else None
    repository = UserRepository(pool)

    def database_details() -> dict[str, Any]:
        return {"database": "PostgreSQL", "pool": dataclasses.asdict(pool.stats())}

    health = Health(repository.ping, cache.ping if cache else None, database_details)
    users = UserService(repository, cache or NoCache())
    pool.start()
    return Backend(service_app(settings, users, health), management_app(settings, health), health, pool, cache)
