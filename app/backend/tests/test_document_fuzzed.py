"""Schemathesis over the whole document: whatever a client makes of it, no answer is one that it does not tell of.

CAPSTAN_FUZZ_EXAMPLES=500 tries more of each operation.
"""

from __future__ import annotations

import os
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import APIOperation, GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from app.backend.tests.auth_help import join

EXAMPLES = int(os.environ.get("CAPSTAN_FUZZ_EXAMPLES", "12"))
# No schema tells which cursors were given out, which keys were used, or that a password must not be the name.
EXCLUDED = [positive_data_acceptance]
TOO_LONG = ["413", "414", "431"]  # refuses what is wrong as well as any other answer


def failures(operation: APIOperation, mode: GenerationMode, headers: dict[str, str], **fixed: Any) -> str:
    """What is wrong with answers to this operation; "" where nothing is."""

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(mode, **fixed))
    def each(case: Any) -> None:
        case.call_and_validate(headers=headers, excluded_checks=EXCLUDED)

    try:
        each()
    except Unsatisfiable:
        # It takes nothing that could be wrong.
        assert mode is GenerationMode.NEGATIVE and not operation.body and not list(operation.iter_parameters())
    except (Exception, BaseExceptionGroup) as error:
        return f"{operation.label}: {str(error)[:2000]}"
    return ""


@pytest.mark.parametrize("role", ["nobody", "user", "admin"])
@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
def test_no_answer_is_one_that_the_document_does_not_tell_of(
    role: str, mode: GenerationMode, start: Any, sql: Any
) -> None:
    api = start(AUTH_REQUIRED="true").api
    schema = schemathesis.openapi.from_url(f"{api.base}/api/openapi.json")
    rejection = schema.config.checks.negative_data_rejection
    rejection.expected_statuses = [*rejection.expected_statuses, *TOO_LONG]
    found = []
    for number, result in enumerate(schema.get_all_operations()):
        operation, headers = result.ok(), {}
        other = join(api, f"Other{number}")
        if role != "nobody":
            # Somebody new each time: some operations end a login, or take the user away.
            person = join(api, f"{role.title()}{number}", sql, role)
            headers = {"Authorization": f"Bearer {person.tokens['access_token']}"}
        found.append(failures(operation, mode, headers))
        if "{user_id}" in operation.path:
            found.append(failures(operation, mode, headers, path_parameters={"user_id": other.id}))
    assert len(found) > 20
    assert not any(found), "\n\n".join(filter(None, found))
