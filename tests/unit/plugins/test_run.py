"""One task from its description to its result, over the real engine and a world in memory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.values import Reference, Secret
from ansible_collections.capstan.fullstack.plugins.module_utils.stack.run import run_info, run_stack

from .memory import Bench

NET = {"mem.net/main": {"cidr": "10.0.0.0/16", "rules": ["b", "a"]}}
NODE = {"mem.node/web": {"net": "main", "size": 2, "token": "s3cret-field"}}


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_check_mode_lists_what_apply_then_does(bench: Bench) -> None:
    planned = run_stack(bench.task(NET | NODE, check=True), bench.world(), bench.progress())
    assert planned["changed"] is True
    assert planned["summary"] == "Plan: 2 to create, 0 to update, 0 to replace, 0 to delete, 0 unchanged."
    assert [(c["address"], c["action"]) for c in planned["plan"]] == [
        ("mem.net/main", "create"),
        ("mem.node/web", "create"),
    ]
    assert planned["plan"][1]["fields"]["net"] == {"before": None, "after": "(known after apply)"}
    assert planned["outputs"]["mem.net/main"]["host"] == "(known after apply)"
    assert planned["stats"]["writes"] == 0
    assert bench.cloud.things == {} and bench.stores == {}

    done = run_stack(bench.task(NET | NODE), bench.world(), bench.progress())
    assert done["changed"] is True
    assert done["digest"] == planned["digest"]
    assert done["outputs"]["mem.node/web"] == {"id": "node-2", "host": "node-2.example", "password": "(secret v1)"}
    assert planned.keys() == done.keys()

    again = run_stack(bench.task(NET | NODE), bench.world(), bench.progress())
    assert (again["changed"], again["stats"]["writes"], again["plan"], again["diff"]) == (False, 0, [], [])


def test_the_diff_has_one_entry_per_resource_with_only_what_changes(bench: Bench) -> None:
    run_stack(bench.task(NET | NODE), bench.world(), bench.progress())
    moved = {"mem.net/main": {"cidr": "10.0.0.0/16", "rules": ["a", "c"]}, "mem.node/web": NODE["mem.node/web"]}
    result = run_stack(bench.task(moved, check=True), bench.world(), bench.progress())
    assert result["diff"] == [
        {
            "before_header": "mem.net/main (update)",
            "after_header": "mem.net/main (update)",
            "before": "rules[]: b\nrules[]: a\n",
            "after": "rules[]: a\nrules[]: c\n",
        }
    ]


def test_secrets_are_masked_everywhere(bench: Bench) -> None:
    secret = {"mem.node/web": {"net": "main", "size": 2, "token": "s3cret-field", "note": "uses s3cret-argument"}}
    results = [
        run_stack(bench.task(NET | secret, check=True), bench.world(), bench.progress()),
        run_stack(bench.task(NET | secret), bench.world(), bench.progress()),
    ]
    secret["mem.node/web"] |= {"token": "s3cret-field-2"}
    results.append(run_stack(bench.task(NET | secret, check=True), bench.world(), bench.progress()))
    seen = json.dumps([results, bench.said])
    assert "s3cret" not in seen and "hunter2" not in seen
    assert results[0]["plan"][1]["fields"]["note"]["after"] == "uses (secret)"
    assert results[2]["plan"][0]["fields"] == {"token": {"before": "(secret)", "after": "(secret)"}}


def test_a_failure_names_every_resource_and_what_was_not_attempted_and_keeps_the_plan_in_a_private_file(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    bench.cloud.broken = {"mem.net/main"}
    result = run_stack(bench.task(NET | NODE), bench.world(), bench.progress())
    assert (result["failed"], result["changed"], "plan" in result) == (True, True, False)
    assert result["msg"] == (
        "mem.net/main: Create: Quota. there are five already. Ask for more.\n"
        "not attempted, because they depend on these: mem.node/web"
    )
    assert result["left"] == ["mem.node/web"]
    file = tmp_path / "capstan/plans/shop.plan.json"
    assert result["plan_path"] == str(file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert [change["address"] for change in json.loads(file.read_text())["plan"]] == ["mem.net/main", "mem.node/web"]


def test_check_mode_fails_when_a_kind_cannot_be_read_and_says_what_was_not_planned(
    bench: Bench, tmp_path: Path
) -> None:
    bench.cloud.hidden = {"mem.net"}
    result = run_stack(
        bench.task(NET | NODE, check=True, plan_path=str(tmp_path / "plan.json")), bench.world(), bench.progress()
    )
    assert result["failed"] is True
    assert result["msg"].startswith("mem.net cannot be read: List: AccessDenied.")
    assert "not planned, because of that: mem.net/main, mem.node/web" in result["msg"]
    assert result["unreadable"].keys() == {"mem.net"}


def test_a_wrong_description_fails_with_every_problem_and_touches_nothing(bench: Bench) -> None:
    wrong = {"mem.net/main": {"cidr": 7}, "mem.node/web": {"net": "man", "sise": 2}}
    result = run_stack(bench.task(wrong), bench.world(), bench.progress())
    assert result["failed"] is True
    assert 'mem.node/web (app:mem.node/web): mem.node has no field "sise". Did you mean "size"?' in result["msg"]
    assert "mem.net/main (app:mem.net/main): cidr is an integer (7); text is wanted." in result["msg"]
    assert bench.stores == {}


def test_what_is_no_longer_described_is_shown_and_goes_only_with_prune(bench: Bench) -> None:
    run_stack(bench.task(NET | NODE), bench.world(), bench.progress())
    kept = run_stack(bench.task(NET), bench.world(), bench.progress())
    assert (kept["changed"], kept["plan"][0]["held"]) == (False, "it is no longer described; prune: true deletes it")
    gone = run_stack(bench.task(NET, prune=True), bench.world(), bench.progress())
    assert [(change["address"], change["action"]) for change in gone["plan"]] == [("mem.node/web", "delete")]
    assert gone["plan"][0]["data_at_stake"] == "its disk"
    assert list(bench.cloud.things) == ["net-1"]


def test_components_and_targets_narrow_the_run_and_never_prune_beyond_it(bench: Bench) -> None:
    run_stack(bench.task(NET | NODE), bench.world(), bench.progress())
    both = NET | {"mem.net/other": {"cidr": "10.1.0.0/16"}}
    result = run_stack(bench.task(both, targets=["mem.net/other"], prune=True), bench.world(), bench.progress())
    assert [(change["address"], change["action"]) for change in result["plan"]] == [("mem.net/other", "create")]
    assert sorted(bench.cloud.things) == ["net-1", "net-3", "node-2"]


def test_an_unknown_target_is_an_error_with_the_nearest_address(bench: Bench) -> None:
    result = run_stack(bench.task(NET, targets=["mem.net/mian"]), bench.world(), bench.progress())
    assert result["msg"] == 'targets has "mem.net/mian", which nothing describes. Did you mean "mem.net/main"?'


def test_an_approved_digest_that_no_longer_fits_stops_the_run(bench: Bench) -> None:
    planned = run_stack(bench.task(NET, check=True), bench.world(), bench.progress())
    result = run_stack(bench.task(NET | NODE, expected_digest=planned["digest"]), bench.world(), bench.progress())
    assert result["failed"] is True and "moved since the plan was approved" in result["msg"]
    assert bench.cloud.things == {}
    assert run_stack(bench.task(NET, expected_digest=planned["digest"]), bench.world(), bench.progress())["changed"]


def test_check_mode_says_what_an_apply_would_ask_for_and_fails_where_it_would_refuse(bench: Bench) -> None:
    run_stack(bench.task(NET | NODE), bench.world(), bench.progress())
    planned = run_stack(bench.task({}, check=True, prune=True, prune_limit=1), bench.world(), bench.progress())
    assert "failed" not in planned
    assert planned["notices"] == [
        "prune would delete 2 resources, more than prune_limit (1): an apply needs expected_digest " + planned["digest"]
    ]
    refused = run_stack(bench.task({}, prune=True, prune_limit=1), bench.world(), bench.progress())
    assert refused["failed"] is True and planned["digest"] in refused["msg"]
    other = run_stack(bench.task(NET, check=True, expected_digest="0" * 64), bench.world(), bench.progress())
    assert other["msg"].startswith("expected_digest is 000000000000…, but this plan's is ")
    approved = bench.task({}, prune=True, prune_limit=1, expected_digest=planned["digest"])
    assert run_stack(approved, bench.world(), bench.progress())["changed"] is True
    assert bench.cloud.things == {}


def test_absent_deletes_everything_in_the_order_of_its_references(bench: Bench) -> None:
    run_stack(bench.task(NET | NODE), bench.world(), bench.progress())
    result = run_stack(bench.task({}, state="absent"), bench.world(), bench.progress())
    assert (result["changed"], bench.cloud.things) == (True, {})
    assert [change["address"] for change in result["plan"]] == ["mem.node/web", "mem.net/main"]


def test_a_live_thing_may_have_fields_that_its_kind_does_not_declare(bench: Bench) -> None:
    run_stack(bench.task(NET), bench.world(), bench.progress())
    bench.cloud.strange = {"metadata.labels.app": "x", "sealed": Secret("s3cret-member", "7")}
    planned = run_stack(bench.task({}, state="absent", check=True), bench.world(), bench.progress())
    assert planned["plan"][0]["fields"]["metadata.labels.app"] == {"before": "x", "after": None}
    assert planned["plan"][0]["fields"]["sealed"] == {"before": "(secret 7)", "after": None}
    assert run_stack(bench.task({}, state="gathered"), bench.world(), bench.progress())["description"] == {
        "mem.net/main": {"cidr": "10.0.0.0/16", "rules": ["b", "a"]}
    }


def test_absent_cannot_be_narrowed(bench: Bench) -> None:
    run_stack(bench.task(NET | NODE), bench.world(), bench.progress())
    result = run_stack(bench.task({}, state="absent", components=["app"]), bench.world(), bench.progress())
    assert result["failed"] is True and "state: absent is about the whole stack" in result["msg"]
    assert sorted(bench.cloud.things) == ["net-1", "node-2"]


def test_gathered_is_a_description_that_present_accepts_without_a_change(bench: Bench) -> None:
    run_stack(bench.task(NET | NODE), bench.world(), bench.progress())
    gathered = run_stack(bench.task({}, state="gathered"), bench.world(), bench.progress())
    assert gathered["description"] == {
        "mem.net/main": {"cidr": "10.0.0.0/16", "rules": ["b", "a"]},
        "mem.node/web": {"net": "main", "size": 2},
    }
    again = run_stack(bench.task(gathered["description"]), bench.world(), bench.progress())
    assert (again["changed"], again["plan"]) == (False, [])


def test_rendered_needs_no_cloud_and_shows_references_as_a_template_writes_them(bench: Bench) -> None:
    bench.cloud.hidden = {"mem.net", "mem.node"}
    marker = Reference("mem.net/main", "host", "base64").marker()
    node = {"mem.node/web": {"net": "main", "size": 2, "note": f"at {marker}"}}
    result = run_stack(bench.task(NET | node, state="rendered"), bench.world(), bench.progress())
    assert result["description"]["mem.node/web"]["note"] == (
        "at {{ 'mem.net/main' | capstan.fullstack.ref('host', encode='base64') }}"
    )
    assert result["components"] == {"mem.net/main": "app", "mem.node/web": "app"}


def test_info_tells_outputs_members_the_lock_and_drift_without_a_write(bench: Bench) -> None:
    run_stack(bench.task(NET | NODE), bench.world(), bench.progress())
    bench.cloud.things["node-2"][2]["size"] = 4
    everything = ["outputs", "members", "lock", "drift"]
    result = run_info(bench.task(NET | NODE, gather=everything), bench.world(), bench.progress())
    assert result["changed"] is False
    assert result["outputs"]["mem.net/main"] == {"id": "net-1", "host": "net-1.example", "password": "(secret v1)"}
    assert result["members"][0] == {
        "address": "mem.net/main",
        "id": "net-1",
        "stack": "shop",
        "component": "app",
        "protect": False,
        "readiness": "ready",
    }
    assert result["lock"]["shop"]["released"] is True
    assert result["lock"]["shop"]["process"]["who"] == "olga"
    assert [(c["address"], c["fields"], c["disruption"]) for c in result["drift"]] == [
        ("mem.node/web", {"size": {"before": 4, "after": 2}}, ["reboot"])
    ]


def test_a_plan_that_is_too_large_for_a_result_goes_to_a_file(bench: Bench, tmp_path: Path) -> None:
    huge = {f"mem.net/n{n}": {"cidr": "x" * 1000} for n in range(300)}
    path = tmp_path / "sub" / "plan.json"
    result = run_stack(bench.task(huge, check=True, plan_path=str(path)), bench.world(), bench.progress())
    assert len(json.dumps(result)) < 500_000
    assert result["plan"][0] == {"address": "mem.net/n0", "action": "create"}
    assert result["notices"] == [f"the plan is too large for a task's result; all of it is in {path}"]
    assert len(json.loads(path.read_text())["plan"]) == 300
    assert path.stat().st_mode & 0o777 == 0o600
