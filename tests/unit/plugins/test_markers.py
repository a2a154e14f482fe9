"""A reference that a template transformed or swallowed is found, with file and line."""

from __future__ import annotations

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

from .conftest import Roles

REF = "'aws.db_instance/main' | capstan.fullstack.ref('address')"
MISUSES = {
    "b64encode": "a: '{{ (%s) | b64encode }}'",
    "hash": "a: '{{ (%s) | hash }}'",
    "int": "a: {{ (%s) | int }}",
    "length": "a: {{ (%s) | length }}",
    "upper": "a: '{{ (%s) | upper }}'",
    "truncate": "a: '{{ (%s)[:14] }}'",
    "regex_replace": 'a: \'{{ (%s) | regex_replace("main", "other") }}\'',
    "equality": "a: {{ (%s) == 'db.example.com' }}",
    "default in a comparison": "a: {{ (%s) in ['x', 'y'] }}",
    "if": "{%% if %s %%}a: 1{%% endif %%}",
    "if expression": "a: {{ 1 if (%s) else 2 }}",
    "quote in a YAML comment": "a: 1 # {{ %s }}",
    "select": "a: {{ [%s] | select('match', 'db.*') | list }}",
    "urlsplit": 'a: \'{{ ("http://" ~ (%s) ~ "/x") | urlsplit("hostname") }}\'',
    "set and forget": "{%% set unused = %s %%}a: 1",
}


@pytest.mark.parametrize("misuse", MISUSES)
def test_a_transformed_reference_is_an_error_with_file_and_line(misuse: str, roles: Roles) -> None:
    roles.write("app", resources=f"# one\n# two\naws.x/y:\n  {MISUSES[misuse] % REF}\n")
    (problem,) = roles.problems("app")
    assert problem.startswith(
        "roles/app/templates/resources.yml.j2:4: the reference to aws.db_instance/main.address was transformed or "
    )


def test_a_transformed_reference_from_a_variable_names_the_line_that_uses_it(roles: Roles) -> None:
    roles.write("app", resources="aws.x/y:\n  a: 1\n  b: '{{ app_host | hash }}'\n")
    (problem,) = roles.problems("app", variables=f'app_host: "{{{{ {REF} }}}}"')
    assert problem.startswith("roles/app/templates/resources.yml.j2:3: the reference to aws.db_instance/main.address")


def test_every_lost_reference_is_named(roles: Roles) -> None:
    roles.write(
        "app", resources=("aws.x/y:\n  a: {{ (%s) | int }}\n  b: '{{ %s }}'\n  c: {{ (%s) | hash }}\n" % ((REF,) * 3))
    )
    assert [problem.split(":")[1] for problem in roles.problems("app")] == ["2", "4"]


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("'main' | capstan.fullstack.ref", "ref wants the address of a resource, like \"aws.vpc/main\", not 'main'"),
        ("7 | capstan.fullstack.ref", "ref wants the address of a resource"),
        ("'aws.vpc/main' | capstan.fullstack.ref('a b')", "ref wants the name of an output of aws.vpc/main"),
        (
            "'aws.vpc/main' | capstan.fullstack.ref('id', encode='rot13')",
            "ref can encode as none or base64, not 'rot13'",
        ),
    ],
)
def test_a_wrong_use_of_ref_says_what_is_wanted(expression: str, words: str, roles: Roles) -> None:
    roles.write("app", resources=f'aws.x/y:\n  a: "{{{{ {expression} }}}}"\n')
    (problem,) = roles.problems("app")
    assert problem.startswith("roles/app/templates/resources.yml.j2:2: ")
    assert words in problem


def test_ref_outside_a_stacks_templates_is_refused() -> None:
    templar = Templar(loader=DataLoader(), variables={})
    with pytest.raises(Exception, match="only be used in the templates of a stack"):
        templar.template(trust_as_template("{{ 'aws.vpc/main' | capstan.fullstack.ref }}"))
