"""How users are written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from backend.entities import User
from backend.forms import copy_of, time_text, to_json, user_to_json
from hypothesis import example, given
from hypothesis import strategies as st

MOMENTS = st.datetimes(
    min_value=datetime(2, 1, 1),
    max_value=datetime(9998, 1, 1),
    timezones=st.just(UTC) | st.just(timezone(timedelta(hours=-5))),
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.integers(1, 2**62), TEXTS, TEXTS, MOMENTS)
@example(1, '"\\\u2028\x00\x1f/é😀', "ada@example.com", datetime(2026, 1, 1, tzinfo=UTC))
def test_a_copy_is_the_text_that_a_client_gets(number: int, name: str, email: str, at: datetime) -> None:
    user = User(id=number, name=name, email=email, status="active", created_at=at, updated_at=at, version=3)
    copy = copy_of(number, 3, name, email, "active", time_text(at), time_text(at))
    assert copy.body == to_json(user_to_json(user))


@given(MOMENTS)
def test_times_are_rfc_3339_in_utc_to_the_microsecond(at: datetime) -> None:
    assert time_text(at).endswith("Z") and len(time_text(at)) == 27
    assert datetime.fromisoformat(time_text(at)) == at
