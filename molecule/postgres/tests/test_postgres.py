"""PostgreSQL from inside its pod."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from testinfra.host import Host

NAMESPACE = "molecule-postgres"
QUERY = "PGPASSWORD=only-for-this-scenario psql -h 127.0.0.1 -U owner -d orders -Atc"


@pytest.fixture(scope="module")
def server(pod: Callable[..., Host]) -> Host:
    return pod(NAMESPACE, "postgres")


def test_the_server_runs_without_being_root(server: Host, processes: Any) -> None:
    first = next(one for one in processes(server) if one["pid"] == 1)
    assert first["uid"] == 999
    assert first["command"].startswith("postgres")
    assert "max_connections=60" in first["command"]


def test_it_listens_on_5432(server: Host, listening: Any) -> None:
    assert 5432 in listening(server)


def test_the_described_user_owns_a_database_of_version_15(server: Host) -> None:
    answer = server.run(f"{QUERY} \"SELECT current_user, current_database(), current_setting('server_version')\"")
    user, database, version = answer.stdout.strip().split("|")
    assert (user, database, version.partition(".")[0]) == ("owner", "orders", "15")
    assert server.run(f"{QUERY} 'SHOW max_connections'").stdout.strip() == "60"


def test_a_wrong_password_does_not_open_it(server: Host) -> None:
    answer = server.run("PGPASSWORD=wrong psql -h 127.0.0.1 -U owner -d orders -Atc 'SELECT 1'")
    assert answer.rc != 0
    assert "password authentication failed" in answer.stderr


def test_only_the_server_reads_its_files(server: Host) -> None:
    mode, owner = server.run("stat -c '%a %u' /var/lib/postgresql/data/pgdata").stdout.split()
    assert (mode[-3:], owner) == ("700", "999")  # in front of it the volume's group may have left its bit


def test_the_root_file_system_cannot_be_written(server: Host) -> None:
    assert "Read-only file system" in server.run("touch /etc/changed").stderr


def test_its_volume_is_bound_and_as_large_as_asked(live: Any) -> None:
    claim = live("persistentvolumeclaim", "data-postgres-0", NAMESPACE)
    assert claim["status"]["phase"] == "Bound"
    assert claim["spec"]["resources"]["requests"]["storage"] == "2Gi"


def test_the_service_leads_to_the_pod_and_only_the_backend_may_come(live: Any) -> None:
    (slice_,) = [
        item
        for item in live("endpointslice", "", NAMESPACE)["items"]
        if item["metadata"]["labels"]["kubernetes.io/service-name"] == "postgres"
    ]
    assert [(port["name"], port["port"]) for port in slice_["ports"]] == [("postgres", 5432)]
    assert [one["conditions"]["ready"] for one in slice_["endpoints"]] == [True]
    (way,) = live("networkpolicy", "postgres", NAMESPACE)["spec"]["ingress"]
    assert way["from"] == [{"podSelector": {"matchLabels": {"app.kubernetes.io/name": "backend"}}}]
    assert way["ports"] == [{"port": 5432, "protocol": "TCP"}]


def test_rows_outlive_the_pod(kubectl: Callable[..., str], pod: Callable[..., Host], server: Host) -> None:
    written = server.run(f"{QUERY} 'CREATE TABLE kept AS SELECT 42 AS answer'")
    assert written.rc == 0, written.stderr
    kubectl("delete", "pod", "postgres-0", "--namespace", NAMESPACE, "--wait=true")
    kubectl("rollout", "status", "statefulset/postgres", "--namespace", NAMESPACE, "--timeout=120s")
    assert pod(NAMESPACE, "postgres").run(f"{QUERY} 'SELECT answer FROM kept'").stdout.strip() == "42"
