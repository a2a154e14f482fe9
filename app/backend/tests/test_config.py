"""Settings from the environment."""

from __future__ import annotations

import pytest
from backend.environment import ConfigError, database_from_env, parse_size, settings_from_env, take_settings

LEAST = {
    "DATABASE_HOST": "db.internal",
    "DATABASE_NAME": "capstan",
    "DATABASE_USER": "app",
    "DATABASE_PASSWORD": "hush-hush",
    "AUTH_REQUIRED": "false",
}
KEY = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
PII_KEY = "bmluZW5pbmVuaW5lbmluZW5pbmVuaW5lbmluZW5pbmU="
KEYS = f'[{{"kid": "k1", "key": "{KEY}"}}]'


def problems(**changes: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        settings_from_env(LEAST | changes)
    return caught.value.problems


def test_the_defaults_are_the_documented_figures() -> None:
    settings = settings_from_env(LEAST)
    database = settings.database
    assert (database.port, database.sslmode, database.pool_size, database.pool_min_idle) == (5432, "prefer", 10, 2)
    assert (database.connection_timeout_s, database.idle_timeout_s, database.max_lifetime_s) == (30, 600, 1800)
    assert (database.statement_timeout_s, database.lock_timeout_s, database.leak_threshold_s) == (10, 5, 30)
    assert (settings.app_port, settings.management_port, settings.http_threads) == (8080, 9090, 8)
    assert (settings.log_level, settings.new_ui, settings.redis) == ("INFO", False, None)
    assert (settings.max_json_depth, settings.body_timeout_s, settings.keep_alive_s) == (32, 10, 75)
    assert (settings.cors_origins, settings.hsts, settings.trusted_proxies) == ((), False, ())


def test_every_variable_reaches_its_setting() -> None:
    settings = settings_from_env(
        LEAST
        | {
            "DATABASE_PORT": "5433",
            "DATABASE_SSLMODE": "verify-full",
            "DATABASE_SSLROOTCERT": "/etc/ca.pem",
            "DATABASE_POOL_SIZE": "20",
            "DATABASE_POOL_MIN_IDLE": "4",
            "DATABASE_CONNECTION_TIMEOUT": "3",
            "DATABASE_IDLE_TIMEOUT": "60",
            "DATABASE_MAX_LIFETIME": "90",
            "DATABASE_STATEMENT_TIMEOUT": "2.5",
            "DATABASE_LOCK_TIMEOUT": "1.5",
            "DATABASE_LEAK_THRESHOLD": "0",
            "DATABASE_REPLICA_HOSTS": "db-2.internal, db-3:6432",
            "DATABASE_WAIT": "7",
            "REDIS_HOST": "cache.internal",
            "REDIS_PORT": "6380",
            "REDIS_PASSWORD": "hush",
            "REDIS_TLS": "true",
            "REDIS_CLUSTER": "true",
            "REDIS_TIMEOUT": "0.25",
            "NEAR_CACHE_ROWS": "77",
            "AUTH_REQUIRED": "true",
            "AUTH_KEYS": KEYS,
            "AUTH_COOKIE_SECURE": "false",
            "PII_KEYS": f'[{{"kid": "index", "key": "{PII_KEY}"}}, {{"kid": "a", "key": "{PII_KEY}"}}]',
            "BIND_ADDRESS": "127.0.0.1",
            "APP_PORT": "8000",
            "MANAGEMENT_PORT": "9000",
            "HTTP_THREADS": "4",
            "LOG_LEVEL": "warn",
            "FEATURE_FLAG_NEW_UI": "TRUE",
            "MAX_UPLOAD_SIZE": "2Mi",
            "MAX_JSON_DEPTH": "9",
            "REQUEST_BODY_TIMEOUT": "3.5",
            "KEEP_ALIVE_TIMEOUT": "130",
            "CORS_ORIGINS": "https://a.example, https://b.example",
            "HSTS": "true",
            "TRUSTED_PROXIES": "10.0.0.0/8, 2001:db8::/32, 192.0.2.7",
            "SHUTDOWN_DRAIN": "1",
            "SHUTDOWN_TIMEOUT": "9",
            "AUDIT_RETENTION_MONTHS": "6",
            "APP_BUILD": "abc123",
        }
    )
    database, redis = settings.database, settings.redis
    assert (database.port, database.sslmode, database.sslrootcert) == (5433, "verify-full", "/etc/ca.pem")
    assert (database.pool_size, database.pool_min_idle, database.connection_timeout_s) == (20, 4, 3)
    assert (database.idle_timeout_s, database.max_lifetime_s) == (60, 90)
    assert (database.statement_timeout_s, database.wait_s) == (2.5, 7)
    assert (database.lock_timeout_s, database.leak_threshold_s) == (1.5, 0)
    assert database.replicas == (("db-2.internal", 5433), ("db-3", 6432))
    assert redis is not None
    assert (redis.host, redis.port, redis.password, redis.tls) == ("cache.internal", 6380, "hush", True)
    assert (redis.cluster, redis.timeout_s, redis.near_rows) == (True, 0.25, 77)
    assert (settings.bind_address, settings.app_port, settings.management_port) == ("127.0.0.1", 8000, 9000)
    assert (settings.http_threads, settings.log_level, settings.new_ui) == (4, "WARNING", True)
    assert (settings.max_upload_bytes, settings.build) == (2097152, "abc123")
    assert (settings.max_json_depth, settings.body_timeout_s, settings.keep_alive_s) == (9, 3.5, 130)
    assert settings.cors_origins == ("https://a.example", "https://b.example")
    assert settings.hsts is True
    assert [str(network) for network in settings.trusted_proxies] == ["10.0.0.0/8", "2001:db8::/32", "192.0.2.7/32"]
    assert (settings.drain_s, settings.shutdown_timeout_s) == (1, 9)
    assert settings.audit_retention_months == 6
    assert (settings.auth.required, settings.auth.secure_cookies) == (True, False)
    assert [(key.kid, key.secret, key.signs_from) for key in settings.auth.keys] == [
        ("k1", b"01234567890123456789012345678901", 0)
    ]
    assert [key.kid for key in settings.pii_keys] == ["index", "a"]
    assert settings.secrets() == ["hush-hush", "hush", KEY, PII_KEY, PII_KEY]
    assert PII_KEY not in repr(settings) and "nine" not in repr(settings)


def test_what_was_read_is_in_the_environment_no_more() -> None:
    environ = LEAST | {
        **{"PATH": "/usr/bin", "REDIS_HOST": "cache.internal", "REDIS_PASSWORD": "hush", "AUTH_KEYS": KEYS},
        "PII_KEYS": f'[{{"kid": "index", "key": "{PII_KEY}"}}, {{"kid": "a", "key": "{PII_KEY}"}}]',
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318",
        "OTEL_EXPORTER_OTLP_HEADERS": "api-key=top-secret",
    }
    settings = take_settings(environ)
    assert len(settings.secrets()) == 6
    assert environ == {"PATH": "/usr/bin"}
    managed = LEAST | {"DATABASE_SECRET": '{"username": "app", "password": "hush-hush"}'}
    assert take_settings(managed).database.password == "hush-hush"
    assert "hush-hush" not in "".join(managed.values())


def test_everything_that_is_wrong_is_named_in_one_message() -> None:
    with pytest.raises(ConfigError) as caught:
        settings_from_env({"DATABASE_PORT": "x", "REDIS_HOST": "r", "REDIS_PORT": "0", "LOG_LEVEL": "loud"})
    assert str(caught.value) == (
        "configuration: DATABASE_USER is not set; DATABASE_PASSWORD is not set; DATABASE_HOST is not set;"
        " DATABASE_PORT is 'x', not a whole number from 1 to 65535; DATABASE_NAME is not set;"
        " REDIS_PORT is '0', not a whole number from 1 to 65535;"
        " AUTH_KEYS is not set (AUTH_REQUIRED=false lets everybody do everything);"
        " LOG_LEVEL is 'loud', not one of DEBUG, INFO, WARNING, ERROR"
    )


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("DATABASE_SSLMODE", "on", "one of disable, allow, prefer, require, verify-ca, verify-full"),
        ("FEATURE_FLAG_NEW_UI", "maybe", "true or false"),
        ("MAX_UPLOAD_SIZE", "big", 'a size such as "10MB" or "512Ki"'),
        ("DATABASE_IDLE_TIMEOUT", "0", "a number of seconds from 1 to 86400"),
        ("DATABASE_IDLE_TIMEOUT", "nan", "a number of seconds from 1 to 86400"),
        ("DATABASE_POOL_MIN_IDLE", "11", "a whole number from 0 to 10"),
        ("DATABASE_REPLICA_HOSTS", "db-2:x", 'a list such as "db-2, db-3:5433"'),
        ("DATABASE_REPLICA_HOSTS", "db-2:0", 'a list such as "db-2, db-3:5433"'),
        ("DATABASE_REPLICA_HOSTS", "db-2,,db-3", 'a list such as "db-2, db-3:5433"'),
        ("DATABASE_REPLICA_HOSTS", "user@db-2", 'a list such as "db-2, db-3:5433"'),
        ("MAX_JSON_DEPTH", "0", "a whole number from 1 to 500"),
        ("CORS_ORIGINS", "https://a.example, null", 'origins such as "https://app.example.com", or "*"'),
        ("CORS_ORIGINS", "https://a.example, *", 'origins such as "https://app.example.com", or "*"'),
        ("CORS_ORIGINS", "https://a.example/", 'origins such as "https://app.example.com", or "*"'),
        ("CORS_ORIGINS", "https://*.example", 'origins such as "https://app.example.com", or "*"'),
        ("AUDIT_RETENTION_MONTHS", "0", "a whole number from 1 to 1200"),
        ("TRUSTED_PROXIES", "10.0.0.1/8", 'networks such as "10.0.0.0/16, ::1"'),
        ("TRUSTED_PROXIES", "proxy.internal", 'networks such as "10.0.0.0/16, ::1"'),
    ],
)
def test_a_wrong_value_is_shown_with_what_was_wanted(name: str, value: str, wanted: str) -> None:
    assert problems(**{name: value}) == [f"{name} is {value!r}, not {wanted}"]


def test_most_threads_but_never_all_of_several_may_wait_for_bodies() -> None:
    found = [settings_from_env(LEAST | {"HTTP_THREADS": threads}).bodies_at_once for threads in ("1", "2", "8")]
    assert found == [1, 1, 6]


def test_a_port_that_kubernetes_made_of_a_service_is_explained() -> None:
    (problem,) = problems(REDIS_HOST="redis", REDIS_PORT="tcp://10.78.0.7:6379")
    assert "enableServiceLinks: false" in problem


def test_two_servers_cannot_share_a_port() -> None:
    assert problems(APP_PORT="9090") == ["APP_PORT and MANAGEMENT_PORT are both 9090"]


def test_credentials_may_come_as_one_json_secret() -> None:
    secret = '{"username": "master", "password": "rotated", "engine": "postgres"}'
    database = database_from_env({"DATABASE_HOST": "h", "DATABASE_NAME": "n", "DATABASE_SECRET": secret})
    assert (database.user, database.password) == ("master", "rotated")


@pytest.mark.parametrize("secret", ["top-secret", '{"username": "a"}', "[]", '{"username": "a", "password": 5}'])
def test_a_json_secret_of_another_form_is_refused_without_being_shown(secret: str) -> None:
    with pytest.raises(ConfigError) as caught:
        database_from_env({"DATABASE_HOST": "h", "DATABASE_NAME": "n", "DATABASE_SECRET": secret})
    assert "DATABASE_SECRET is not JSON of the form" in str(caught.value)
    assert secret not in str(caught.value)


def test_secrets_are_not_in_representations() -> None:
    settings = settings_from_env(LEAST | {"REDIS_HOST": "r", "REDIS_PASSWORD": "whisper", "AUTH_KEYS": KEYS})
    for secret in ("hush-hush", "whisper", KEY, "01234567890"):
        assert secret not in repr(settings)


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        ("k1:abc", "it is not JSON"),
        ("{}", "it is not a list of keys"),
        ("[]", "it is not a list of keys"),
        ('["k1"]', "key 1 is not an object of kid, key and, where wanted, signs_from"),
        (f'[{{"kid": "k.1", "key": "{KEY}"}}]', "the kid of key 1 is not made of letters, digits, - and _"),
        ('[{"kid": "k1", "key": "c2hvcnQ="}]', "key 1 (k1) has 5 bytes, not at least 32"),
        ('[{"kid": "k1", "key": "?"}]', "key 1 (k1): key must be base64, signs_from a time like 2026-12-01T00:00:00Z"),
        (f"[{KEYS[1:-1]}, {KEYS[1:-1]}]", "two keys have the same kid"),
        (
            f'[{{"kid": "k1", "key": "{KEY}", "signs_from": "2026-12-01T00:00:00Z"}}]',
            "one key must be without signs_from: it signs until another's time has come",
        ),
        (f'[{{"kid": "k1", "key": "{KEY}", "signs_from": "2026-12-01"}}]', "key 1 (k1): signs_from has no time zone"),
    ],
)
def test_wrong_signing_keys_are_explained_without_being_shown(value: str, wrong: str) -> None:
    assert problems(AUTH_KEYS=value) == [f"AUTH_KEYS: {wrong}"]


@pytest.mark.parametrize(
    ("text", "size"), [("1000", 1000), ("10MB", 10_000_000), ("512Ki", 524_288), ("1 GiB", 1_073_741_824), ("5k", 5000)]
)
def test_sizes_are_read_with_their_unit(text: str, size: int) -> None:
    assert parse_size(text) == size


# -- traces


def test_traces_are_off_and_a_tenth_is_sampled_unless_told_otherwise() -> None:
    tracing = settings_from_env(LEAST).tracing
    assert (tracing.url, tracing.share, tracing.slow_s) == (None, 0.1, 0.5)
    assert (tracing.headers, tracing.resource) == ({}, {"service.name": "capstan-backend"})
    assert settings_from_env(LEAST).database.slow_query_s == 1.0


def test_every_variable_of_traces_reaches_its_setting() -> None:
    settings = settings_from_env(
        LEAST
        | {
            "OTEL_EXPORTER_OTLP_ENDPOINT": "https://collector.internal:4318/base/",
            "OTEL_EXPORTER_OTLP_HEADERS": "Authorization=Bearer%20hush-token, X-Tenant=7",
            "OTEL_RESOURCE_ATTRIBUTES": "service.name=users,place=a%2Cb%3D",
            "TRACE_SAMPLING": "0.5",
            "TRACE_SLOW": "0.25",
            "SLOW_QUERY": "0.1",
        }
    )
    tracing = settings.tracing
    assert tracing.url is not None and tracing.url.geturl() == "https://collector.internal:4318/base/v1/traces"
    assert tracing.headers == {"Authorization": "Bearer hush-token", "X-Tenant": "7"}
    assert tracing.resource == {"service.name": "users", "place": "a,b="}
    assert (tracing.share, tracing.slow_s, settings.database.slow_query_s) == (0.5, 0.25, 0.1)
    assert settings.secrets() == ["hush-hush", "Bearer hush-token"]
    assert "hush-token" not in repr(settings)


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("TRACE_SAMPLING", "1.1", "is '1.1', not a number from 0 to 1"),
        ("TRACE_SAMPLING", "nan", "is 'nan', not a number from 0 to 1"),
        ("TRACE_SLOW", "-1", "is '-1', not a number of seconds from 0 to 86400"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "hush", "is not of the form name=value,name=value"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=hush%0A", "is not of the form name=value,name=value"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a b=hush", "is not of the form name=value,name=value"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=hush\u0142", "is not of the form name=value,name=value"),
        ("OTEL_RESOURCE_ATTRIBUTES", "=a", "is '=a', not of the form name=value,name=value"),
    ],
)
def test_wrong_variables_of_traces_are_told(name: str, value: str, problem: str) -> None:
    assert problems(**{name: value}) == [f"{name} {problem}"]


@pytest.mark.parametrize(
    "value",
    [
        "c:4318",
        "ftp://c/",
        "http://",
        "http://u:hush@c/",
        "http://c:99999",
        "http://c/?a=1",
        "http://c..d",
        "http://c/é",
    ],
)
def test_a_collectors_address_is_checked_and_not_repeated(value: str) -> None:
    assert problems(OTEL_EXPORTER_OTLP_ENDPOINT=value) == [
        "OTEL_EXPORTER_OTLP_ENDPOINT is not an address such as http://collector:4318, without a password"
    ]
