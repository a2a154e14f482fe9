"""The user service from inside its pod."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from testinfra.host import Host

NAMESPACE = "molecule-backend"
FETCH = """python -c '
import json, sys, urllib.request
url, body, token = sys.argv[1], sys.argv[2].encode() if sys.argv[2:] else None, "".join(sys.argv[3:])
request = urllib.request.Request(url, body or None, {"Content-Type": "application/json"})
if token: request.add_header("Authorization", "Bearer " + token)
print(urllib.request.urlopen(request, timeout=10).read().decode())
'"""


@pytest.fixture(scope="module")
def service(pod: Callable[..., Host]) -> Host:
    return pod(NAMESPACE, "backend")


@pytest.fixture(scope="module")
def template(live: Any) -> dict[str, Any]:
    found: dict[str, Any] = live("deployment", "backend", NAMESPACE)["spec"]["template"]
    return found


def test_it_runs_as_its_own_user(service: Host, processes: Any) -> None:
    first = next(one for one in processes(service) if one["pid"] == 1)
    assert first["uid"] == 10001
    assert first["command"].startswith("python -m backend")


def test_it_listens_on_8080_and_9090(service: Host, listening: Any) -> None:
    assert {8080, 9090} <= listening(service)


def test_it_has_the_settings_and_its_own_variables(service: Host) -> None:
    assert service.run('echo "$DATABASE_HOST $REDIS_HOST $HTTP_THREADS"').stdout.strip() == "postgres redis 4"


def test_database_and_cache_are_there(service: Host) -> None:
    health = json.loads(service.run(f"{FETCH} http://127.0.0.1:9090/actuator/health").stdout)
    assert health["status"] == "UP"
    assert {name: part["status"] for name, part in health["components"].items()}.items() >= {
        "db": "UP",
        "redis": "UP",
    }.items()


def test_migrations_ran_before_it(pod: Callable[..., Host]) -> None:
    query = "PGPASSWORD=$POSTGRES_PASSWORD psql -h 127.0.0.1 -U app -d app -Atc"
    statement = "'SELECT version FROM flyway_schema_history WHERE success ORDER BY installed_rank'"
    answer = pod(NAMESPACE, "postgres").run(f"{query} {statement}")
    assert answer.stdout.split()[:3] == ["1", "2", "3"]


def test_a_user_goes_through_the_service_into_the_database(service: Host) -> None:
    def fetch(path: str, *rest: str) -> Any:
        answer = service.run(" ".join([FETCH, f"http://backend/api/{path}", *(f"'{one}'" for one in rest)]))
        assert answer.rc == 0, answer.stderr
        return json.loads(answer.stdout)

    who = {"email": "ada@molecule.example.com", "password": "only for this scenario"}
    made = fetch("auth/register", json.dumps(who | {"name": "Ada"}))
    token = fetch("auth/login", json.dumps(who))["access_token"]
    assert fetch("auth/me", "", token)["user"] == fetch(f"users/{made['id']}", "", token) == made


def test_without_a_token_nobody_is_let_in(service: Host) -> None:
    assert "HTTP Error 401" in service.run(f"{FETCH} http://backend/api/users").stderr


def test_the_root_file_system_cannot_be_written(service: Host) -> None:
    assert "Read-only file system" in service.run("touch /opt/changed").stderr


def test_no_token_of_the_cluster_is_in_the_pod(service: Host) -> None:
    assert service.run("ls /var/run/secrets/kubernetes.io").rc != 0


def test_containers_ask_for_and_get_what_was_described(template: dict[str, Any]) -> None:
    (container,) = template["spec"]["containers"]
    (migrations,) = template["spec"]["initContainers"]
    for one in (container, migrations):
        assert one["resources"] == {
            "requests": {"cpu": "50m", "memory": "128Mi"},
            "limits": {"cpu": "500m", "memory": "512Mi"},
        }
        assert "/molecule-backend-platform-backend@sha256:" in one["image"]
    assert migrations["args"] == ["backend.migrations", "migrate"]


def test_probes_ask_the_management_port(template: dict[str, Any]) -> None:
    (container,) = template["spec"]["containers"]
    probes = {
        name: (container[name]["httpGet"]["path"], container[name]["httpGet"]["port"])
        for name in ("startupProbe", "livenessProbe", "readinessProbe")
    }
    assert probes == {
        "startupProbe": ("/actuator/health/liveness", "management"),
        "livenessProbe": ("/actuator/health/liveness", "management"),
        "readinessProbe": ("/actuator/health/readiness", "management"),
    }


def test_it_scales_as_described(live: Any) -> None:
    spec = live("hpa", "backend", NAMESPACE)["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (1, 3)
    targets = {one["resource"]["name"]: one["resource"]["target"]["averageUtilization"] for one in spec["metrics"]}
    assert targets == {"cpu": 70, "memory": 80}
    up, down = spec["behavior"]["scaleUp"], spec["behavior"]["scaleDown"]
    assert (up["stabilizationWindowSeconds"], up["selectPolicy"]) == (0, "Max")
    assert (down["stabilizationWindowSeconds"], down["selectPolicy"]) == (300, "Min")


def test_a_release_takes_no_pod_away_before_its_successor_serves(live: Any) -> None:
    spec = live("deployment", "backend", NAMESPACE)["spec"]
    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert live("pdb", "backend", NAMESPACE)["spec"]["maxUnavailable"] == 1


def test_policies_name_who_may_come_and_where_it_may_go(live: Any) -> None:
    spec = live("networkpolicy", "backend", NAMESPACE)["spec"]
    came = [(sorted(port["port"] for port in way["ports"]), len(way["from"])) for way in spec["ingress"]]
    assert came == [([8080], 1), ([9090], 1)]
    went = [way["ports"][0]["port"] for way in spec["egress"]]
    assert went == [5432, 6379, 5432]
    assert spec["egress"][2]["to"] == [{"ipBlock": {"cidr": "192.0.2.0/24"}}]
