"""Shapes that several kinds share: policy documents, and fields that only steer. Pure."""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Mapping
from typing import Any

from ..engine.values import Unset

# Where IAM and the services that borrowed its language take one string for a list of one.
_LISTS = frozenset({"Action", "NotAction", "Resource", "NotResource", "AWS", "Service", "Federated", "CanonicalUser"})


def given(value: Any, otherwise: Any = None) -> Any:
    """A field's value, `otherwise` when the description does not say it."""
    return otherwise if isinstance(value, Unset) else value


def never_compared(value: Any) -> None:
    """Normalises a field that steers what we do and is no property of the live thing: never a difference."""


def policy(value: Any) -> Any:
    """A policy document in one form, whichever of its equal spellings `value` is: a mapping, or JSON, perhaps quoted.

    Statements become a list, single strings lists, lists of strings sorted, an account's root one of two spellings.
    Text that is no JSON, and None, are returned as they are.
    """
    if isinstance(value, str):
        value = _parsed(value)
    if not isinstance(value, Mapping):
        return value
    document = {"Version": "2008-10-17", **value}
    statements = document.get("Statement", [])
    if isinstance(statements, Mapping):
        statements = [statements]
    document["Statement"] = [_statement(statement) for statement in statements]
    return document


def policy_text(value: Any) -> str:
    """A policy document as the API takes it: compact JSON."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def document(value: Any) -> Any:
    """JSON text as data; data as it is."""
    return _parsed(value) if isinstance(value, str) else value


def _parsed(text: str) -> Any:
    try:
        return json.loads(text if text.lstrip().startswith("{") else urllib.parse.unquote(text))
    except ValueError:
        return text


def _statement(statement: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"Effect": "Allow"}
    for key, value in statement.items():
        if key in ("Principal", "NotPrincipal"):
            found[key] = _principal(value)
        elif key == "Condition":
            found[key] = {operator: _condition(tests) for operator, tests in value.items()}
        elif key in _LISTS:
            found[key] = _sorted(value)
        elif key != "Sid" or value:
            found[key] = value
    return found


def _principal(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return {"AWS": ["*"]} if value == "*" else value
    return {kind: sorted(map(_account_root, _sorted(names))) for kind, names in value.items()}


def _account_root(name: Any) -> str:
    """A bare account number means its root."""
    text = str(name)
    return f"arn:aws:iam::{text}:root" if len(text) == 12 and text.isdigit() else text


def _condition(tests: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _sorted(value) for key, value in tests.items()}


def _sorted(value: Any) -> list[str]:
    items = value if isinstance(value, (list, tuple)) else [value]
    return sorted(str(item).lower() if isinstance(item, bool) else str(item) for item in items)
