"""Policy documents are compared by meaning."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.capstan.fullstack.plugins.module_utils.aws.shapes import policy


def _with(**statement: Any) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (_with(Action="s3:Get"), _with(Action=["s3:Get"])),
        (_with(Action=["b", "a"]), _with(Action=["a", "b"])),
        (_with(Action="a"), json.dumps(_with(Action="a"), indent=2)),
        (_with(Action="a"), "%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%5B%7B%22Effect%22%3A%22Allow%22"
         "%2C%22Action%22%3A%22a%22%7D%5D%7D"),
        (_with(Principal={"AWS": "123456789012"}), _with(Principal={"AWS": "arn:aws:iam::123456789012:root"})),
        (_with(Principal="*"), _with(Principal={"AWS": "*"})),
        (_with(Sid="", Action="a"), _with(Action="a")),
        (
            _with(Condition={"Bool": {"aws:SecureTransport": False}}),
            _with(Condition={"Bool": {"aws:SecureTransport": "false"}}),
        ),
        ({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "a"}}, _with(Action="a")),
    ],
    ids=["single", "order", "text", "quoted", "root", "anybody", "empty Sid", "boolean", "one statement"],
)  # fmt: skip
def test_two_spellings_of_one_policy_are_the_same(one: Any, other: Any) -> None:
    assert policy(one) == policy(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (_with(Action="a"), _with(Action="b")),
        (_with(Action="a"), _with(NotAction="a")),
        (_with(Action="a"), {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "a"}]}),
        (_with(Principal={"AWS": "*"}), _with(Principal={"Service": "*"})),
        (_with(Action="a"), {"Version": "2008-10-17", "Statement": [{"Effect": "Allow", "Action": "a"}]}),
        (_with(Action="a", Sid="one"), _with(Action="a", Sid="two")),
    ],
    ids=["action", "negation", "effect", "principal", "version", "Sid"],
)
def test_two_policies_that_say_different_things_differ(one: Any, other: Any) -> None:
    assert policy(one) != policy(other)


def test_what_is_no_policy_stays_as_it_is() -> None:
    assert policy(None) is None
    assert policy("not json") == "not json"
