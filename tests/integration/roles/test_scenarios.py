"""Every Molecule scenario passes, and fails when its role is spoiled."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from .scenarios import NAMES, ROOT, copy_of_the_collection, molecule

pytestmark = pytest.mark.cluster


@dataclass(frozen=True)
class Spoiled:
    """One wrong thing in a role (`file`: `old` becomes `new`), and the test of its scenario that notices it. Without a
    file all templates of the role are emptied."""

    role: str
    file: str = ""
    old: str = ""
    new: str = ""
    noticed_by: str = ""

    def spoil(self, role: Path) -> None:
        """Spoils the role in the folder `role`."""
        if not self.file:
            for template in role.glob("templates/**/*.j2"):
                template.write_text("")
            return
        text = (role / self.file).read_text()
        assert self.old in text
        (role / self.file).write_text(text.replace(self.old, self.new, 1))


RESOURCES = "templates/resources.yml.j2"
EMPTIED = (
    Spoiled("network", noticed_by="test_there_is_one_vpc_with_names_for_its_instances"),
    Spoiled("identity", noticed_by="test_there_are_these_roles_and_no_others"),
    Spoiled("cluster", noticed_by="test_the_control_plane_runs_the_wanted_version"),
    Spoiled("registry", noticed_by="test_each_image_has_a_repository"),
    Spoiled("database", noticed_by="test_it_is_a_small_postgresql_15"),
    Spoiled("dns", noticed_by="test_the_zone_is_public_and_says_what_it_is_for"),
    Spoiled("namespace", noticed_by="test_it_carries_its_labels"),
    Spoiled("settings", noticed_by="test_app_config_holds_what_is_no_secret"),
    Spoiled("postgres", noticed_by="test_it_listens_on_5432"),
    Spoiled("redis", noticed_by="test_it_listens_on_6379_and_is_version_7"),
    Spoiled("backend", noticed_by="test_it_listens_on_8080_and_9090"),
    Spoiled("frontend", noticed_by="test_it_listens_on_80"),
)
ONE_FIELD = (
    Spoiled("network", RESOURCES, "port: 443", "port: 8443", "test_each_group_lets_in_only_who_comes_before_it"),
    Spoiled("identity", RESOURCES, "max_session_s: {{ max_session_s }}", "max_session_s: 3600", "further_role"),
    Spoiled("cluster", RESOURCES, "disk_gib: {{ group.disk_gib | default(20) }}", "disk_gib: 20", "the_node_group"),
    Spoiled("registry", RESOURCES, "{{ registry_immutable_tags", "{{ false", "tags_stay"),
    Spoiled("database", RESOURCES, "backup_days: {{ database_backup_days }}", "backup_days: 1", "backups_are_kept"),
    Spoiled("dns", RESOURCES, "ttl: {{ record.ttl | default(300) }}", "ttl: 300", "plain_records_answer"),
    Spoiled("namespace", "templates/manifests/network.yaml.j2", "[Ingress, Egress]", "[Ingress]", "nothing_goes_in"),
    Spoiled("settings", "templates/manifests/settings.yaml.j2", "{{ settings_pool_size }}", "10", "app_config"),
    Spoiled("postgres", "templates/manifests/postgres.yaml.j2", "name: backend", "name: frontend", "only_the_backend"),
    Spoiled("redis", "vars/main.yml", "{{ redis_eviction }}", "allkeys-lru", "it_evicts_as_described"),
    Spoiled("backend", "templates/manifests/backend.yaml.j2", "path: /actuator/health/readiness",
            "path: /actuator/health/liveness", "probes_ask_the_management_port"),
    Spoiled("frontend", "templates/manifests/network.yaml.j2", "port: 8080", "port: 9090", "it_reaches_only"),
)  # fmt: skip
# Those that take seconds; all of them with CAPSTAN_EVERY_SPOILED_ROLE=1.
_QUICK = {
    *(spoiled for spoiled in EMPTIED if spoiled.role in ("identity", "dns", "settings")),
    *(spoiled for spoiled in ONE_FIELD if spoiled.role in ("network", "registry", "namespace")),
}
CHOSEN = [
    spoiled
    for spoiled in (*EMPTIED, *ONE_FIELD)
    if spoiled in _QUICK or os.environ.get("CAPSTAN_EVERY_SPOILED_ROLE") == "1"
]


def test_every_role_has_a_scenario_and_is_spoiled_in_two_ways() -> None:
    roles = sorted(path.parent.name for path in (ROOT / "roles").glob("*/meta"))
    assert list(NAMES) == roles
    assert sorted(spoiled.role for spoiled in EMPTIED) == roles
    assert sorted(spoiled.role for spoiled in ONE_FIELD) == roles


@pytest.mark.parametrize("scenario", NAMES)
def test_a_scenario_passes(scenario: str, variables: dict[str, str], tmp_path: Path) -> None:
    run = molecule(ROOT, "test", scenario, variables, tmp_path)
    assert run.code == 0, run.text[-6000:]
    assert " passed in " in run.text


@pytest.mark.parametrize("spoiled", CHOSEN, ids=lambda one: f"{one.role}-{'field' if one.file else 'emptied'}")
def test_a_spoiled_role_is_noticed(spoiled: Spoiled, variables: dict[str, str], tmp_path: Path) -> None:
    tree = copy_of_the_collection(tmp_path)
    spoiled.spoil(tree / "roles" / spoiled.role)
    (tmp_path / "state").mkdir()
    run = molecule(tree, "test", spoiled.role, variables, tmp_path / "state")
    assert run.code != 0
    noticed = [line for line in run.text.splitlines() if line.startswith(("FAILED ", "ERROR ")) and "::" in line]
    assert [line for line in noticed if spoiled.noticed_by in line], run.text[-6000:]
