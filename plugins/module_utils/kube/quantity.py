"""Kubernetes quantities ("500m", "0.5Gi", "1e3") as exact numbers, so that two spellings of one amount are equal."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

_QUANTITY = re.compile(r"^([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d+)|([numkMGTPE]|[KMGTPE]i)?)$")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}


def amount(value: Any) -> Decimal | None:
    """The number that a quantity means; None for what is no quantity."""
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return Decimal(str(value))
    match = _QUANTITY.match(value.strip()) if isinstance(value, str) else None
    if match is None:
        return None
    digits, exponent, suffix = match.groups()
    if exponent:
        return Decimal(f"{digits}{exponent}")
    if suffix in _BINARY:
        return Decimal(digits) * 1024 ** _BINARY[suffix]
    return Decimal(digits).scaleb(_DECIMAL[suffix or ""])


def spelled(value: Any) -> str:
    """One spelling for every quantity of the same amount."""
    number = amount(value)
    return str(value) if number is None else f"{number.normalize():f}"
