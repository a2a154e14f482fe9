"""From roles and an inventory to a description."""

from __future__ import annotations

from ansible_collections.capstan.fullstack.plugins.module_utils.engine.description import Raw
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.values import Reference
from ansible_collections.capstan.fullstack.plugins.module_utils.stack.settings import RoleUse

from .conftest import Roles

SPECS = """
    argument_specs:
      main:
        options:
          net_cidr: {type: str, required: true}
          net_zones:
            type: list
            elements: dict
            options:
              name: {type: str, required: true}
              size: {type: int}
          net_password: {type: str, no_log: true}
"""


def test_a_role_gives_its_resources_with_component_owner_file_and_line(roles: Roles) -> None:
    roles.write(
        "net",
        specs=SPECS,
        resources="""
        # the network
        aws.vpc/main:
          cidr: "{{ net_cidr }}"
        {% for zone in net_zones %}
        aws.subnet/{{ zone.name }}:
          vpc: main
        {% endfor %}
        """,
    )
    rendering = roles.render("net", variables="{net_cidr: 10.0.0.0/16, net_zones: [{name: a}]}")
    assert rendering.raws == (
        Raw("aws.vpc/main", {"cidr": "10.0.0.0/16"}, "net", "shop", "roles/net/templates/resources.yml.j2:2"),
        Raw("aws.subnet/a", {"vpc": "main"}, "net", "shop", "roles/net/templates/resources.yml.j2:5"),
    )
    assert rendering.complete == {"net"}


def test_platform_roles_belong_to_the_platform_stack_and_are_left_out_on_a_shared_one(roles: Roles) -> None:
    roles.write("base", resources="aws.vpc/main: {}")
    roles.write("app", resources="aws.db_instance/main: {}")
    uses = (RoleUse("base", "platform"), RoleUse("app"))
    own = roles.render(*uses)
    assert [(raw.address, raw.owner) for raw in own.raws] == [
        ("aws.vpc/main", "shop-platform"),
        ("aws.db_instance/main", "shop"),
    ]
    shared = roles.render(*uses, shared=True)
    assert [raw.address for raw in shared.raws] == ["aws.db_instance/main"]
    assert shared.complete == {"app"}


def test_a_disabled_role_is_announced_as_empty_and_its_arguments_do_not_matter(roles: Roles) -> None:
    roles.write("net", specs=SPECS, resources="aws.vpc/main: {}")
    rendering = roles.render(RoleUse("net", enabled=False))
    assert (rendering.raws, rendering.complete) == ((), {"net"})


def test_variables_come_in_ansibles_order(roles: Roles) -> None:
    roles.write(
        "net",
        defaults="{net_a: default, net_b: default, net_c: default}",
        private="{net_c: private, __net_d: '{{ net_a }} and {{ other_e }}'}",
        resources="aws.vpc/main: {a: '{{ net_a }}', b: '{{ net_b }}', c: '{{ net_c }}', d: '{{ __net_d }}'}",
    )
    roles.write("other", defaults="{other_e: of another role, net_a: never}", resources="")
    rendering = roles.render("net", "other", variables="{net_b: inventory, net_c: inventory}")
    assert rendering.raws[0].fields == {
        "a": "default",
        "b": "inventory",
        "c": "private",
        "d": "default and of another role",
    }


def test_every_wrong_argument_of_every_role_is_reported_at_once(roles: Roles) -> None:
    roles.write("net", specs=SPECS, resources="aws.vpc/main: {}")
    roles.write("app", specs="argument_specs: {main: {options: {app_pods: {type: int, required: true}}}}", resources="")
    problems = roles.problems("net", "app", variables="{net_zones: [{name: a, size: big}, {nme: b}], app_pods: many}")
    text = "\n".join(problems)
    assert 'role net: net_zones[1] has no option "nme". Did you mean "name"?' in problems
    assert "role net: missing required arguments: net_cidr." in problems
    assert "role net: missing required arguments: name found in net_zones." in problems
    assert "size" in text and "'big'" in text and "int" in text
    assert "role app: argument 'app_pods' is of type str and we were unable to convert to int" in text
    assert len(problems) == 5


def test_a_misspelled_variable_is_an_error_with_the_nearest_name(roles: Roles) -> None:
    roles.write("net", specs=SPECS, resources="aws.vpc/main: {}")
    problems = roles.problems("net", variables="{net_cidr: 10.0.0.0/16, net_zonse: [], net_unrelated_thing: 1}")
    assert problems == ['role net has no option "net_zonse". Did you mean "net_zones"?']


def test_a_secret_argument_is_masked_in_what_is_reported(roles: Roles) -> None:
    roles.write(
        "net", specs=SPECS, defaults="net_cidr: x", resources="aws.vpc/main: {a: '{{ net_password | to_datetime }}'}"
    )
    (problem,) = roles.problems("net", variables="net_password: hunter2-hunter2")
    assert problem.startswith("roles/net/templates/resources.yml.j2:1: ")
    assert "'********' does not match format" in problem and "hunter2" not in problem


def test_an_undefined_variable_is_named_with_file_and_line_and_no_source_line(roles: Roles) -> None:
    roles.write(
        "net",
        resources="""
        aws.vpc/main:
          tags: {password: very-secret}
          cidr: "{{ net_cidrr }}"
        """,
    )
    assert roles.problems("net") == ["roles/net/templates/resources.yml.j2:3: 'net_cidrr' is undefined."]


def test_an_undefined_variable_inside_an_inventorys_value_is_named_with_the_inventorys_line(roles: Roles) -> None:
    roles.write("net", resources="aws.vpc/main: {cidr: '{{ net_cidr }}'}")
    (problem,) = roles.problems("net", variables="a: 1\nnet_cidr: '{{ base }}.0/16'")
    assert problem.startswith("roles/net/templates/resources.yml.j2: 'base' is undefined (in ")
    assert problem.endswith("inventory.yml:2).")


def test_the_same_in_an_argument_names_the_argument(roles: Roles) -> None:
    roles.write("net", specs=SPECS, resources="aws.vpc/main: {cidr: '{{ net_cidr }}'}")
    (problem, _) = roles.problems("net", variables="a: 1\nnet_cidr: '{{ base }}.0/16'")
    assert problem.startswith("role net: net_cidr: 'base' is undefined (in ")
    assert problem.endswith("inventory.yml:2).")


def test_a_syntax_error_is_named_with_its_line(roles: Roles) -> None:
    roles.write("net", resources="aws.vpc/main:\n  cidr: 1\n  a: {{ nonsense | }}\n")
    (problem,) = roles.problems("net")
    assert problem.startswith("roles/net/templates/resources.yml.j2:3: ")


def test_a_key_that_is_there_twice_is_refused(roles: Roles) -> None:
    roles.write("net", resources="aws.vpc/main:\n  cidr: 1\n  cidr: 2\n")
    assert roles.problems("net") == [
        'roles/net/templates/resources.yml.j2, line 3 of what it renders to: the key "cidr" is there twice '
        "(first in line 2)."
    ]


def test_dates_and_times_in_a_description_stay_text(roles: Roles) -> None:
    roles.write("net", resources="aws.iam_role/x: {Version: 2012-10-17, at: 12:30, id: 012345678901, n: 12, f: 0.5}")
    assert roles.render("net").raws[0].fields == {
        "Version": "2012-10-17",
        "at": "12:30",
        "id": "012345678901",
        "n": 12,
        "f": 0.5,
    }


def test_a_template_that_gives_another_description_each_time_is_refused(roles: Roles) -> None:
    roles.write("net", resources="aws.vpc/main: {cidr: '{{ lookup('ansible.builtin.password', '/dev/null') }}'}")
    assert roles.problems("net") == [
        "roles/net/templates/resources.yml.j2: rendering it twice gives two descriptions (aws.vpc/main); "
        "now(), random and lookups that change cannot be used in it."
    ]


def test_includes_and_macros_of_the_role_are_found(roles: Roles) -> None:
    roles.write(
        "net", resources="{% from 'names.j2' import zone with context %}\naws.vpc/main: {zone: {{ zone('a') }}}\n"
    )
    names = roles.folder / "roles/net/templates/names.j2"
    names.write_text("{% macro zone(x) %}{{ net_region }}{{ x }}{% endmacro %}")
    assert roles.render("net", variables="net_region: us-east-1").raws[0].fields == {"zone": "us-east-1a"}


def test_roles_that_are_missing_without_specs_or_listed_twice_are_all_named(roles: Roles) -> None:
    roles.write("net", specs="argument_specs: {}", resources="")
    roles.write("app", resources="")
    problems = roles.problems("net", "nowhere", "app", "app")
    assert problems[0] == "role net has no meta/argument_specs.yml with the entry point main."
    assert problems[1].startswith("role nowhere is neither in capstan.fullstack nor in ")
    assert problems[2:] == ["role app is listed twice."]


def test_a_reference_is_a_marker_that_is_the_same_in_every_rendering(roles: Roles) -> None:
    roles.write(
        "app",
        resources="""
        aws.record/db:
          value: "{{ 'aws.db_instance/main' | capstan.fullstack.ref('address') }}"
        """,
    )
    marker = Reference("aws.db_instance/main", "address").marker()
    assert roles.render("app").raws[0].fields == {"value": marker}
    assert roles.render("app").raws[0].fields == {"value": marker}


def test_a_reference_may_stand_in_a_variable_of_the_inventory_and_in_text(roles: Roles) -> None:
    roles.write(
        "app",
        specs="argument_specs: {main: {options: {app_settings: {type: dict}}}}",
        resources="aws.x/y: {url: {{ app_settings.URL | to_json }}}",
    )
    rendering = roles.render(
        "app",
        variables="""
        app_settings:
          URL: "postgresql://{{ 'aws.db_instance/main' | capstan.fullstack.ref('address') }}:5432/app"
          OTHER: "{{ 'aws.vpc/main' | capstan.fullstack.ref }}"
        """,
    )
    assert rendering.raws[0].fields == {
        "url": f"postgresql://{Reference('aws.db_instance/main', 'address').marker()}:5432/app"
    }


def test_manifests_are_rendered_checked_and_handed_on_with_settled_references(roles: Roles) -> None:
    roles.write(
        "app",
        resources="",
        b_second="kind: Second",
        a_first="host: {{ 'aws.db_instance/main' | capstan.fullstack.ref('address') }}\n---\nkind: Other\n",
    )
    marker = Reference("aws.db_instance/main", "address").marker()
    first, second = roles.render("app").raws
    assert first.fields == {"text": f"host: {marker}\n---\nkind: Other\n"}
    assert first.source == "roles/app/templates/manifests/a_first.yaml.j2"
    assert (second.address, second.component) == ("kube.Text/b_second.yaml.j2", "app")


def test_a_key_that_is_twice_in_a_manifest_is_refused(roles: Roles) -> None:
    roles.write("app", resources="", web="metadata:\n  name: a\n  name: b\n")
    (problem,) = roles.problems("app")
    assert problem == (
        'roles/app/templates/manifests/web.yaml.j2, line 3 of what it renders to: the key "name" is there twice '
        "(first in line 2)."
    )
