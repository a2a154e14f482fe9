"""What is in a role's files fits together."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml

from .readme import ROLES, ROOT, actions, defaults, kinds, readme, role_names, specs

ALL = role_names()
MARKUP = re.compile(r"\b([OVCE])\(")


def options(found: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, option in found.items():
        yield f"{above}{name}", option
        yield from options(option.get("options", {}), f"{above}{name}.")


def test_there_are_the_twelve_roles() -> None:
    assert ALL == [
        "backend",
        "cluster",
        "database",
        "dns",
        "frontend",
        "identity",
        "namespace",
        "network",
        "postgres",
        "redis",
        "registry",
        "settings",
    ]


@pytest.mark.parametrize("role", ALL)
def test_the_readme_says_what_the_role_says(role: str) -> None:
    assert (ROLES / role / "README.md").read_text() == readme(role), "python -m tests.unit.roles.readme writes it anew"


@pytest.mark.parametrize("role", ALL)
def test_the_example_in_the_readme_is_the_scenario(role: str) -> None:
    text = (ROLES / role / "README.md").read_text()
    (example,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert yaml.safe_load(example) == yaml.safe_load((ROOT / "molecule" / role / "converge.yml").read_text())


@pytest.mark.parametrize("role", ALL)
def test_the_defaults_are_those_of_the_argument_specs(role: str) -> None:
    described = {name: option["default"] for name, option in specs(role)["options"].items() if "default" in option}
    assert defaults(role) == described


@pytest.mark.parametrize("role", ALL)
def test_each_variable_begins_with_the_name_of_the_role(role: str) -> None:
    private = ROLES / role / "vars/main.yml"
    hidden = yaml.safe_load(private.read_text()) if private.is_file() else {}
    assert [name for name in specs(role)["options"] if not name.startswith(f"{role}_")] == []
    assert [name for name in hidden if not name.startswith(f"__{role}_")] == []


@pytest.mark.parametrize("role", ALL)
def test_defaults_hold_no_logic(role: str) -> None:
    text = (ROLES / role / "defaults/main.yml").read_text()
    assert re.findall(r"{%|{{[^}]*[|(]", text) == []


@pytest.mark.parametrize("role", ALL)
def test_each_option_has_a_type_and_ends_its_sentences(role: str) -> None:
    for name, option in options(specs(role)["options"]):
        assert option["type"] in ("str", "int", "bool", "list", "dict"), name
        assert option["type"] != "list" or "elements" in option, name
        texts = option["description"] if isinstance(option["description"], list) else [option["description"]]
        assert all(text.rstrip().endswith(".") for text in texts), name


@pytest.mark.parametrize("role", ALL)
def test_each_reference_to_an_option_names_one(role: str) -> None:
    text = (ROLES / role / "meta/argument_specs.yml").read_text()
    known = {name.replace(".", "[]."): None for name, _ in options(specs(role)["options"])}
    named = {name.partition("=")[0] for name in re.findall(r"\bO\(([^()]+)\)", text)}
    assert named - known.keys() == set()


@pytest.mark.parametrize("role", ALL)
def test_a_role_is_one_task_which_converges_its_own_slice(role: str) -> None:
    text = (ROLES / role / "tasks/main.yml").read_text()
    (task,) = yaml.safe_load(text)
    assert task["capstan.fullstack.stack"]["components"].endswith(f"else ['{role}'] }}}}")
    model = (ROLES / "network/tasks/main.yml").read_text()
    assert text == model.replace("['network']", f"['{role}']")


def test_iam_actions_come_from_the_kinds() -> None:
    assert kinds("database") == ["aws.db_instance", "aws.db_subnet_group"]
    assert actions(["aws.db_subnet_group"])[:3] == [
        "rds:AddTagsToResource",
        "rds:CreateDBSubnetGroup",
        "rds:DeleteDBSubnetGroup",
    ]


def test_only_passwords_and_keys_are_secrets_and_all_of_them_are() -> None:
    hidden = {name for role in ALL for name, option in options(specs(role)["options"]) if option.get("no_log")}
    names = [name for role in ALL for name, _ in options(specs(role)["options"])]
    named = {name for name in names if re.search("password|_keys$", name)}
    passwords = {"settings_database_password", "settings_redis_password"}
    assert hidden == named == passwords | {"settings_auth_keys", "settings_pii_keys"}


def test_the_overview_has_every_variable_that_roles_and_playbooks_share() -> None:
    files = [*ROLES.glob("*/tasks/main.yml"), *(ROOT / "playbooks").glob("*.yml")]
    used = {name for file in files for name in re.findall(r"\bstack_\w+", file.read_text())}
    described = set(re.findall(r"^\| `(stack_\w+)`", (ROLES / "README.md").read_text(), re.MULTILINE))
    assert used == described
