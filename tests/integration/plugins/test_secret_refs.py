"""Secrets of Secrets Manager, the environment and a vault, in whole runs: used, rotated, missing, and never seen."""

from __future__ import annotations

import base64
import json
import secrets
import subprocess
from collections.abc import Iterator

import pytest

from .conftest import ANSIBLE, Bench
from .test_cluster import KUBECONFIG, kubectl

SPECS = """
argument_specs:
  main:
    options:
      objects_namespace: {type: str, default: nowhere}
      objects_password: {type: str, no_log: true, required: true}
      objects_token: {type: str, no_log: true, required: true}
      objects_vaulted: {type: str, no_log: true, required: true}
"""
DEFAULTS = """
objects_namespace: nowhere
objects_password: "{{ 'shop/redis' | capstan.fullstack.secret_ref('secretsmanager', key='password') }}"
objects_token: "{{ 'SHOP_TOKEN' | capstan.fullstack.secret_ref('env', version='5') }}"
objects_vaulted: "{{ 'shop_vaulted' | capstan.fullstack.secret_ref('variable') }}"
"""
MANIFESTS = """
apiVersion: v1
kind: Namespace
metadata: {name: "{{ objects_namespace }}"}
---
apiVersion: v1
kind: Secret
metadata: {name: one, namespace: "{{ objects_namespace }}"}
stringData:
  password: {{ objects_password | to_json }}
  url: "redis://:{{ objects_password }}@{{ 'aws.vpc/main' | capstan.fullstack.ref }}:6379"
  vaulted: "{{ objects_vaulted }}"
data:
  token: "{{ 'SHOP_TOKEN' | capstan.fullstack.secret_ref('env', encode='base64') }}"
---
apiVersion: v1
kind: ConfigMap
metadata: {name: two, namespace: "{{ objects_namespace }}"}
data:
  url: "redis://:{{ objects_password }}@cache:6379"
---
apiVersion: v1
kind: ConfigMap
metadata: {name: three, namespace: "{{ objects_namespace }}"}
data:
  plain: nothing secret
  token: "{{ objects_token }}"
"""
STORED, ROTATED = "hunter2-stored", "hunter2-rotated"
ENVIRONMENT = {"SHOP_TOKEN": "hunter2-from-the-environment"}
FORMS = [base64.b64encode(text.encode()).decode().rstrip("=")[:-2] for text in (STORED, ROTATED, *ENVIRONMENT.values())]


@pytest.fixture
def namespace() -> Iterator[str]:
    name = f"plugins-{secrets.token_hex(4)}"
    yield name
    kubectl("delete", "namespace", name, "--ignore-not-found", "--wait=false")


@pytest.fixture
def shop(bench: Bench) -> Bench:
    """A role whose objects use one secret of each source; what Secrets Manager holds is each test's own."""
    bench.write("roles/objects/meta/argument_specs.yml", SPECS)
    bench.write("roles/objects/defaults/main.yml", DEFAULTS)
    bench.write("roles/objects/templates/manifests/all.yaml.j2", MANIFESTS)
    bench.write("vault-password", "only-for-this-test")
    vault = [ANSIBLE.with_name("ansible-vault"), "encrypt_string", "--vault-password-file", "vault-password"]
    vaulted = subprocess.run(
        [*map(str, vault), "hunter2-vaulted", "--name", "shop_vaulted"],
        cwd=bench.folder, env=bench.environment, check=True, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    bench.write("group_vars/all.yml", vaulted.stdout)
    bench.play(
        name=f"shop-{secrets.token_hex(4)}",  # others may use the same cluster at the same time
        roles=[{"role": "net", "scope": "platform"}, {"role": "objects"}],
        kubeconfig=str(KUBECONFIG),
        progress="text",
    )
    return bench


def keep(bench: Bench, text: str = json.dumps({"user": "app", "password": STORED})) -> str:
    """The secret shop/redis; its VersionId."""
    return str(bench.account.client("secretsmanager").create_secret(Name="shop/redis", SecretString=text)["VersionId"])


def data_of(kind: str, name: str, namespace: str) -> dict[str, str]:
    return dict(json.loads(kubectl("get", kind, name, "-n", namespace, "-o", "json"))["data"])


@pytest.mark.cluster
def test_secrets_arrive_rotation_is_one_update_per_user_and_no_output_ever_shows_them(
    shop: Bench, namespace: str
) -> None:
    version = keep(shop)
    options = ("--diff", "-vvvv", "--vault-password-file", "vault-password", "-e", f"objects_namespace={namespace}")
    said: list[str] = []

    def run(*more: str) -> str:
        ran = shop.run(*options, *more, environment=ENVIRONMENT)
        assert ran.code == 0, ran.out
        said.extend([ran.out, json.dumps(shop.result)])
        assert [call["operation"] for call in ran.calls].count("GetSecretValue") == 1
        return ran.out

    check = run("--check")
    assert f"+data.password: (secret AWSCURRENT {version})" in check and "+data.url: (known after apply)" in check
    assert f"+data.url: (secret AWSCURRENT {version})" in check and "+data.token: (secret 5)" in check
    run()
    one, two = data_of("secret", "one", namespace), data_of("configmap", "two", namespace)
    vpc = shop.result["outputs"]["aws.vpc/main"]["id"]
    assert {name: base64.b64decode(text).decode() for name, text in one.items()} == {
        "password": "hunter2-stored",
        "url": f"redis://:hunter2-stored@{vpc}:6379",
        "vaulted": "hunter2-vaulted",
        "token": "hunter2-from-the-environment",
    }
    assert two == {"url": "redis://:hunter2-stored@cache:6379"}
    again = run()
    assert "No changes" in again and shop.result["changed"] is False, again

    rotated = json.dumps({"user": "app", "password": ROTATED})
    put = shop.account.client("secretsmanager").put_secret_value(SecretId="shop/redis", SecretString=rotated)
    users = [(f"kube.ConfigMap/{namespace}/two", "update"), (f"kube.Secret/{namespace}/one", "update")]
    check = run("--check")
    assert sorted((change["address"], change["action"]) for change in shop.result["plan"]) == users
    assert f"+data.password: (secret AWSCURRENT {put['VersionId']})" in check
    run()
    assert sorted((change["address"], change["action"]) for change in shop.result["plan"]) == users
    assert data_of("configmap", "two", namespace) == {"url": "redis://:hunter2-rotated@cache:6379"}
    assert "No changes" in run()

    kubectl("patch", "secret", "one", "-n", namespace, "-p", '{"stringData": {"vaulted": "hunter2-by-hand"}}')
    assert f"~ kube.Secret/{namespace}/one" in run()
    assert base64.b64decode(data_of("secret", "one", namespace)["vaulted"]).decode() == "hunter2-vaulted"

    seen = "\n".join(said)
    assert "hunter2" not in seen
    assert not [form for form in FORMS if form in seen]


CANNOT = {  # what Secrets Manager holds as shop/redis: what is said about it
    "nothing": "Secrets Manager of account {account} in us-east-1 has no secret shop/redis.",
    '{"pasword": "hunter2"}': """Secrets Manager's shop/redis has no key "password". Did you mean "pasword"?""",
    "hunter2": """Secrets Manager's shop/redis is no JSON mapping, so it has no key "password"; leave key out.""",
    "deleted": "Secrets Manager's shop/redis is scheduled for deletion; restore it, or name another.",
    "denied": "Secrets Manager's shop/redis may not be read (AccessDeniedException); allow "
    "secretsmanager:GetSecretValue on it to the caller",
    "not pending": "Secrets Manager of account {account} in us-east-1 has no secret shop/redis with a version "
    "AWSPENDING.",
}


@pytest.mark.parametrize(("kept", "check"), [(kept, n % 2 == 0) for n, kept in enumerate(CANNOT)])
def test_a_secret_that_cannot_be_had_gets_one_message_before_anything_is_touched(
    shop: Bench, kept: str, check: bool
) -> None:
    if kept != "nothing":
        keep(shop, kept)
    if kept == "deleted":
        shop.account.client("secretsmanager").delete_secret(SecretId="shop/redis")
    if kept == "denied":
        shop.aws.deny(["secretsmanager:GetSecretValue"], shop.account.access_key_id)
    if kept == "not pending":
        defaults = DEFAULTS.replace("key='password'", "key='password', version_stage='AWSPENDING'")
        shop.write("roles/objects/defaults/main.yml", defaults)
    options = ["--vault-password-file", "vault-password", *(["--check"] if check else [])]
    ran = shop.run(*options, environment=ENVIRONMENT)
    assert (ran.code, ran.writes) == (2, []), ran.out
    assert {call["operation"] for call in ran.calls} == {"GetCallerIdentity", "GetSecretValue"}
    said = ran.out.replace('\\"', '"')
    users = "kube.ConfigMap/nowhere/two, kube.Secret/nowhere/one"
    assert f"{users}: {CANNOT[kept].format(account=shop.account.id)}" in said, ran.out
    assert "hunter2" not in ran.out


def test_what_the_controller_lacks_is_said_at_once_and_a_narrowed_run_does_not_mind(shop: Bench) -> None:
    shop.write("group_vars/all.yml", "shop_vault: hunter2\n")
    ran = shop.run("--check")
    assert (ran.code, {call["operation"] for call in ran.calls}) == (2, {"GetCallerIdentity", "GetSecretValue"})
    assert "environment variable SHOP_TOKEN is not set." in ran.out
    assert 'there is no variable shop_vaulted. Did you mean \\"shop_vault\\"?' in ran.out
    assert "has no secret" in ran.out

    narrowed = shop.run("--tags", "net")
    assert narrowed.code == 0, narrowed.out
    assert "GetSecretValue" not in {call["operation"] for call in narrowed.calls}


def test_a_secret_where_everybody_could_read_it_is_refused(shop: Bench) -> None:
    shop.write(
        "roles/net/templates/resources.yml.j2",
        "aws.vpc/main: {cidr: 10.0.0.0/16, tags: {t: \"{{ 'SHOP_TOKEN' | capstan.fullstack.secret_ref('env') }}\"}}",
    )
    ran = shop.run("--check", environment=ENVIRONMENT)
    assert (ran.code, ran.calls) == (2, [])
    assert "aws.vpc/main: tags cannot hold a secret, nothing of aws.vpc can." in ran.out


@pytest.mark.cluster
def test_on_another_host_secrets_come_from_the_controller(shop: Bench, namespace: str) -> None:
    keep(shop)
    shop.write(
        "connection_plugins/elsewhere.py",
        "from ansible.plugins.connection.local import Connection as Local\n"
        "DOCUMENTATION = 'name: elsewhere\\nshort_description: x\\ndescription: x\\nauthor: x\\noptions: {}'\n"
        "class Connection(Local):\n    transport = 'elsewhere'\n",
    )
    ran = shop.run(
        "-vvvv", "--vault-password-file", "vault-password", "-e", "ansible_connection=elsewhere",
        "-e", f"objects_namespace={namespace}", environment=ENVIRONMENT,
    )  # fmt: skip
    assert ran.code == 0, ran.out
    assert base64.b64decode(data_of("secret", "one", namespace)["vaulted"]).decode() == "hunter2-vaulted"
    assert "hunter2" not in ran.out
