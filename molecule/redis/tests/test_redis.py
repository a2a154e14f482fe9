"""Redis from inside its pod."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from testinfra.host import Host

NAMESPACE = "molecule-redis"


@pytest.fixture(scope="module")
def server(pod: Callable[..., Host]) -> Host:
    return pod(NAMESPACE, "redis")


def setting(server: Host, name: str) -> str:
    return server.run(f"redis-cli config get {name}").stdout.split("\n")[1].strip()


def test_the_server_runs_without_being_root(server: Host, processes: Any) -> None:
    first = next(one for one in processes(server) if one["pid"] == 1)
    assert first["uid"] == 999
    assert first["command"].startswith("redis-server")


def test_the_password_is_in_no_argument(server: Host, processes: Any) -> None:
    assert not [one for one in processes(server) if "only" in one["command"]]
    assert server.run("stat -c %a /tmp/redis/password.conf").stdout.strip() == "600"


def test_it_listens_on_6379_and_is_version_7(server: Host, listening: Any) -> None:
    assert 6379 in listening(server)
    assert "redis_version:7." in server.run("redis-cli info server").stdout


def test_without_the_password_it_answers_nothing(server: Host) -> None:
    assert "NOAUTH" in server.run("REDISCLI_AUTH= redis-cli get key").stdout
    assert "WRONGPASS" in server.run("REDISCLI_AUTH=wrong redis-cli get key 2>&1").stdout
    assert server.run("redis-cli ping").stdout.strip() == "PONG"


def test_it_evicts_as_described(server: Host) -> None:
    assert setting(server, "maxmemory") == str(64 * 1024 * 1024)
    assert setting(server, "maxmemory-policy") == "volatile-lru"


def test_every_write_is_kept(server: Host) -> None:
    assert setting(server, "appendonly") == "yes"
    assert setting(server, "save") == ""


def test_the_root_file_system_cannot_be_written(server: Host) -> None:
    assert "Read-only file system" in server.run("touch /etc/changed").stderr


def test_only_the_backend_may_come(live: Any) -> None:
    (way,) = live("networkpolicy", "redis", NAMESPACE)["spec"]["ingress"]
    assert way["from"] == [{"podSelector": {"matchLabels": {"app.kubernetes.io/name": "backend"}}}]
    assert way["ports"] == [{"port": 6379, "protocol": "TCP"}]


def test_what_was_written_outlives_the_pod(kubectl: Callable[..., str], pod: Callable[..., Host], server: Host) -> None:
    assert server.run("redis-cli set session:1 open").stdout.strip() == "OK"
    kubectl("delete", "pod", "redis-0", "--namespace", NAMESPACE, "--wait=true")
    kubectl("rollout", "status", "statefulset/redis", "--namespace", NAMESPACE, "--timeout=120s")
    assert pod(NAMESPACE, "redis").run("redis-cli get session:1").stdout.strip() == "open"
