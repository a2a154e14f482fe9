"""What the service can be told; `environment.py` reads it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from urllib.parse import SplitResult

from backend.keys import Key

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """How to reach PostgreSQL, and the pool's figures. Times in seconds."""

    host: str
    port: int
    name: str
    user: str
    password: str = field(repr=False)
    sslmode: str = "prefer"
    sslrootcert: str | None = None
    pool_size: int = 10
    pool_min_idle: int = 2
    connection_timeout_s: float = 30.0
    idle_timeout_s: float = 600.0
    max_lifetime_s: float = 1800.0
    statement_timeout_s: float = 10.0
    lock_timeout_s: float = 5.0
    leak_threshold_s: float = 30.0  # 0: leaks are not looked for
    replicas: tuple[tuple[str, int], ...] = ()  # host and port of each
    slow_query_s: float = 1.0
    wait_s: float = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Redis:
    """How to reach Redis."""

    host: str
    port: int
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    cluster: bool = False
    timeout_s: float = 0.5
    near_rows: int = 10_000  # of each kind, in this process's memory


@dataclass(frozen=True, slots=True, kw_only=True)
class Auth:
    """How callers show who they are. Not `required`: whoever brings no token may do what an administrator may."""

    required: bool = True
    keys: tuple[Key, ...] = ()
    secure_cookies: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracing:
    """Which requests are traced, and where traces go. `url` is None where no collector is configured."""

    share: float = 0.1
    slow_s: float = 0.5
    url: SplitResult | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    resource: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimits:
    """Requests a minute: of a caller for each kind, of an address that a trusted proxy names. 0: any number."""

    user: int = 100
    address: int = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything the service can be told. `redis` is None where no cache is configured."""

    database: Database
    redis: Redis | None
    auth: Auth
    rates: RateLimits
    tracing: Tracing = Tracing()
    pii_keys: tuple[Key, ...] = ()  # none: names and addresses are stored as they are
    bind_address: str = "0.0.0.0"
    app_port: int = 8080
    management_port: int = 9090
    http_threads: int = 8
    log_level: str = "INFO"
    new_ui: bool = False
    max_upload_bytes: int = 10_000_000
    max_json_depth: int = 32
    body_timeout_s: float = 10.0
    keep_alive_s: float = 75.0
    cors_origins: tuple[str, ...] = ()
    hsts: bool = False
    trusted_proxies: tuple[Network, ...] = ()
    drain_s: float = 5.0
    shutdown_timeout_s: float = 20.0
    audit_retention_months: int = 24
    build: str = "unknown"

    @property
    def bodies_at_once(self) -> int:
        """How many threads may wait for bodies: the others are for requests without one."""
        return max(1, self.http_threads * 3 // 4)

    def secrets(self) -> list[str]:
        """The values that no log line may hold."""
        found = [self.database.password, self.redis.password if self.redis else None]
        found += [base64.b64encode(key.secret).decode() for key in (*self.auth.keys, *self.pii_keys)]
        # Most headers are credentials; a short one, a tenant's number say, would blank half of every line.
        found += [value for value in self.tracing.headers.values() if len(value) >= 8]
        return [value for value in found if value]
