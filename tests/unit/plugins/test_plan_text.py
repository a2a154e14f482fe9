"""A plan as its reader sees it."""

from __future__ import annotations

from typing import Any

from ansible_collections.capstan.fullstack.plugins.module_utils.stack.plan_text import plan_lines, summary
from ansible_collections.capstan.fullstack.plugins.module_utils.stack.shown import value_lines


def text(*entries: dict[str, Any], with_fields: bool = True) -> str:
    return "\n".join(line.text for line in plan_lines(entries, with_fields=with_fields))


def test_a_creation_is_one_line_its_fields_are_for_the_diff() -> None:
    fields = {"cidr": {"before": None, "after": "10.0.0.0/16"}, "vpc": {"before": None, "after": "(known after apply)"}}
    assert text({"address": "aws.subnet/a", "action": "create", "fields": fields}) == "    + aws.subnet/a"


def test_an_update_shows_only_what_differs_in_lists_mappings_and_long_text() -> None:
    fields = {
        "size": {"before": 2, "after": 3},
        "rules": {"before": ["a", "b"], "after": ["b", "c"]},
        "tags": {"before": {"a": "1", "b": "2"}, "after": {"a": "1", "b": "3"}},
        "policy": {"before": "one\ntwo\n", "after": "one\nthree\n"},
        "zones": {"before": ["x", "y"], "after": ["y", "x"]},
    }
    entry = {"address": "mem.x/y", "action": "update", "fields": fields, "disruption": ["reboot"]}
    assert text(entry) == (
        "    ~ mem.x/y  disruption: reboot\n"
        "        size: 2 -> 3\n"
        "        rules: - a\n"
        "        rules: + c\n"
        "        tags.b: 2 -> 3\n"
        "        policy:\n"
        "          @@ -1,2 +1,2 @@\n"
        "           one\n"
        "          -two\n"
        "          +three\n"
        '        zones: ["x", "y"] -> ["y", "x"]'
    )


def test_a_replacement_says_why_and_what_it_destroys() -> None:
    entry = {
        "address": "aws.db_instance/main",
        "action": "replace",
        "because": ["engine"],
        "data_at_stake": "the database",
        "fields": {"engine": {"before": "mysql", "after": "postgres"}},
    }
    assert text(entry) == (
        "  -/+ aws.db_instance/main\n"
        "        # replaced because of engine\n"
        "        # destroys the database\n"
        "        engine: mysql -> postgres"
    )


def test_what_others_moved_and_what_is_foreign_is_shown_as_staying() -> None:
    entry = {
        "address": "aws.eks_nodegroup/main",
        "action": "none",
        "kept": {"size": {"live": 5, "described": 3, "moved_by": "cluster-autoscaler"}},
        "foreign": {"rules": [{"port": 22}]},
    }
    assert text(entry) == (
        "      aws.eks_nodegroup/main\n"
        "        size: stays 5, moved by cluster-autoscaler (described: 3)\n"
        '        rules: foreign, kept: {"port": 22}'
    )


def test_a_delete_that_prune_would_do_is_told_from_one_that_is_done() -> None:
    held = {"address": "a.b/c", "action": "delete", "held": "it is no longer described; prune: true deletes it"}
    assert text(held, {"address": "a.b/d", "action": "delete"}) == (
        "   -? a.b/c  it is no longer described; prune: true deletes it\n    - a.b/d"
    )


def test_without_fields_only_heads_reasons_and_what_stays_are_left() -> None:
    entry = {"address": "a.b/c", "action": "update", "fields": {"x": {"before": 1, "after": 2}}}
    assert text(entry, with_fields=False) == "    ~ a.b/c"


def test_a_long_value_is_cut_and_says_how_long_it_is() -> None:
    fields = {"text": {"before": None, "after": "x" * 500}}
    assert text({"address": "a.b/c", "action": "update", "fields": fields}).endswith("x… (500 characters)")


def test_the_summary_counts_every_action() -> None:
    counts = {"create": 41, "update": 2, "replace": 0, "delete": 1, "none": 7, "adopt": 0, "held": 3}
    assert summary(counts) == (
        "Plan: 41 to create, 2 to update, 0 to replace, 1 to delete, 3 no longer described (prune is off), 7 unchanged."
    )
    assert summary({"create": 0, "none": 7}) == "No changes: all 7 resources are as described."
    assert summary({"create": 41, "adopt": 1}, done=True) == (
        "Done: 41 created, 0 updated, 0 replaced, 0 deleted, 1 adopted."
    )


def test_a_value_becomes_lines_that_can_be_read_one_by_one() -> None:
    value = {
        "team": "shop",
        "rules": [{"port": 22}, "all"],
        "script": "one\ntwo",
        "none": None,
        "off": False,
        "empty": "",
    }
    assert list(value_lines("x", value)) == [
        "x.team: shop",
        'x.rules[]: {"port": 22}',
        "x.rules[]: all",
        "x.script: |",
        "  one",
        "  two",
        "x.off: false",
        'x.empty: ""',
    ]
