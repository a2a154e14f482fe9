"""Settings from the environment, checked as a whole: one message names everything that is wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, MutableMapping
from ipaddress import ip_network
from typing import TypeVar
from urllib.parse import SplitResult, unquote, urlsplit

from backend.config import Auth, Database, Network, RateLimits, Redis, Settings, Tracing
from backend.keys import Key, keys_from_json, pii_keys_from_json

T = TypeVar("T")
D = TypeVar("D")

SECRETS = (
    *("AUTH_KEYS", "DATABASE_PASSWORD", "DATABASE_SECRET", "OTEL_EXPORTER_OTLP_HEADERS", "PII_KEYS"),
    "REDIS_PASSWORD",
)
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_SIZE = re.compile(r"(\d+)\s*([KMG]?)(I?)B?", re.IGNORECASE)
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_ORIGIN = re.compile(r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:]+\])(?::\d{1,5})?")
_SIZE_POWERS = {"": 0, "K": 1, "M": 2, "G": 3}


class ConfigError(Exception):
    """The environment is not usable; the message lists every wrong variable, never a secret's value."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("configuration: " + "; ".join(problems))
        self.problems = problems


def parse_size(text: str) -> int:
    """Bytes of "10MB", "512Ki", "1000"; raises ValueError for anything else."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError(text)
    step = 1024 if match[3] else 1000
    size: int = int(match[1]) * step ** _SIZE_POWERS[match[2].upper()]
    return size


def parse_hosts(text: str, default_port: int) -> tuple[tuple[str, int], ...]:
    """Host and port of each address in "db-2, db-3:5433"; raises ValueError for anything else."""
    found = []
    for address in (part.strip() for part in text.split(",")):
        host, colon, port = address.partition(":")
        number = int(port) if colon else default_port
        if not re.fullmatch(r"[A-Za-z0-9._-]+", host) or not 1 <= number <= 65535:
            raise ValueError(address)
        found.append((host, number))
    return tuple(found)


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
        self.names: set[str] = set()  # of all that was looked for
        self.problems: list[str] = []

    def text(self, name: str, default: str = "") -> str:
        self.names.add(name)
        return self._environ.get(name, "").strip() or default

    def required(self, name: str) -> str:
        value = self.text(name)
        if not value:
            self.problems.append(f"{name} is not set")
        return value

    def parsed(self, name: str, default: D, parse: Callable[[str], T], wanted: str, *, shown: bool = True) -> T | D:
        """`shown`: the message repeats a wrong value, which must not be where it may hold a secret."""
        value = self.text(name)
        if not value:
            return default
        try:
            return parse(value)
        except ValueError:
            self.problems.append(f"{name} is {value!r}, not {wanted}" if shown else f"{name} is not {wanted}")
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
    host, port = read.required("DATABASE_HOST"), read.whole("DATABASE_PORT", 5432, 1, 65535)
    return Database(
        host=host,
        port=port,
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
        lock_timeout_s=read.seconds("DATABASE_LOCK_TIMEOUT", 5.0, 0.1),
        leak_threshold_s=read.seconds("DATABASE_LEAK_THRESHOLD", 30.0),
        replicas=read.parsed(
            "DATABASE_REPLICA_HOSTS", (), lambda text: parse_hosts(text, port), 'a list such as "db-2, db-3:5433"'
        ),
        slow_query_s=read.seconds("SLOW_QUERY", 1.0),
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
        cluster=read.boolean("REDIS_CLUSTER", False),
        timeout_s=read.seconds("REDIS_TIMEOUT", 0.5, 0.01),
        near_rows=read.whole("NEAR_CACHE_ROWS", 10_000, 0, 1_000_000),
    )


def _auth(read: _Reader) -> Auth:
    required, given = read.boolean("AUTH_REQUIRED", True), read.text("AUTH_KEYS")
    keys: tuple[Key, ...] = ()
    if given:
        try:
            keys = keys_from_json(given)
        except ValueError as error:
            # The value itself stays out of the message: it holds the keys.
            read.problems.append(f"AUTH_KEYS: {error}")
    elif required:
        read.problems.append("AUTH_KEYS is not set (AUTH_REQUIRED=false lets everybody do everything)")
    return Auth(required=required, keys=keys, secure_cookies=read.boolean("AUTH_COOKIE_SECURE", True))


def _pii_keys(read: _Reader) -> tuple[Key, ...]:
    given = read.text("PII_KEYS")
    try:
        return pii_keys_from_json(given) if given else ()
    except ValueError as error:
        read.problems.append(f"PII_KEYS: {error}")
        return ()


def parse_share(text: str) -> float:
    """0 to 1; raises ValueError for anything else."""
    share = float(text)
    if not 0 <= share <= 1:
        raise ValueError(text)
    return share


def parse_pairs(text: str) -> dict[str, str]:
    """Name to value of a=1,b=two%20words, OpenTelemetry's way to write pairs; raises ValueError for anything else."""
    pairs = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = (unquote(piece.strip()) for piece in part.partition("="))
        if not (equals and name and name.isascii() and value.isprintable()):
            raise ValueError(text)
        pairs[name] = value
    return pairs


def traces_url(endpoint: str) -> SplitResult:
    """Where traces go, below the address that all signals share; raises ValueError.

    Source: OpenTelemetry's specification of the OTLP exporter, "Endpoint URLs for OTLP/HTTP".
    """
    url = urlsplit(endpoint)
    wanted = url.scheme in ("http", "https") and url.hostname and url.username is None and not url.query
    if not wanted or not endpoint.isascii():
        raise ValueError(endpoint)
    _ = url.port, str(url.hostname).encode("idna")  # raise, too
    return url._replace(path=url.path.rstrip("/") + "/v1/traces", fragment="")


def _tracing(read: _Reader) -> Tracing:
    pairs = "of the form name=value,name=value"
    address = "an address such as http://collector:4318, without a password"
    resource = read.parsed("OTEL_RESOURCE_ATTRIBUTES", {}, parse_pairs, pairs)
    service = read.text("OTEL_SERVICE_NAME") or resource.get("service.name", "capstan-backend")
    return Tracing(
        share=read.parsed("TRACE_SAMPLING", 0.1, parse_share, "a number from 0 to 1"),
        slow_s=read.seconds("TRACE_SLOW", 0.5),
        url=read.parsed("OTEL_EXPORTER_OTLP_ENDPOINT", None, traces_url, address, shown=False),
        headers=read.parsed("OTEL_EXPORTER_OTLP_HEADERS", {}, _parse_headers, pairs, shown=False),
        resource={**resource, "service.name": service},
    )


def _parse_headers(text: str) -> dict[str, str]:
    headers = parse_pairs(text)
    if not all(_HEADER_NAME.fullmatch(name) and value.isascii() for name, value in headers.items()):
        raise ValueError(text)
    return headers


def database_from_env(environ: Mapping[str, str]) -> Database:
    """The database part alone, which is all that migrations need. Raises ConfigError."""
    read = _Reader(environ)
    database = _database(read)
    if read.problems:
        raise ConfigError(read.problems)
    return database


def take_settings(environ: MutableMapping[str, str]) -> Settings:
    """All settings of the service, which are not in the environment any more. Raises ConfigError."""
    read = _Reader(environ)
    settings = _settings(read)
    for name in {*read.names, *SECRETS}:
        environ.pop(name, None)
    return settings


def settings_from_env(environ: Mapping[str, str]) -> Settings:
    """All settings of the service. Raises ConfigError, which names every wrong variable at once."""
    return _settings(_Reader(environ))


def _settings(read: _Reader) -> Settings:
    settings = Settings(
        database=_database(read),
        redis=_redis(read),
        auth=_auth(read),
        rates=RateLimits(
            user=read.whole("RATE_LIMIT_USER", 100, 0, 10**9), address=read.whole("RATE_LIMIT_IP", 1000, 0, 10**9)
        ),
        tracing=_tracing(read),
        pii_keys=_pii_keys(read),
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
        audit_retention_months=read.whole("AUDIT_RETENTION_MONTHS", 24, 1, 1200),
        build=read.text("APP_BUILD", "unknown"),
    )
    if settings.app_port == settings.management_port:
        read.problems.append(f"APP_PORT and MANAGEMENT_PORT are both {settings.app_port}")
    if read.problems:
        raise ConfigError(read.problems)
    return settings
