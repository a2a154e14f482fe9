"""What the four inventories describe: the figures of each environment, literally."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.errors import InvalidDescription
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.values import references_in
from ansible_collections.capstan.fullstack.plugins.module_utils.kube.manifests import link_objects

from .conftest import Environment, render
from .readme import ROOT

Environments = Callable[[str], Environment]
NAMES = ("development", "production", "sandbox", "staging")
SECRETS = {
    "settings_database_password": "DATABASE_PASSWORD",
    "settings_redis_password": "REDIS_PASSWORD",
    "settings_auth_keys": "AUTH_KEYS",
}


def limits(environment: Environment, name: str) -> tuple[str, str]:
    given = environment.container("Deployment", name)["resources"]["limits"]
    return given["cpu"], given["memory"]


@pytest.mark.parametrize(
    ("name", "backend", "backend_limits", "frontend", "frontend_limits"),
    [
        ("development", (1, 1), ("500m", "512Mi"), (1, 1), ("250m", "256Mi")),
        ("staging", (2, 2), ("500m", "1Gi"), (2, 2), ("500m", "512Mi")),
        ("production", (2, 10), ("1000m", "2Gi"), (2, 10), ("500m", "1Gi")),
    ],
)
def test_each_environment_has_its_pods(
    environment: Environments,
    name: str,
    backend: tuple[int, int],
    backend_limits: tuple[str, str],
    frontend: tuple[int, int],
    frontend_limits: tuple[str, str],
) -> None:
    found = environment(name)
    assert (found.counts("backend"), limits(found, "backend")) == (backend, backend_limits)
    assert (found.counts("frontend"), limits(found, "frontend")) == (frontend, frontend_limits)


@pytest.mark.parametrize("name", ["development", "staging"])
def test_small_environments_keep_their_database_in_a_pod_on_productions_platform(
    environment: Environments, name: str
) -> None:
    found = environment(name)
    assert f"kube.StatefulSet/{name}/postgres" in found.addresses
    assert not [address for address in found.addresses if address.startswith(("aws.db_", "aws.vpc", "aws.eks_"))]
    assert found.variables["stack_platform"] == "shared/production-platform"
    assert {raw.owner for raw in found.rendering.raws} == {name}


@pytest.mark.parametrize("name", ["production", "sandbox"])
def test_rds_keeps_the_database_where_the_platform_is_own(environment: Environments, name: str) -> None:
    found = environment(name)
    assert "aws.db_instance/main" in found.addresses
    assert f"kube.StatefulSet/{name}/postgres" not in found.addresses
    assert "postgres" in found.rendering.complete, "a disabled component is empty, so that prune may clear it away"
    owners = {raw.address: raw.owner for raw in found.rendering.raws}
    assert owners["aws.vpc/main"] == owners["aws.eks_cluster/main"] == f"{name}-platform"
    assert owners["aws.db_instance/main"] == owners["aws.hosted_zone/main"] == name


def test_productions_database_survives_a_zone_and_a_mistake(environment: Environments) -> None:
    database = environment("production").fields("aws.db_instance/main")
    assert (database["instance_class"], database["storage_gib"], database["engine_version"]) == (
        "db.t3.medium",
        100,
        "15",
    )
    assert (database["multi_az"], database["encrypted"]) == (True, True)
    assert (database["backup_days"], database["backup_window"]) == (7, "03:00-04:00")
    assert (database["protect"], database["deletion_protection"], database["final_snapshot"]) == (True, True, True)


def test_productions_nodes_are_two_on_demand_and_one_to_three_spot(environment: Environments) -> None:
    found = environment("production")
    groups = {name: found.fields(f"aws.eks_nodegroup/{name}") for name in ("on-demand", "spot")}
    assert {name: group["capacity_type"] for name, group in groups.items()} == {
        "on-demand": "ON_DEMAND",
        "spot": "SPOT",
    }
    assert groups["on-demand"]["desired_size"] == 2
    assert (groups["spot"]["min_size"], groups["spot"]["max_size"]) == (1, 3)
    assert groups["on-demand"]["instance_types"] == ["t3.medium"]


def test_productions_network_has_three_tiers_in_three_zones(environment: Environments) -> None:
    found = environment("production")
    subnets = {address for address in found.addresses if address.startswith("aws.subnet/")}
    tiers = ("public", "private", "isolated")
    assert subnets == {f"aws.subnet/{tier}-{zone}" for tier in tiers for zone in "abc"}
    zones = {found.fields(address)["zone"] for address in subnets}
    assert zones == {"us-east-1a", "us-east-1b", "us-east-1c"}


@pytest.mark.parametrize(("name", "keeps"), [("development", "no"), ("staging", "yes"), ("production", "yes")])
def test_redis_keeps_what_was_written_except_in_development(environment: Environments, name: str, keeps: str) -> None:
    found = environment(name)
    configuration = found.fields(f"kube.ConfigMap/{name}/redis-config")["data"]["redis.conf"]
    assert f"appendonly {keeps}\n" in configuration
    assert "maxmemory 256mb\n" in configuration
    assert "maxmemory-policy allkeys-lru\n" in configuration
    claims = found.fields(f"kube.StatefulSet/{name}/redis")["spec"].get("volumeClaimTemplates", [])
    assert len(claims) == (1 if keeps == "yes" else 0)


@pytest.mark.parametrize(("name", "share"), [("development", "1"), ("staging", "0.5"), ("production", "0.1")])
def test_the_larger_an_environment_the_smaller_the_share_of_requests_that_is_traced(
    environment: Environments, name: str, share: str
) -> None:
    assert environment(name).fields(f"kube.ConfigMap/{name}/app-config")["data"]["TRACE_SAMPLING"] == share


@pytest.mark.parametrize("name", ["development", "staging", "production"])
def test_what_the_network_says_of_clients_is_believed(environment: Environments, name: str) -> None:
    told = environment(name).fields(f"kube.ConfigMap/{name}/app-config")["data"]
    assert told["TRUSTED_PROXIES"] == environment("production").fields("aws.vpc/main")["cidr"]


@pytest.mark.parametrize("name", ["development", "staging", "production"])
def test_people_sign_in_over_https_where_others_come_in_too(environment: Environments, name: str) -> None:
    found = environment(name)
    told = found.fields(f"kube.ConfigMap/{name}/app-config")["data"]
    assert (told["AUTH_REQUIRED"], told["AUTH_COOKIE_SECURE"]) == ("true", "true")
    assert f"kube.Secret/{name}/auth-keys" in found.addresses
    (port,) = found.fields(f"kube.Service/{name}/frontend")["spec"]["ports"]
    assert (port["port"], found.variables["stack_url"]) == (443, "https://www.{{ dns_domain }}")


def test_nobody_signs_in_to_the_sandbox_but_could_over_plain_http(environment: Environments) -> None:
    told = environment("sandbox").fields("kube.ConfigMap/sandbox/app-config")["data"]
    assert (told["AUTH_REQUIRED"], told["AUTH_COOKIE_SECURE"]) == ("false", "false")


def test_the_sandbox_is_reached_on_its_port_and_runs_its_own_images(environment: Environments) -> None:
    found = environment("sandbox")
    (port,) = found.fields("kube.Service/sandbox/frontend")["spec"]["ports"]
    assert port["nodePort"] == 30080
    assert found.fields("aws.image/backend")["source"].endswith("/images/backend")
    assert found.container("StatefulSet", "redis")["image"] == "127.0.0.1:5000/redis:7"


@pytest.mark.parametrize("name", NAMES)
def test_every_workload_lives_under_the_restricted_standard(environment: Environments, name: str) -> None:
    found = environment(name)
    labels = found.fields(f"kube.Namespace/{name}")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    workloads = [address for address in found.addresses if address.startswith(("kube.Deployment", "kube.StatefulSet"))]
    assert len(workloads) == (3 if name in ("production", "sandbox") else 4)
    for address in workloads:
        pod = found.fields(address)["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is False
        for container in (*pod.get("initContainers", ()), *pod["containers"]):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["resources"].keys() == {"requests", "limits"}


@pytest.mark.parametrize("name", NAMES)
def test_only_backend_pods_reach_database_and_cache(environment: Environments, name: str) -> None:
    found = environment(name)
    for component in ("postgres", "redis"):
        address = f"kube.NetworkPolicy/{name}/{component}"
        if address in found.addresses:
            (way,) = found.fields(address)["spec"]["ingress"]
            assert way["from"] == [{"podSelector": {"matchLabels": {"app.kubernetes.io/name": "backend"}}}]


@pytest.mark.parametrize("name", NAMES)
def test_an_inventory_holds_no_secret(name: str) -> None:
    text = (ROOT / "inventories" / name / "group_vars/stacks.yml").read_text()
    given = re.findall(r"^\w*(?:password|secret|token)\w*:\s*(?:>-\n\s*)?(.*)$", text, re.MULTILINE)
    assert given, "the cache has a password"
    assert all(value.lstrip('"').startswith("{{ lookup(") for value in given)


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("development", ["settings_database_password", "settings_redis_password", "settings_auth_keys"]),
        ("staging", ["settings_database_password", "settings_redis_password", "settings_auth_keys"]),
        ("production", ["settings_redis_password", "settings_auth_keys"]),
    ],
)
def test_a_real_run_without_its_passwords_stops_before_anything(
    monkeypatch: pytest.MonkeyPatch, name: str, missing: list[str]
) -> None:
    for variable in SECRETS.values():
        monkeypatch.delenv(variable, raising=False)
    for secret in missing:
        with pytest.raises(InvalidDescription) as stopped:
            render(name, check=False)
        (problem,) = stopped.value.problems  # the first one that is missing in the template
        assert f"{secret} is not given" in problem
        monkeypatch.setenv(SECRETS[secret], "not-used")
    render(name, check=False)


def test_passwords_from_the_environment_reach_only_the_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_PASSWORD", "from-the-environment-1")
    monkeypatch.setenv("REDIS_PASSWORD", "from-the-environment-2")
    keys = '[{"kid": "1", "key": "from-the-environment-3"}]'
    monkeypatch.setenv("AUTH_KEYS", keys)
    found = render("staging", check=False)
    holders = {raw.address for raw in found.rendering.raws if "from-the-environment" in str(raw.fields)}
    names = ("database-credentials", "redis-credentials", "auth-keys")
    assert holders == {f"kube.Secret/staging/{secret}" for secret in names}
    assert found.fields("kube.Secret/staging/auth-keys")["stringData"] == {"AUTH_KEYS": keys}
    assert found.rendering.secrets == {"from-the-environment-1", "from-the-environment-2", keys}


def test_other_settings_make_other_pods_of_the_backend_and_of_nobody_else(environment: Environments) -> None:
    raws = {raw.address: raw for raw in link_objects(environment("development").rendering.raws)}
    config = "kube.ConfigMap/development/app-config"
    assert raws[config].fields["manifest"]["metadata"]["annotations"] == {"capstan.dev/hashed": "true"}
    told = {address for address, raw in raws.items() if any(one.address == config for one in references_in(raw.fields))}
    assert told == {"kube.Deployment/development/backend"}
