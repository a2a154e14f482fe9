"""What the playbook brought up, used as people use it: the page in a browser, its rows in RDS, its copies in Redis."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
import uuid
from typing import Any

import psycopg2
import pytest

from .world import World

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]


@pytest.fixture
def url(world: World) -> str:
    address = world.kubectl("get", "service", "frontend", "-n", world.stack, "-o", "jsonpath={.spec.clusterIP}")
    return f"http://{address}"


def row_of(world: World, email: str) -> tuple[Any, ...]:
    """(server's major version, name) of a user, asked of the database instance with the credentials that RDS keeps."""
    database = world.database()
    secret = world.aws.client("secretsmanager").get_secret_value(SecretId=database["MasterUserSecret"]["SecretArn"])
    held = json.loads(secret["SecretString"])
    place = database["Endpoint"]
    with psycopg2.connect(
        host=place["Address"],
        port=place["Port"],
        dbname=database["DBName"],
        user=held["username"],
        password=held["password"],
        sslmode="require",
    ) as connection, connection.cursor() as cursor:
        version = "current_setting('server_version_num')::int / 10000"
        cursor.execute(f"SELECT {version}, name FROM users WHERE email = %s", [email])
        (row,) = cursor.fetchall()
    connection.close()
    return tuple(row)


def test_everything_that_a_person_does_in_the_browser_works(url: str) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "--timeout=120", "tests/e2e"]
    ran = subprocess.run(command, env={**os.environ, "CAPSTAN_URL": url}, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout
    assert " skipped" not in ran.stdout


def test_a_user_is_a_row_in_postgresql_15_and_its_second_read_comes_from_redis_7(world: World, url: str) -> None:
    email = f"ada.{uuid.uuid4().hex[:10]}@example.com"
    body = json.dumps({"name": "Ada", "email": email}).encode()
    request = urllib.request.Request(f"{url}/api/users", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        made = json.load(answer)
    assert row_of(world, email) == (15, "Ada")

    reads = []
    for _ in range(2):
        with urllib.request.urlopen(f"{url}/api/users/{made['id']}", timeout=20) as answer:
            reads.append(answer.headers["X-Cache"])
            assert json.load(answer)["email"] == email
    assert reads == ["miss", "hit"]

    def redis(*command: str) -> str:
        return world.kubectl("exec", "-n", world.stack, "statefulset/redis", "--", "redis-cli", *command)

    assert email in redis("GET", f"user:{{{made['id']}}}")
    assert "redis_version:7." in redis("INFO", "server")
