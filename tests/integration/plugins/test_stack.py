"""The module `stack` as a user runs it."""

from __future__ import annotations

import json

from .conftest import Bench

CREATES = ["CreateVpc", "CreateSecurityGroup", "CreateSubnet", "CreateSubnet"]


def creates(writes: list[str]) -> list[str]:
    return sorted(
        (name for name in writes if name.startswith("Create") and name != "CreateTags"),
        key=lambda name: (name != "CreateVpc", name),
    )


def test_check_shows_the_plan_of_an_empty_account_apply_does_it_and_again_nothing_changes(bench: Bench) -> None:
    bench.play()
    check = bench.run("--check", "--diff")
    assert (check.code, check.writes) == (0, [])
    assert "    + aws.vpc/main\n" in check.out
    assert "Plan: 4 to create, 0 to update, 0 to replace, 0 to delete, 0 unchanged." in check.out
    assert "+++ after: aws.subnet/b (create)" in check.out and "+vpc: (known after apply)" in check.out
    digest = bench.result["digest"]

    done = bench.run()
    assert done.code == 0, done.out
    assert creates(done.writes) == CREATES
    assert "    created aws.vpc/main  " in done.out and "Done: 4 created" in done.out
    assert bench.result["digest"] == digest
    assert bench.result["outputs"]["aws.vpc/main"]["id"].startswith("vpc-")
    (group,) = bench.account.client("ec2").describe_security_groups(
        Filters=[{"Name": "tag:capstan:address", "Values": ["aws.security_group/web"]}]
    )["SecurityGroups"]
    tags = {tag["Key"]: tag["Value"] for tag in group["Tags"]}
    assert tags["of"] == bench.result["outputs"]["aws.vpc/main"]["id"]

    again = bench.run()
    assert (again.code, again.writes, bench.result["changed"]) == (0, [], False)
    assert "No changes: all 4 resources are as described." in again.out
    assert "changed=0" in again.out


def test_tags_narrow_the_run_to_components_and_what_they_need(bench: Bench) -> None:
    bench.play()
    assert bench.run("--tags", "net").writes.count("CreateSecurityGroup") == 0
    assert bench.run("--skip-tags", "walls").writes == []
    assert bench.run("--skip-tags", "net").writes.count("CreateSecurityGroup") == 1
    skipped = bench.run("--tags", "something-else")
    assert (skipped.code, skipped.calls) == (0, [])
    assert "skipping" in skipped.out


def test_narrowed_runs_and_failing_templates_prune_nothing_outside(bench: Bench) -> None:
    bench.play(prune=True)
    bench.run("-e", json.dumps({"walls_names": ["web", "old"]}))
    only_net = ["-e", json.dumps({"walls_names": ["web"]})]
    assert bench.run(*only_net, "--tags", "net").writes == []
    assert bench.run(*only_net, "--skip-tags", "walls").writes == []
    bench.write("roles/walls/templates/resources.yml.j2", "{{ nonsense }}")
    failing = bench.run(*only_net)
    assert (failing.code, failing.calls) == (2, [])
    assert "roles/walls/templates/resources.yml.j2:1: 'nonsense' is undefined" in failing.out


def test_a_role_that_is_disabled_goes_with_prune_and_is_shown_without(bench: Bench) -> None:
    bench.play(prune="{{ stack_prune | default(false) }}")
    bench.run()
    off = ["-e", json.dumps({"walls_enabled": False})]
    shown = bench.run(*off)
    assert (shown.code, shown.writes) == (0, [])
    assert "-? aws.security_group/web  it is no longer described; prune: true deletes it" in shown.out
    pruned = bench.run(*off, "-e", '{"stack_prune": true}')
    assert pruned.writes.count("DeleteSecurityGroup") == 1 and "DeleteVpc" not in pruned.writes


def test_a_wrong_inventory_gets_every_message_at_once_and_calls_nothing(bench: Bench) -> None:
    bench.play(account_id="12345")
    wrong = bench.run()
    assert (wrong.code, wrong.calls) == (2, [])
    assert "account_id is '12345'; 12 digits in quotes are wanted." in wrong.out
    bench.play()
    values = {"net_subnets": [{"name": "a", "cird": "10.0.1.0/24"}], "net_cidrr": "x", "walls_names": {"a": 1}}
    wrong = bench.run("-e", json.dumps(values))
    assert (wrong.code, wrong.calls) == (2, [])
    assert 'role net: net_subnets[0] has no option "cird". Did you mean "cidr"?' in wrong.out
    assert 'role net has no option "net_cidrr". Did you mean "net_cidr"?' in wrong.out
    assert "walls_names" in wrong.out


def test_the_wrong_account_no_api_and_wrong_credentials_get_one_message(bench: Bench) -> None:
    bench.play(account_id="999999999999")
    wrong = bench.run()
    assert (wrong.code, {call["operation"] for call in wrong.calls}) == (2, {"GetCallerIdentity"})
    assert "wrong AWS account" in wrong.out
    bench.play()
    dead = bench.run(environment={"AWS_ENDPOINT_URL": "http://127.0.0.1:9"})
    assert dead.code == 2 and "no AWS API" in dead.out
    refused = bench.run(environment={"AWS_SECRET_ACCESS_KEY": "wrong"})
    assert (refused.code, refused.writes) == (2, []) and "credentials are not accepted" in refused.out


def test_check_fails_when_a_kind_cannot_be_read(bench: Bench) -> None:
    bench.play()
    bench.aws.deny(["ec2:DescribeSubnets"], bench.account.access_key_id)
    check = bench.run("--check")
    assert (check.code, check.writes) == (2, [])
    assert "aws.subnet cannot be read" in check.out
    assert "+ aws.vpc/main" in check.out


def test_secrets_are_nowhere_in_the_output_at_the_highest_verbosity(bench: Bench) -> None:
    bench.play(progress="text")
    token = ["-e", json.dumps({"net_token": "s3cret-s3cret"})]
    for options in (["--check", "--diff", "-vvvv"], ["-vvvv"]):
        ran = bench.run(*options, *token)
        assert ran.code == 0
        tasks = ran.out.partition("TASK [Work]")[2]
        assert "s3cret" not in tasks
        assert "token" in tasks


def test_progress_can_be_json_lines(bench: Bench) -> None:
    bench.play(progress="json")
    ran = bench.run()
    events = [json.loads(line) for line in ran.out.splitlines() if line.startswith('{"capstan"')]
    assert [event["capstan"] for event in events if event.get("address") == "aws.vpc/main"] == ["started", "done"]
    assert next(event for event in events if event["capstan"] == "planned")["counts"]["create"] == 4


def test_async_is_refused_with_a_hint(bench: Bench) -> None:
    bench.play(task={"async": 600, "poll": 0})
    ran = bench.run()
    assert (ran.code, ran.calls) == (2, [])
    assert "stack cannot run with async" in ran.out and "start it without async" in ran.out


def test_rendered_needs_no_account_and_gathered_gives_back_what_is_live(bench: Bench) -> None:
    bench.play()
    bench.run()
    bench.play(state="rendered")
    rendered = bench.run()
    assert (rendered.code, rendered.calls) == (0, [])
    assert bench.result["description"]["aws.security_group/web"] == {
        "vpc": "main",
        "tags": {"of": "{{ 'aws.vpc/main' | capstan.fullstack.ref }}"},
    }
    bench.play(state="gathered")
    gathered = bench.run()
    assert (gathered.code, gathered.writes) == (0, [])
    description = bench.result["description"]
    assert description["aws.subnet/a"]["vpc"] == "main"
    assert description["aws.subnet/a"]["cidr"] == "10.0.1.0/24"


def test_absent_deletes_the_stack_and_its_platform(bench: Bench) -> None:
    bench.play()
    bench.run()
    bench.play(state="absent", roles=None)
    gone = bench.run()
    assert gone.code == 0, gone.out
    assert bench.account.client("ec2").describe_vpcs()["Vpcs"] == []
    narrowed = bench.run("--tags", "net")
    assert narrowed.calls == []


def test_an_environment_on_a_shared_platform_reads_it_and_never_writes_it(bench: Bench) -> None:
    other = {"name": "other", "platform": "shared/shop-platform"}
    bench.play(**other)
    early = bench.run("--check")
    assert (early.code, early.writes) == (0, []), early.out
    assert "the shared platform shop-platform has no aws.vpc/main (yet)" in early.out
    refused = bench.run()
    assert (refused.code, refused.writes) == (2, []) and "converge the platform first" in refused.out

    bench.play()
    assert bench.run("--tags", "net").code == 0
    bench.play(**other)
    done = bench.run("-e", "net_cidr=10.9.0.0/16")  # what it says about the platform's roles does not matter
    assert done.code == 0, done.out
    assert creates(done.writes) == ["CreateSecurityGroup"]
    bench.play(**other, state="absent")
    assert bench.run().code == 0
    assert len(bench.account.client("ec2").describe_vpcs()["Vpcs"]) == 1


def test_info_tells_outputs_members_lock_and_drift(bench: Bench) -> None:
    bench.play()
    bench.run()
    ec2 = bench.account.client("ec2")
    vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    ec2.create_tags(Resources=[vpc], Tags=[{"Key": "token", "Value": "moved"}])
    bench.play("stack_info", gather=["outputs", "members", "lock", "drift"])
    info = bench.run()
    assert (info.code, info.writes) == (0, []), info.out
    result = bench.result
    assert result["outputs"]["aws.vpc/main"]["id"] == vpc
    assert [member["address"] for member in result["members"] if member["stack"] == "shop"] == [
        "aws.security_group/web"
    ]
    assert result["lock"]["shop"]["released"] is True
    assert [(change["address"], change["action"]) for change in result["drift"]] == [("aws.vpc/main", "update")]


def test_the_module_does_the_same_on_another_host(bench: Bench) -> None:
    bench.write(
        "connection_plugins/elsewhere.py",
        "from ansible.plugins.connection.local import Connection as Local\n"
        "DOCUMENTATION = 'name: elsewhere\\nshort_description: x\\ndescription: x\\nauthor: x\\noptions: {}'\n"
        "class Connection(Local):\n    transport = 'elsewhere'\n",
    )
    bench.play()
    elsewhere = ["-e", "ansible_connection=elsewhere"]
    check = bench.run("--check", *elsewhere)
    assert (check.code, check.writes) == (0, []), check.out
    assert len(bench.result["plan"]) == 4
    done = bench.run(*elsewhere)
    assert done.code == 0, done.out
    assert creates(done.writes) == CREATES
    again = bench.run(*elsewhere)
    assert (again.code, again.writes) == (0, [])
    failing = bench.run(*elsewhere, "-e", "net_cidr=10.0.0.0/99")
    assert failing.code == 2 and "10.0.0.0/99" in failing.out
    bench.play("stack_info", gather=["members"])
    assert bench.run(*elsewhere).code == 0
    assert len(bench.result["members"]) == 4


def test_a_transformed_reference_stops_the_run_with_file_and_line(bench: Bench) -> None:
    template = (
        "aws.security_group/web:\n  vpc: main\n  description: {{ 'aws.vpc/main' | capstan.fullstack.ref | hash }}\n"
    )
    bench.write("roles/walls/templates/resources.yml.j2", template)
    bench.play()
    ran = bench.run("--check")
    assert (ran.code, ran.calls) == (2, [])
    assert "roles/walls/templates/resources.yml.j2:3: the reference to aws.vpc/main.id was transformed" in ran.out


def test_its_modules_are_compiled_once_for_all_runs(bench: Bench) -> None:
    kept = bench.folder / "bytecode"
    environment = {"PYTHONPYCACHEPREFIX": str(kept), "PYTHONDONTWRITEBYTECODE": ""}
    bench.play()
    assert bench.run("--check", environment=environment).code == 0
    names = {path.name.partition(".")[0]: path for path in kept.rglob("capstan/fullstack/plugins/**/*.pyc")}
    assert {"rendering", "planning", "vpc"} <= names.keys()

    names["planning"].write_bytes(names["planning"].read_bytes()[:16])  # only its header says that it is up to date
    assert bench.run("--check", environment=environment).code != 0, "the second run compiled the source itself"
