"""What is said during a run, over a clock that the test moves."""

from __future__ import annotations

import json

from ansible_collections.capstan.fullstack.plugins.module_utils.engine.events import Event
from ansible_collections.capstan.fullstack.plugins.module_utils.stack.progress import (
    Progress,
    Timeline,
    Work,
    timeline_lines,
)


class Watched:
    """A progress whose lines are kept, and the hands of its clock."""

    def __init__(self, style: str = "text") -> None:
        self.now = 100.0
        self.lines: list[str] = []
        secrets = frozenset({"s3cret"})
        self.progress = Progress(
            lambda line: self.lines.append(line.text), style=style, secrets=secrets, clock=lambda: self.now
        )

    def happens(self, topic: str, address: str = "", action: str = "", text: str = "", after_s: float = 0.0) -> None:
        self.now += after_s
        self.progress(Event(topic, 0.0, address, action, text))  # type: ignore[arg-type]


def test_each_resource_gets_one_line_with_its_time_when_it_is_done() -> None:
    run = Watched()
    run.happens("started", "aws.vpc/main", "create")
    run.happens("started", "aws.eks_cluster/main", "update")
    run.happens("done", "aws.vpc/main", "create", after_s=1.25)
    run.happens("failed", "aws.eks_cluster/main", "update", text="UpdateConfig: Quota. s3cret", after_s=2.0)
    assert run.lines == [
        "    created aws.vpc/main  1.2 s",
        "     FAILED aws.eks_cluster/main  3.2 s: UpdateConfig: Quota. (secret)",
    ]


def test_a_silence_is_broken_by_what_is_going_on_and_since_when() -> None:
    run = Watched()
    run.happens("reading")
    run.now += 7.9
    run.progress.break_silence()
    assert run.lines == []
    run.now += 0.1
    run.progress.break_silence()
    assert run.lines == ["  still reading what is live … 8 s"]
    for name in ("a", "b", "c", "d", "e"):
        run.happens("started", f"aws.subnet/{name}", "create")
    run.happens("waiting", "aws.subnet/a", "create", text="pending")
    run.now += 9
    run.progress.break_silence()
    assert run.lines[1:] == [
        "  still creating aws.subnet/a … 9 s (pending), creating aws.subnet/b … 9 s, creating aws.subnet/c … 9 s "
        "and 2 more"
    ]


def test_a_line_about_something_else_is_no_silence() -> None:
    run = Watched()
    run.happens("started", "aws.eks_cluster/main", "create")
    run.happens("started", "aws.vpc/main", "create", after_s=6.0)
    run.happens("done", "aws.vpc/main", "create", after_s=1.0)
    run.now += 7.0
    run.progress.break_silence()
    assert len(run.lines) == 1


def test_json_is_one_object_a_line() -> None:
    run = Watched("json")
    run.happens("started", "aws.vpc/main", "create", after_s=1.5)
    run.now += 8.0
    run.progress.break_silence()
    assert [json.loads(line) for line in run.lines] == [
        {"capstan": "started", "at_s": 1.5, "address": "aws.vpc/main", "action": "create"},
        {"capstan": "waiting", "at_s": 9.5, "text": "creating aws.vpc/main … 8 s"},
    ]


def test_none_says_nothing() -> None:
    run = Watched("none")
    run.happens("started", "aws.vpc/main", "create")
    run.happens("done", "aws.vpc/main", "create", after_s=20.0)
    run.progress.break_silence()
    assert run.lines == []


def test_the_timeline_names_the_longest_path_and_the_slowest() -> None:
    timeline = Timeline(
        [
            Work("net/a", "create", 0.0, 1.0),
            Work("cluster/a", "create", 1.0, 9.0),
            Work("db/a", "create", 1.0, 7.0),
            Work("app/a", "create", 9.0, 12.0),
        ]
    )
    needs = {"cluster/a": ["net/a"], "db/a": ["net/a"], "app/a": ["cluster/a", "db/a"]}
    assert timeline_lines(timeline, needs, {"seconds": 12.0, "calls": 40, "writes": 4}) == [
        "Took 12.0 s: 40 calls, 4 writes.",
        "Longest path: net/a 1.0 s -> cluster/a 8.0 s -> app/a 3.0 s.",
        "Slowest: cluster/a 8.0 s, db/a 6.0 s, app/a 3.0 s.",
    ]
