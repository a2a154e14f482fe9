"""The servers that tests start."""

from __future__ import annotations

from app.backend.tests.servers import free_port


def test_no_port_is_given_to_two() -> None:
    given = [free_port() for _ in range(2000)]
    assert len(set(given)) == 2000
