"""A secret that is kept elsewhere: its marker in templates, its value in the engine and nowhere else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.description import Description
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.errors import InvalidDescription
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.resource import Meta
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.values import Reference, Secret
from ansible_collections.capstan.fullstack.plugins.module_utils.kube.object import kind_class
from ansible_collections.capstan.fullstack.plugins.module_utils.stack.run import run_stack
from ansible_collections.capstan.fullstack.plugins.module_utils.stack.secret_refs import (
    Given,
    SecretRef,
    Stored,
    with_secrets,
)
from ansible_collections.capstan.fullstack.plugins.module_utils.stack.transport import description_text, task_from

from .conftest import Roles
from .memory import Bench

REDIS = SecretRef("secretsmanager", "prod/redis", "password", "AWSCURRENT")
TOKEN = SecretRef("env", "TOKEN")
NET = {"mem.net/main": {"cidr": "10.0.0.0/16"}}
GIVEN = {("app", "env", "TOKEN"): Given("hunter2-from-env"), ("app", "variable", "vaulted"): Given("hunter2-vaulted")}


def node(token: Any, **more: Any) -> dict[str, Any]:
    return NET | {"mem.node/web": {"net": "main", "size": 2, "token": token, **more}}


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.kept[Stored("prod/redis")] = Secret('{"password": "hunter2-stored", "port": 6379}', "v-1", "AWSCURRENT v-1")
    return bench


def run(bench: Bench, description: dict[str, Any], **more: Any) -> dict[str, Any]:
    result = run_stack(bench.task(description, given=GIVEN, **more), bench.world(), bench.progress())
    assert "hunter2" not in json.dumps([result, bench.said])
    return result


def token_of(bench: Bench) -> Secret:
    (fields,) = [fields for kind, _, fields in bench.cloud.things.values() if kind == "mem.node"]
    return fields["token"]


# -- in templates ----------------------------------------------------------------------------------------------


def test_the_filter_gives_a_marker_that_survives_json_and_yaml_and_takes_serials_out(roles: Roles) -> None:
    roles.write(
        "app",
        defaults="""
        app_password: "{{ 'prod/redis' | capstan.fullstack.secret_ref('secretsmanager', key='password') }}"
        """,
        specs="argument_specs: {main: {options: {app_password: {type: str, no_log: true}}}}",
        resources="""
        aws.x/y:
          token: {{ app_password | to_json }}
          url: redis://:{{ 'TOKEN' | capstan.fullstack.secret_ref('env') }}@cache
          flow: {a: {{ 'vaulted' | capstan.fullstack.secret_ref('variable', version='3') }}}
        """,
    )
    (raw,) = roles.render("app").raws
    assert raw.fields == {
        "token": REDIS.marker(),
        "url": f"redis://:{TOKEN.marker()}@cache",
        "flow": {"a": SecretRef("variable", "vaulted", version="3").marker()},
    }


@pytest.mark.parametrize("misuse", ["b64encode", "hash", "length", "upper"])
def test_a_transformed_secret_is_an_error_with_file_and_line(misuse: str, roles: Roles) -> None:
    text = "'T' | capstan.fullstack.secret_ref('env')"
    roles.write("app", resources=f'# one\naws.x/y:\n  a: "{{{{ ({text}) | {misuse} }}}}"\n')
    (problem,) = roles.problems("app")
    assert problem.startswith("roles/app/templates/resources.yml.j2:3: the reference to environment variable T was ")
    assert "secret_ref(..., encode='base64')" in problem


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("'X' | capstan.fullstack.secret_ref('vault')", "from secretsmanager, env, variable, not from 'vault'"),
        ("'a b' | capstan.fullstack.secret_ref('env')", "wants the name of an environment variable, not 'a b'"),
        ("'' | capstan.fullstack.secret_ref('secretsmanager')", "wants the name of a secret (or its ARN), not ''"),
        ("'X' | capstan.fullstack.secret_ref('env', key='a')", "only secrets of Secrets Manager have a key"),
        (
            "'X' | capstan.fullstack.secret_ref('secretsmanager', version='1')",
            "Secrets Manager says itself which version",
        ),
        ("'X' | capstan.fullstack.secret_ref('env', version='a|b')", "version of secret_ref has up to 128 letters"),
        ("'X' | capstan.fullstack.secret_ref('env', encode='rot13')", "encode as none or base64, not 'rot13'"),
    ],
)
def test_a_misused_filter_says_what_it_wants(expression: str, words: str, roles: Roles) -> None:
    roles.write("app", resources=f'aws.x/y:\n  a: "{{{{ {expression} }}}}"\n')
    (problem,) = roles.problems("app")
    assert problem.startswith("roles/app/templates/resources.yml.j2:2: ") and words in problem


def test_outside_of_a_stacks_templates_it_is_the_marker_which_the_engine_takes_too(roles: Roles) -> None:
    templar = Templar(loader=DataLoader())  # as ansible validates a role's arguments, or sets a fact
    text = templar.template(trust_as_template("{{ 'TOKEN' | capstan.fullstack.secret_ref('env') }}"))
    assert text == TOKEN.marker()
    roles.write("app", resources="aws.x/y: {a: '{{ app_fact }}'}")
    assert roles.render("app", variables=f"app_fact: {text}").given.keys() == {("app", "env", "TOKEN")}


def test_environment_and_variables_are_looked_up_and_what_is_missing_is_remembered(
    roles: Roles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAPSTAN_TOKEN", "hunter2")
    monkeypatch.delenv("CAPSTAN_TOKENS", raising=False)
    roles.write(
        "app",
        resources="""
        aws.x/y:
          a: "{{ 'CAPSTAN_TOKEN' | capstan.fullstack.secret_ref('env') }}"
          b: "{{ 'CAPSTAN_TOKENS' | capstan.fullstack.secret_ref('env') }}"
          c: "{{ 'vault_a' | capstan.fullstack.secret_ref('variable') }}"
          d: "{{ 'vault_aa' | capstan.fullstack.secret_ref('variable') }}"
          e: "{{ 'listed' | capstan.fullstack.secret_ref('variable') }}"
          f: "{{ 'broken' | capstan.fullstack.secret_ref('variable') }}"
        """,
    )
    rendering = roles.render(
        "app", variables="{vault_a: \"{{ 'hunt' ~ 'er3' }}\", listed: [1], broken: '{{ nothing }}'}"
    )
    assert rendering.given["app", "env", "CAPSTAN_TOKEN"] == Given("hunter2")
    assert rendering.given["app", "variable", "vault_a"] == Given("hunter3")
    problems = {key[2]: given.problem for key, given in rendering.given.items() if given.problem}
    assert problems["CAPSTAN_TOKENS"] == 'environment variable CAPSTAN_TOKENS is not set. Did you mean "CAPSTAN_TOKEN"?'
    assert problems["vault_aa"] == 'there is no variable vault_aa. Did you mean "vault_a"?'
    assert problems["listed"] == "variable listed is not text."
    assert problems["broken"].startswith("variable broken: 'nothing' is undefined")
    assert "hunter" not in repr(rendering)


# -- in the engine ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("check", [True, False])
def test_a_stored_secret_is_read_once_in_check_mode_too_and_its_version_is_shown(bench: Bench, check: bool) -> None:
    description = node(REDIS.marker(), note="x") | {
        "mem.node/other": {"net": "main", "size": 1, "token": REDIS.marker()}
    }
    result = run(bench, description, check=check)
    changes = {change["address"]: change for change in result["plan"]}
    assert changes["mem.node/web"]["fields"]["token"] == {"before": None, "after": "(secret AWSCURRENT v-1)"}
    assert bench.asked == [Stored("prod/redis", "AWSCURRENT")]


def test_what_arrives_is_the_value_with_its_version_and_a_new_version_is_one_update_per_user(bench: Bench) -> None:
    run(bench, node(REDIS.marker()))
    assert (token_of(bench).reveal(), token_of(bench).version) == ("hunter2-stored", "v-1")
    assert run(bench, node(REDIS.marker()))["changed"] is False

    bench.kept[Stored("prod/redis")] = Secret('{"password": "hunter2-rotated"}', "v-2", "AWSCURRENT v-2")
    check = run(bench, node(REDIS.marker()), check=True)
    assert [(change["address"], change["action"]) for change in check["plan"]] == [("mem.node/web", "update")]
    assert check["plan"][0]["fields"] == {
        "token": {"before": "(secret AWSCURRENT v-1)", "after": "(secret AWSCURRENT v-2)"}
    }
    assert run(bench, node(REDIS.marker()))["counts"]["update"] == 1
    assert token_of(bench).reveal() == "hunter2-rotated"
    assert run(bench, node(REDIS.marker()))["changed"] is False


def test_a_version_that_the_user_gives_is_shown_and_compared(bench: Bench) -> None:
    first = run(bench, node(SecretRef("env", "TOKEN", version="7").marker()))
    assert first["plan"][1]["fields"]["token"]["after"] == "(secret 7)"
    second = run(bench, node(SecretRef("env", "TOKEN", version="8").marker()), check=True)
    assert second["plan"][0]["fields"]["token"] == {"before": "(secret 7)", "after": "(secret 8)"}


def test_secrets_stand_inside_text_encoded_and_beside_references_that_are_known_after_apply(bench: Bench) -> None:
    host = Reference("mem.net/main", "host").marker()
    encoded = SecretRef("variable", "vaulted", encode="base64").marker()
    text = f"app:{TOKEN.marker()}/{encoded}@{host}:6379"
    check = run(bench, node(text), check=True)
    assert check["plan"][1]["fields"]["token"] == {"before": None, "after": "(known after apply)"}
    run(bench, node(text))
    assert token_of(bench).reveal() == "app:hunter2-from-env/aHVudGVyMi12YXVsdGVk@net-1.example:6379"
    assert run(bench, node(text))["changed"] is False
    assert run(bench, node(text.replace("6379", "6380")), check=True)["counts"]["update"] == 1


def test_other_text_around_the_same_version_of_a_secret_is_a_change(bench: Bench) -> None:
    first = run(bench, node(f"redis://:{REDIS.marker()}@cache"))
    assert first["plan"][1]["fields"]["token"]["after"] == "(secret AWSCURRENT v-1)"
    assert run(bench, node(f"redis://:{REDIS.marker()}@other"), check=True)["counts"]["update"] == 1


@pytest.mark.parametrize(
    ("ref", "kept", "words"),
    [
        (SecretRef("env", "NOPE"), None, "mem.node/web: environment variable NOPE was not given."),
        (REDIS, "there is no such secret.", "mem.node/web: there is no such secret."),
        (REDIS, Secret("plain"), 'is no JSON mapping, so it has no key "password"; leave key out.'),
        (REDIS, Secret('{"pasword": "hunter2"}'), 'prod/redis has no key "password". Did you mean "pasword"?'),
        (REDIS, Secret('{"password": ["hunter2"]}'), 'its key "password" is neither text nor a number.'),
        (REDIS, Secret('{"password": ""}'), "Secrets Manager's prod/redis, key password, is empty."),
        (REDIS, Secret('{"password": "hunter2 capstan-ref("}'), 'contains "capstan-"'),
    ],
)
def test_a_secret_that_there_is_not_gets_one_message_and_nothing_is_touched(
    bench: Bench, ref: SecretRef, kept: Any, words: str
) -> None:
    bench.kept[Stored("prod/redis")] = kept
    for check in (True, False):
        result = run(bench, node(ref.marker()), check=check)
        assert (result["failed"], result["changed"]) == (True, False)
        assert words in result["msg"] and len(result["msg"].splitlines()) == 1
    assert bench.cloud.things == {} and bench.stores == {}


def test_a_narrowed_run_does_not_miss_secrets_of_what_it_leaves_out(bench: Bench) -> None:
    bench.kept[Stored("prod/redis")] = "there is no such secret."
    both = node(REDIS.marker()) | {"mem.node/b": {"net": "main", "size": 1, "token": SecretRef("env", "NOPE").marker()}}
    result = run(bench, both, targets=["mem.net/main"])
    assert (result.get("failed"), result["counts"]["create"], bench.asked) == (None, 1, [])
    assert len(run(bench, both)["msg"].splitlines()) == 2


def test_a_field_that_nobody_masks_takes_no_secret(bench: Bench) -> None:
    result = run(bench, node("x", note=f"see {TOKEN.marker()}"), check=True)
    assert result["msg"] == "mem.node/web: note cannot hold a secret, only token can."
    result = run(bench, {"mem.net/main": {"cidr": TOKEN.marker()}}, check=True)
    assert result["msg"] == "mem.net/main: cidr cannot hold a secret, nothing of mem.net can."


def test_the_metadata_of_a_kubernetes_object_and_the_names_of_its_fields_take_no_secret() -> None:
    def problem(**part: Any) -> str:
        manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "b"}, **part}
        meta = Meta(address="kube.ConfigMap/b/a", component="app")
        resource = kind_class("kube.ConfigMap")(meta=meta, manifest=manifest)
        with pytest.raises(InvalidDescription) as caught:
            with_secrets(Description({meta.address: resource}, {meta.address: frozenset()}), GIVEN, lambda wanted: {})
        return str(caught.value)

    labels = {"name": "a", "namespace": "b", "labels": {"token": TOKEN.marker()}}
    assert "labels and annotations cannot hold a secret" in problem(metadata=labels)
    assert "a secret_ref cannot be the name of a field" in problem(data={TOKEN.marker(): "x"})


def test_what_an_api_says_about_a_secret_is_blanked(bench: Bench) -> None:
    run(bench, NET)
    bench.cloud.broken = {"mem.node/web"}
    bench.cloud.quota = "hunter2-stored is too short, and so is aHVudGVyMi1zdG9yZWQ="
    result = run(bench, node(REDIS.marker()))
    assert "(secret) is too short, and so is (secret)" in result["msg"]


def test_rendering_shows_how_a_secret_is_written_and_reads_none(bench: Bench) -> None:
    text = f"a {REDIS.marker()} {SecretRef('variable', 'v', version='3', encode='base64').marker()}"
    shown = run(bench, node(text, note="not s3cret-argument"), state="rendered")["description"]["mem.node/web"]
    assert shown["note"] == "not (secret)"  # a plain password of an inventory
    assert shown["token"] == (
        "a {{ 'prod/redis' | capstan.fullstack.secret_ref('secretsmanager', key='password') }} "
        "{{ 'v' | capstan.fullstack.secret_ref('variable', version='3', encode='base64') }}"
    )
    assert bench.asked == []


def test_what_the_controller_knows_travels_to_another_host(bench: Bench, tmp_path: Any) -> None:
    task = bench.task(node(TOKEN.marker()), given=GIVEN)
    assert "hunter2" not in repr(task)
    (tmp_path / "description.json").write_text(description_text(task))
    arguments = {
        "name": "shop",
        "platform": "own",
        "account_id": "123456789012",
        "region": "us-east-1",
        "roles": [{"role": "app"}],
        "progress": "auto",
    }
    there = task_from(arguments, str(tmp_path / "description.json"), check=False)
    assert there.given == GIVEN
