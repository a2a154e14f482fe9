"""Settings from the environment, checked as a whole: one message names everything that is wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TypeVar

Network = IPv4Network | IPv6Network
T = TypeVar("T")

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_SIZE = re.compile(r"(\d+)\s*([KMG]?)(I?)B?", re.IGNORECASE)
_ORIGIN = re.compile(r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:]+\])(?::\d{1,5})?")
_SIZE_POWERS = {"": 0, "K": 1, "M": 2, "G": 3}


class ConfigError(Exception):
    """The environment is not usable; the message lists every wrong variable, never a secret's value."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("configuration: " + "; ".join(problems))
        self.problems = problems


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
    wait_s: float = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Redis:
    """How to reach Redis."""

    host: str
    port: int
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    timeout_s: float = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything the service can be told. `redis` is None where no cache is configured."""

    database: Database
    redis: Redis | None
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
    build: str = "unknown"

    @property
    def bodies_at_once(self) -> int:
        """How many threads may wait for bodies: the others are for requests without one."""
        return max(1, self.http_threads * 3 // 4)

    def secrets(self) -> list[str]:
        """The values that no log line may hold."""
        found = [self.database.password, self.redis.password if self.redis else None]
        return [value for value in found if value]


def parse_size(text: str) -> int:
    """Bytes of "10MB", "512Ki", "1000"; raises ValueError for anything else."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError(text)
    step = 1024 if match[3] else 1000
    size: int = int(match[1]) * step ** _SIZE_POWERS[match[2].upper()]
    return size


def _parse_bool(text: str) -> bool:
    value = text.strip().lower()
    if value not in ("true", "false", "1", "0", "yes", "no", "on", "off"):
        raise ValueError(text)
    return value in ("true", "1", "yes", "on")


def _parse_origins(text: str) -> tuple[str, ...]:
    """Origins as browsers write them, or "*" alone: who may send credentials is named."""
    origins = tuple(origin for part in text.split(",") if (origin := part.strip()))
    if origins != ("*",) and not all(_ORIGIN.fullmatch(origin) for origin in origins):
        raise ValueError(text)
    return origins


def _parse_networks(text: str) -> tuple[Network, ...]:
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())


def _log_level(text: str) -> str:
    # "warn" is what the reference's operators are used to write.
    return {"WARN": "WARNING"}.get(text.upper(), text.upper())


class _Reader:
    """Reads variables one by one and gathers what is wrong with them."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.problems: list[str] = []

    def text(self, name: str, default: str = "") -> str:
        return self._environ.get(name, "").strip() or default

    def required(self, name: str) -> str:
        value = self.text(name)
        if not value:
            self.problems.append(f"{name} is not set")
        return value

    def parsed(self, name: str, default: T, parse: Callable[[str], T], wanted: str) -> T:
        value = self.text(name)
        if not value:
            return default
        try:
            return parse(value)
        except ValueError:
            self.problems.append(f"{name} is {value!r}, not {wanted}")
            return default

    def boolean(self, name: str, default: bool) -> bool:
        return self.parsed(name, default, _parse_bool, "true or false")

    def whole(self, name: str, default: int, low: int, high: int) -> int:
        def parse(text: str) -> int:
            number = int(text)
            if not low <= number <= high:
                raise ValueError(text)
            return number

        wanted = f"a whole number from {low} to {high}"
        if self.text(name).startswith("tcp://"):
            wanted += " (Kubernetes made it from a Service of that name: set enableServiceLinks: false)"
        return self.parsed(name, default, parse, wanted)

    def seconds(self, name: str, default: float, low: float = 0.0) -> float:
        def parse(text: str) -> float:
            number = float(text)
            if not low <= number <= 86_400:
                raise ValueError(text)
            return number

        return self.parsed(name, default, parse, f"a number of seconds from {low:g} to 86400")

    def choice(self, name: str, default: str, choices: tuple[str, ...], change: Callable[[str], str]) -> str:
        def parse(text: str) -> str:
            if change(text) not in choices:
                raise ValueError(text)
            return change(text)

        return self.parsed(name, default, parse, "one of " + ", ".join(choices))


def _credentials(read: _Reader) -> tuple[str, str]:
    """User and password: from DATABASE_SECRET's JSON where set, else from the two variables."""
    secret = read.text("DATABASE_SECRET")
    if not secret:
        return read.required("DATABASE_USER"), read.required("DATABASE_PASSWORD")
    try:
        found = json.loads(secret)
        user, password = found["username"], found["password"]
    except (ValueError, KeyError, TypeError):
        user = password = None
    if not (isinstance(user, str) and user and isinstance(password, str) and password):
        # The value itself stays out of the message: it may hold the password.
        read.problems.append('DATABASE_SECRET is not JSON of the form {"username": "…", "password": "…"}')
        return "", ""
    return user, password


def _database(read: _Reader) -> Database:
    user, password = _credentials(read)
    pool_size = read.whole("DATABASE_POOL_SIZE", 10, 1, 100)
    return Database(
        host=read.required("DATABASE_HOST"),
        port=read.whole("DATABASE_PORT", 5432, 1, 65535),
        name=read.required("DATABASE_NAME"),
        user=user,
        password=password,
        sslmode=read.choice("DATABASE_SSLMODE", "prefer", SSL_MODES, str.lower),
        sslrootcert=read.text("DATABASE_SSLROOTCERT") or None,
        pool_size=pool_size,
        pool_min_idle=read.whole("DATABASE_POOL_MIN_IDLE", min(2, pool_size), 0, pool_size),
        connection_timeout_s=read.seconds("DATABASE_CONNECTION_TIMEOUT", 30.0, 0.1),
        idle_timeout_s=read.seconds("DATABASE_IDLE_TIMEOUT", 600.0, 1.0),
        max_lifetime_s=read.seconds("DATABASE_MAX_LIFETIME", 1800.0, 1.0),
        statement_timeout_s=read.seconds("DATABASE_STATEMENT_TIMEOUT", 10.0, 0.1),
        wait_s=read.seconds("DATABASE_WAIT", 120.0),
    )


def _redis(read: _Reader) -> Redis | None:
    host = read.text("REDIS_HOST")
    if not host:
        return None
    return Redis(
        host=host,
        port=read.whole("REDIS_PORT", 6379, 1, 65535),
        password=read.text("REDIS_PASSWORD") or None,
        tls=read.boolean("REDIS_TLS", False),
        timeout_s=read.seconds("REDIS_TIMEOUT", 0.5, 0.01),
    )


def database_from_env(environ: Mapping[str, str]) -> Database:
    """The database part alone, which is all that migrations need. Raises ConfigError."""
    read = _Reader(environ)
    database = _database(read)
    if read.problems:
        raise ConfigError(read.problems)
    return database


def settings_from_env(environ: Mapping[str, str]) -> Settings:
    """All settings of the service. Raises ConfigError, which names every wrong variable at once."""
    read = _Reader(environ)
    settings = Settings(
        database=_database(read),
        redis=_redis(read),
        bind_address=read.text("BIND_ADDRESS", "0.0.0.0"),
        app_port=read.whole("APP_PORT", 8080, 1, 65535),
        management_port=read.whole("MANAGEMENT_PORT", 9090, 1, 65535),
        http_threads=read.whole("HTTP_THREADS", 8, 1, 64),
        log_level=read.choice("LOG_LEVEL", "INFO", LOG_LEVELS, _log_level),
        new_ui=read.boolean("FEATURE_FLAG_NEW_UI", False),
        max_upload_bytes=read.parsed("MAX_UPLOAD_SIZE", 10_000_000, parse_size, 'a size such as "10MB" or "512Ki"'),
        max_json_depth=read.whole("MAX_JSON_DEPTH", 32, 1, 500),
        body_timeout_s=read.seconds("REQUEST_BODY_TIMEOUT", 10.0, 0.1),
        keep_alive_s=read.seconds("KEEP_ALIVE_TIMEOUT", 75.0, 1.0),
        cors_origins=read.parsed(
            "CORS_ORIGINS", (), _parse_origins, 'origins such as "https://app.example.com", or "*"'
        ),
        hsts=read.boolean("HSTS", False),
        trusted_proxies=read.parsed("TRUSTED_PROXIES", (), _parse_networks, 'networks such as "10.0.0.0/16, ::1"'),
        drain_s=read.seconds("SHUTDOWN_DRAIN", 5.0),
        shutdown_timeout_s=read.seconds("SHUTDOWN_TIMEOUT", 20.0, 1.0),
        build=read.text("APP_BUILD", "unknown"),
    )
    if settings.app_port == settings.management_port:
        read.problems.append(f"APP_PORT and MANAGEMENT_PORT are both {settings.app_port}")
    if read.problems:
        raise ConfigError(read.problems)
    return settings
