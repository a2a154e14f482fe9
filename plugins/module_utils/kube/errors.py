"""The API server's answers as errors of the engine, sorted by tables."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..engine.calls import Rule, sorted_error
from ..engine.errors import ApiError, Category
from .paths import path_of_cause

RULES: tuple[Rule, ...] = (
    Rule(Category.WAIT, code="Forbidden", message="is being terminated"),
    Rule(Category.WAIT, code="Forbidden", message="error looking up service account"),
    Rule(Category.DENIED, code="Unauthorized"),
    Rule(Category.DENIED, code="Forbidden", message=" cannot ", remedy="Grant this verb in the cluster's RBAC"),
    Rule(Category.FATAL, code="Forbidden"),
    Rule(Category.EXISTS, code="AlreadyExists"),
    Rule(Category.WAIT, code="NotFound", message="the server could not find the requested resource"),
    Rule(Category.ABSENT, code="NotFound"),
    Rule(Category.RETRY, code="Conflict", message="the object has been modified"),
    Rule(Category.RETRY, code="TooManyRequests"),
    Rule(Category.RETRY, code="ServerTimeout"),
    Rule(Category.RETRY, code="Timeout"),
    Rule(Category.RETRY, code="ServiceUnavailable"),
    Rule(Category.FATAL, code="InternalError", message="failed to create typed patch object"),  # a wrong type
    Rule(Category.RETRY, code="InternalError"),
    Rule(Category.RETRY, code="StorageReadinessFailed"),
    Rule(
        Category.RETRY,
        code="Unreachable",
        remedy="Check the address, the network path to it and kube_proxy",
    ),
    Rule(Category.LOST, code="NoAnswer"),
    Rule(Category.FATAL, code="UntrustedCertificate", remedy="Check the cluster's CA and the address it is reached at"),
)

_BY_STATUS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    410: "Expired",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
    502: "ServiceUnavailable",
    503: "ServiceUnavailable",
    504: "Timeout",
}


@dataclass(eq=False)
class FieldConflict(ApiError):
    """An apply that would take fields out of another manager's hands. `fields`: (field, manager)."""

    fields: tuple[tuple[str, str], ...] = ()


def error_from_answer(operation: str, status: int, body: bytes) -> ApiError:
    """The error that an answer with `status` >= 400 means."""
    answer = _parsed(body)
    code = str(answer.get("reason") or _BY_STATUS.get(status, f"HTTP {status}"))
    if code == "Unknown" or code.startswith("HTTP"):
        code = _BY_STATUS.get(status, code)
    message = str(answer.get("message") or body[:300].decode(errors="replace"))
    conflicts = _conflicts(answer)
    if conflicts:
        named = ", ".join(f"{path} is held by {manager}" for path, manager in conflicts)
        return FieldConflict(operation, code, named, fields=conflicts)
    return sorted_error(ApiError(operation, code, message), RULES)


def unauthorized(server: str, identity: str, remedy: str) -> ApiError:
    """The cluster does not know who asks: the same whatever was asked for, so that it is said once."""
    words = f"The cluster at {server} does not accept {identity}"
    return sorted_error(ApiError("connect", "Unauthorized", words, remedy=remedy), RULES)


def unreachable(operation: str, message: str) -> ApiError:
    """The request was never sent."""
    return sorted_error(ApiError(operation, "Unreachable", message), RULES)


def no_answer(operation: str, message: str) -> ApiError:
    """The request was sent, perhaps, and nothing came back."""
    return sorted_error(ApiError(operation, "NoAnswer", message), RULES)


def untrusted(operation: str, message: str) -> ApiError:
    """The server's certificate is not what the CA says."""
    return sorted_error(ApiError(operation, "UntrustedCertificate", message), RULES)


def _parsed(body: bytes) -> Mapping[str, Any]:
    try:
        answer = json.loads(body)
    except ValueError:
        return {}
    return answer if isinstance(answer, Mapping) else {}


def _conflicts(answer: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    causes = (answer.get("details") or {}).get("causes") or ()
    found = []
    for cause in causes:
        if cause.get("reason") != "FieldManagerConflict":
            continue
        manager = re.search(r'"([^"]+)"', str(cause.get("message", "")))
        found.append((path_of_cause(str(cause.get("field", ""))), manager.group(1) if manager else "somebody"))
    return tuple(found)
