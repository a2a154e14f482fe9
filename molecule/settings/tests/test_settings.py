"""What services of the namespace are told."""

from __future__ import annotations

import base64
import os
import re
from typing import Any

NAMESPACE = "molecule-settings"


def decoded(secret: dict[str, Any]) -> dict[str, str]:
    return {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}


def test_app_config_holds_what_is_no_secret(live: Any) -> None:
    (config,) = [
        each
        for each in live("configmap", "", NAMESPACE)["items"]
        if re.fullmatch("app-config-[0-9a-f]{10}", each["metadata"]["name"])
    ]
    assert config["data"] == {
        "LOG_LEVEL": "WARNING",
        "FEATURE_FLAG_NEW_UI": "true",
        "MAX_UPLOAD_SIZE": "10MB",
        "DATABASE_HOST": "db.internal",
        "DATABASE_PORT": "5433",
        "DATABASE_NAME": "orders",
        "DATABASE_USER": "owner",
        "DATABASE_REPLICA_HOSTS": "db-2.internal,db-3.internal:5434",
        "DATABASE_SSLMODE": "prefer",
        "DATABASE_POOL_SIZE": "5",
        "DATABASE_POOL_MIN_IDLE": "2",
        "DATABASE_CONNECTION_TIMEOUT": "30",
        "DATABASE_IDLE_TIMEOUT": "600",
        "DATABASE_MAX_LIFETIME": "1800",
        "REDIS_HOST": "redis",
        "REDIS_PORT": "6379",
        "REDIS_TLS": "true",
        "REDIS_CLUSTER": "true",
        "AUTH_REQUIRED": "true",
        "AUTH_COOKIE_SECURE": "true",
        "REGION": "us-east-1",
    }


def test_the_database_credentials_are_a_secret(live: Any) -> None:
    assert decoded(live("secret", "database-credentials", NAMESPACE)) == {
        "DATABASE_PASSWORD": "only-for-this-scenario",
    }


def test_the_password_of_the_cache_arrives_with_its_quotes_and_backslashes(live: Any) -> None:
    assert decoded(live("secret", "redis-credentials", NAMESPACE)) == {"REDIS_PASSWORD": 'also "only" for \\ this'}


def test_the_signing_keys_are_a_secret(live: Any) -> None:
    (given,) = decoded(live("secret", "auth-keys", NAMESPACE)).items()
    assert given == ("AUTH_KEYS", '[{"kid": "molecule", "key": "b25seSBmb3IgdGhpcyBtb2xlY3VsZSBzY2VuYXJpbyE="}]')


def test_the_keys_of_personal_data_are_a_secret(live: Any) -> None:
    assert decoded(live("secret", "pii-keys", NAMESPACE)) == {"PII_KEYS": os.environ["PII_KEYS"]}


def test_no_secret_shows_in_what_everybody_may_read(live: Any) -> None:
    seen = str(live("configmap", "", NAMESPACE))
    assert "only-for-this-scenario" not in seen
    assert "for \\\\ this" not in seen
