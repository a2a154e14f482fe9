"""Puts the layers together: everything one process needs, from settings."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bottle import Bottle

from backend import __version__
from backend.cache.caches import Caches
from backend.cache.link import Link, wire_to
from backend.cache.rates import Rates
from backend.cache.sessions import SESSIONS
from backend.cache.throttle import LocalThrottle, RedisThrottle
from backend.cache.users import users_form
from backend.config import Database, Settings, Tracing
from backend.keys import KeyRing
from backend.migrations.plan import pending
from backend.migrations.runner import read_history
from backend.migrations.scripts import SQL_FOLDER, MigrationError, scripts_in
from backend.observability.health import Health
from backend.observability.instruments import Instruments
from backend.observability.otlp import Exporter
from backend.observability.request_lines import RequestLines
from backend.observability.tracing import Tracer
from backend.repository.accounts import AccountRepository
from backend.repository.audit import AuditRepository
from backend.repository.exports import ExportRepository
from backend.repository.notices import Notices
from backend.repository.pool import Pool, together
from backend.repository.replicas import Replica, Replicas
from backend.repository.users import UserRepository
from backend.sealing import sealer_of
from backend.service.admission import Admission
from backend.service.audit import AuditService
from backend.service.auth import AuthService
from backend.service.exports import ExportService
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
    replicas: Replicas
    link: Link | None
    caches: Caches
    notices: Notices
    rates: Rates
    audit: AuditService
    exporter: Exporter | None
    lines: RequestLines

    def close(self) -> None:
        """Writes the last lines, sends the last traces, and closes all connections."""
        self.lines.close()
        self.audit.close()
        if self.exporter is not None:
            self.exporter.close()
        self.notices.close()
        self.pool.close()
        self.replicas.close()
        self.caches.close()
        self.rates.close()
        if self.link is not None:
            self.link.close()


def assemble(settings: Settings) -> Backend:
    """A backend that serves as soon as its applications are called; connects in the background."""
    instruments = Instruments()
    pool = _pool(settings.database, instruments)
    replicas = _replicas(settings.database, instruments)
    pools = [pool, *(replica.pool for replica in replicas.all)]
    size, min_idle = (len(pools) * each for each in (settings.database.pool_size, settings.database.pool_min_idle))
    instruments.watch_pool(lambda: together(each.stats() for each in pools), size, min_idle)
    instruments.watch_replicas(replicas.fresh)
    link = Link(wire_to(settings.redis)) if settings.redis else None
    notices = Notices(settings.database, pool)
    caches = Caches(link, settings.redis.near_rows if settings.redis else 0, instruments, notices.tell)
    instruments.watch_near_cache(caches.is_near, caches.near_rows)
    sealer = sealer_of(settings.pii_keys)
    repository = UserRepository(pool, instruments.invocations, replicas, sealer)
    accounts = AccountRepository(pool, instruments.invocations, replicas, sealer)
    sessions = Sessions(accounts, caches.of(SESSIONS))

    def database_details() -> dict[str, Any]:
        shown = [{"address": replica.address, "fresh": replica.is_fresh()} for replica in replicas.all]
        return {"database": "PostgreSQL", "pool": dataclasses.asdict(pool.stats()), "replicas": shown}

    ping_cache = link.ping if link else None
    health = Health(repository.ping, ping_cache, database_details, _pending_migrations(pool))
    users = UserService(repository, caches.of(users_form(sealer), replicas.wrote), sessions, instruments)
    audit_log = AuditRepository(pool, instruments.invocations)
    audit = AuditService(audit_log, settings.audit_retention_months, lambda looks: instruments.audit_lost.add(by=looks))
    auth = tokens = None
    if settings.auth.keys:
        throttle = RedisThrottle(link) if link else LocalThrottle()
        tokens = Tokens(KeyRing(settings.auth.keys))
        auth = AuthService(accounts, sessions, tokens, throttle, instruments, users.created, audit.login_failed)
    rates = Rates(link)
    admission = Admission(tokens, sessions, rates, settings.rates, link, instruments)
    exports = ExportService(ExportRepository(pool, instruments.invocations, sealer), audit)
    pool.start()
    replicas.start()
    caches.start()
    if link is not None:
        notices.start(caches)
    rates.start()
    audit.start()
    exporter = _exporter(settings.tracing, instruments)
    tracer = Tracer(settings.tracing.share, settings.tracing.slow_s, exporter.keep if exporter else None)
    lines = RequestLines(settings.secrets(), lost=lambda count: instruments.lines_lost.add(by=count))
    lines.start()
    service = service_app(settings, users, audit, exports, auth, admission, health, instruments, tracer, lines)
    management = management_app(settings, health, instruments)
    return Backend(service, management, health, pool, replicas, link, caches, notices, rates, audit, exporter, lines)


def _pool(database: Database, instruments: Instruments) -> Pool:
    return Pool(database, acquired=instruments.acquired, leaked=instruments.leaked.add)


def _replicas(primary: Database, instruments: Instruments) -> Replicas:
    databases = [dataclasses.replace(primary, host=host, port=port) for host, port in primary.replicas]
    return Replicas([Replica(primary, database, _pool(database, instruments)) for database in databases])


def _exporter(tracing: Tracing, instruments: Instruments) -> Exporter | None:
    """At work already; None where no collector is configured."""
    if tracing.url is None:
        return None
    resource = {"service.version": __version__, **tracing.resource}
    exported, dropped = instruments.spans_exported, instruments.spans_dropped
    exporter = Exporter(
        tracing.url,
        tracing.headers,
        resource,
        exported=lambda spans: exported.add(by=spans),
        dropped=lambda spans: dropped.add(by=spans),
    )
    exporter.start()
    return exporter


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
