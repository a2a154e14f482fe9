"""What the API server's answers mean to the engine. Bodies as Kubernetes 1.36 sends them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.errors import Category
from ansible_collections.capstan.fullstack.plugins.module_utils.kube.errors import (
    FieldConflict,
    error_from_answer,
    no_answer,
    unreachable,
)


def answer(status: int, reason: str, message: str, **details: Any) -> bytes:
    return json.dumps(
        {"kind": "Status", "code": status, "reason": reason, "message": message, "details": details}
    ).encode()


@pytest.mark.parametrize(
    ("status", "reason", "message", "category"),
    [
        (404, "NotFound", 'configmaps "a" not found', Category.ABSENT),
        (404, "NotFound", "the server could not find the requested resource", Category.WAIT),
        (403, "Forbidden", 'secrets is forbidden: User "x" cannot list resource "secrets"', Category.DENIED),
        (403, "Forbidden", 'pods "a" is forbidden: exceeded quota: q', Category.FATAL),
        (403, "Forbidden", "unable to create new content in namespace a because it is being terminated", Category.WAIT),
        (409, "AlreadyExists", 'configmaps "a" already exists', Category.EXISTS),
        (409, "Conflict", "the object has been modified; please apply your changes to the latest", Category.RETRY),
        (401, "Unauthorized", "Unauthorized", Category.DENIED),
        (422, "Invalid", 'Deployment.apps "a" is invalid: spec.selector: field is immutable', Category.FATAL),
        (429, "TooManyRequests", "the server has received too many requests", Category.RETRY),
        (503, "ServiceUnavailable", "etcdserver: leader changed", Category.RETRY),
        (504, "Timeout", "request timed out", Category.RETRY),
        (500, "InternalError", "an error on the server", Category.RETRY),
        (500, "InternalError", "failed to create typed patch object: expected string", Category.FATAL),
    ],
)
def test_an_answer_is_sorted_by_what_can_be_done_about_it(
    status: Any, reason: Any, message: Any, category: Any
) -> None:
    error = error_from_answer("apply configmaps/a in n", status, answer(status, reason, message))
    assert (error.code, error.category, error.message) == (reason, category, message)


def test_a_conflict_names_the_fields_and_their_managers() -> None:
    causes = [
        {"reason": "FieldManagerConflict", "field": ".spec.replicas", "message": 'conflict with "keda" using apps/v1'},
        {
            "reason": "FieldManagerConflict",
            "field": '.spec.template.spec.containers[name="a"].image',
            "message": 'conflict with "kubectl-set" using apps/v1',
        },
    ]
    error = error_from_answer("apply", 409, answer(409, "Conflict", "Apply failed with 2 conflicts", causes=causes))
    assert isinstance(error, FieldConflict)
    assert error.fields == (
        ("spec.replicas", "keda"),
        ("spec.template.spec.containers[a].image", "kubectl-set"),
    )
    assert (
        error.message == "spec.replicas is held by keda, spec.template.spec.containers[a].image is held by kubectl-set"
    )


def test_an_answer_that_is_no_status_is_told_by_its_number() -> None:
    error = error_from_answer("get", 502, b"<html>Bad gateway</html>")
    assert (error.code, error.category) == ("ServiceUnavailable", Category.RETRY)


def test_a_request_that_was_never_sent_may_be_repeated_and_one_without_an_answer_is_lost() -> None:
    assert unreachable("apply", "Connection refused").category is Category.RETRY
    assert no_answer("apply", "ReadTimeoutError").category is Category.LOST
