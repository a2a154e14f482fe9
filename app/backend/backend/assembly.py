"""Puts the layers together: everything one process needs, from settings."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bottle import Bottle

from backend.cache.link import Link
from backend.cache.sessions import SESSIONS
from backend.cache.throttle import LocalThrottle, RedisThrottle
from backend.cache.users import USERS
from backend.cache.versioned import Form, NoCache, R, VersionedCache
from backend.cache.wire import SingleWire
from backend.config import Settings
from backend.keys import KeyRing
from backend.migrations.plan import pending
from backend.migrations.runner import read_history
from backend.migrations.scripts import SQL_FOLDER, MigrationError, scripts_in
from backend.observability.health import Health
from backend.observability.instruments import Instruments
from backend.repository.accounts import AccountRepository
from backend.repository.pool import Pool
from backend.repository.users import UserRepository
from backend.service.auth import AuthService
from backend.service.sessions import Sessions
from backend.service.tokens import Tokens
from backend.service.users import UserService
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
    link: Link | None

    def close(self) -> None:
        """Closes all connections."""
        self.pool.close()
        if self.link is not None:
            self.link.close()


def assemble(settings: Settings) -> Backend:
    """A backend that serves as soon as its applications are called; connects in the background."""
    instruments = Instruments()
    pool = Pool(settings.database, acquired=instruments.acquired.record)
    instruments.watch_pool(pool.stats, settings.database.pool_size, settings.database.pool_min_idle)
    link = Link(SingleWire(settings.redis)) if settings.redis else None
    repository = UserRepository(pool, instruments.invocations)
    accounts = AccountRepository(pool, instruments.invocations)
    sessions = Sessions(accounts, cache_of(SESSIONS, link, instruments))

    def database_details() -> dict[str, Any]:
        return {"database": "PostgreSQL", "pool": dataclasses.asdict(pool.stats())}

    ping_cache = link.ping if link else None
    health = Health(repository.ping, ping_cache, database_details, _pending_migrations(pool))
    users = UserService(repository, cache_of(USERS, link, instruments), sessions, instruments)
    auth = None
    if settings.auth.keys:
        throttle = RedisThrottle(link) if link else LocalThrottle()
        auth = AuthService(accounts, sessions, Tokens(KeyRing(settings.auth.keys)), throttle, instruments)
    pool.start()
    service = service_app(settings, users, auth, health, instruments)
    return Backend(service, management_app(settings, health, instruments), health, pool, link)


def cache_of(form: Form[R], link: Link | None, instruments: Instruments) -> VersionedCache[R] | NoCache[R]:
    """Where rows of one kind are kept."""
    if link is None:
        return NoCache()
    return VersionedCache(link, form, lambda hit: instruments.cache_read(form.name, hit=hit))


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
