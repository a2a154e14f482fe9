"""One amount, many spellings."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from ansible_collections.capstan.fullstack.plugins.module_utils.kube.quantity import amount, spelled


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1000m", "1"),
        ("1", 1),
        (0.5, "500m"),
        ("0.5Gi", "512Mi"),
        ("1e3", "1k"),
        ("1Gi", "1073741824"),
        ("100u", "0.1m"),
    ],
)
def test_two_spellings_of_one_amount_are_equal(one: Any, other: Any) -> None:
    assert spelled(one) == spelled(other)


@pytest.mark.parametrize(("one", "other"), [("1Gi", "1G"), ("1", "1m"), ("500m", "0.51"), ("2Mi", "2Ki")])
def test_different_amounts_differ(one: Any, other: Any) -> None:
    assert spelled(one) != spelled(other)


def test_an_amount_is_exact() -> None:
    assert amount("0.1") == Decimal("0.1")
    assert amount("3Ti") == 3 * 1024**4


def test_what_is_no_quantity_stays_as_it_is() -> None:
    assert amount("many") is None
    assert amount(True) is None
    assert spelled("many") == "many"
