"""The list of users: its order, what narrows it, and pages that stay right while users come and go."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from backend.config import Database
from backend.entities import SORTS, Listing, Origin, Page, User, UserFields
from backend.observability.instruments import Instruments
from backend.repository.pool import Pool
from backend.repository.search import LONGEST, beginnings
from backend.repository.users import UserRepository
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def people(api: Any, sql: Any) -> Any:
    """Three users, with the moments that the tests speak of."""
    for number, (name, status) in enumerate((("Ada Lovelace", "active"), ("bob", "inactive"), ("Cy Ada", "suspended"))):
        email = name.lower().replace(" ", ".") + "@example.com"
        user = api("POST", "/api/users", {"name": name, "email": email, "status": status}).json
        at = NOON + timedelta(hours=number)
        sql("UPDATE users SET created_at = %s, updated_at = %s WHERE id = %s", at, NOON - (at - NOON), user["id"])
    return api


def names(api: Any, query: str) -> list[str]:
    answer = api("GET", f"/api/users?{query}")
    assert answer.status == 200
    return [user["name"] for user in answer.json["items"]]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["Cy Ada", "bob", "Ada Lovelace"]),
        ("sort=-created_at", ["Cy Ada", "bob", "Ada Lovelace"]),
        ("sort=created_at", ["Ada Lovelace", "bob", "Cy Ada"]),
        ("sort=updated_at", ["Cy Ada", "bob", "Ada Lovelace"]),
        ("sort=-updated_at", ["Ada Lovelace", "bob", "Cy Ada"]),
        ("sort=name", ["Ada Lovelace", "Cy Ada", "bob"]),
        ("sort=-name", ["bob", "Cy Ada", "Ada Lovelace"]),
        ("status=inactive", ["bob"]),
        ("status=inactive,active", ["bob", "Ada Lovelace"]),
        ("created_from=2026-03-01T13:00:00Z", ["Cy Ada", "bob"]),
        ("created_to=2026-03-01T13:00:00Z", ["Ada Lovelace"]),
        ("created_from=2026-03-01T13:00:00%2B00:00&created_to=2026-03-01T14:00:00Z", ["bob"]),
        ("created_from=2026-03-01T15:30:00.000001%2B02:30", ["Cy Ada"]),
        ("search=ada&sort=name&status=suspended", ["Cy Ada"]),
    ],
)
def test_a_list_is_sorted_and_narrowed_as_asked(people: Any, query: str, found: list[str]) -> None:
    assert names(people, query) == found


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("ada", ["Cy Ada", "Ada Lovelace"]),
        ("ADA", ["Cy Ada", "Ada Lovelace"]),
        ("lov ad", ["Ada Lovelace"]),
        ("da", []),
        ("ada nobody", []),
        ("Ada.Lovelace@Example.COM", ["Ada Lovelace"]),
        ("ada.lovelace@example.co", []),
        ("...", []),
        ("%", []),
    ],
)
def test_a_search_finds_an_address_as_a_whole_and_words_by_their_beginnings(
    people: Any, search: str, found: list[str]
) -> None:
    assert names(people, f"search={quote(search)}") == found


@pytest.mark.parametrize(
    ("name", "search"),
    [
        ("Ünal Straße", "ÜN STRASS"),
        ("Ὀδυσσεύς", "ὀδυσσεύσ"),
        ("王 小明", "小"),
        ("Jean-Luc O'Hara", "luc hara"),
        ("ﬁona", "Fi"),
        ("x" * 90, "X" * 60),
    ],
)
def test_a_search_knows_the_letters_of_all_scripts(api: Any, name: str, search: str) -> None:
    api("POST", "/api/users", {"name": name, "email": "one@example.com"})
    api("POST", "/api/users", {"name": "Somebody Else", "email": "two@example.com"})
    assert names(api, f"search={quote(search)}") == [name]


def test_a_user_is_found_by_the_name_after_a_change_and_not_by_the_one_before(people: Any) -> None:
    people("PUT", "/api/users/2", {"name": "Robert", "email": "bob@example.com"})
    assert (names(people, "search=rob"), names(people, "search=bob")) == (["Robert"], [])


def test_a_row_holds_no_more_than_the_beginnings_that_can_be_asked_for() -> None:
    assert beginnings("Ada ada AL") == ["a", "ad", "ada", "al"]
    assert max(map(len, beginnings("x" * 100))) == LONGEST


@pytest.mark.parametrize(
    ("query", "field", "code"),
    [
        ("sort=email", "sort", "not_a_choice"),
        ("status=active,gone", "status", "not_a_choice"),
        ("status=", "status", "not_a_choice"),
        ("search=", "search", "required"),
        ("search=" + "x" * 255, "search", "too_long"),
        ("search=%00", "search", "not_printable"),
        ("search=%ff", "search", "not_printable"),
        ("created_from=2026-03-01", "created_from", "not_a_moment"),
        ("created_from=2026-03-01T12:00:00", "created_from", "not_a_moment"),
        ("created_from=2026-03-01T12:00:00+02:00", "created_from", "not_a_moment"),
        ("created_to=2026-02-30T12:00:00Z", "created_to", "not_a_moment"),
        ("created_to=0000-01-01T00:00:00Z", "created_to", "not_a_moment"),
        ("created_to=0001-01-01T00:00:00%2B20:00", "created_to", "not_a_moment"),
        ("cursor=", "cursor", "required"),
        ("cursor=5", "cursor", "not_a_cursor"),
        ("cursor=%C3%BC", "cursor", "not_a_cursor"),
    ],
)
def test_what_a_list_does_not_know_is_refused_by_name(api: Any, query: str, field: str, code: str) -> None:
    answer = api("GET", f"/api/users?{query}")
    assert (answer.status, answer.json["code"], answer.json["errors"][0]["field"]) == (400, code, field)


@pytest.mark.parametrize(("moment", "later"), [("2026-03-02T12:00:00%2B23:59", 2), ("2026-02-28T14:00:00-23:59", 1)])
def test_a_moment_may_be_written_with_any_offset(people: Any, moment: str, later: int) -> None:
    assert len(names(people, f"created_from={moment}")) == later
    assert len(names(people, f"created_to={moment}")) == 3 - later


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59.999999999-14:00"])
def test_the_first_and_the_last_moment_that_can_be_written_are_taken(people: Any, moment: str) -> None:
    assert len(names(people, f"created_from={moment}")) + len(names(people, f"created_to={moment}")) == 3


# -- pages


def followed(api: Any, address: str) -> Iterator[list[int]]:
    """The ids on each page, going along the links."""
    for _ in range(10):
        answer = api("GET", address)
        assert answer.status == 200
        yield [user["id"] for user in answer.json["items"]]
        linked = dict(re.findall(r'<([^>]*)>; rel="(\w+)"', answer.headers["Link"]))
        address = next((target for target, relation in linked.items() if relation == "next"), "")
        assert bool(address) == (answer.json["next_cursor"] is not None)
        if not address:
            return
    pytest.fail("the list has no end")


def test_links_lead_through_the_list_and_keep_what_narrows_it(people: Any) -> None:
    query = "sort=name&status=active,suspended&search=Ada&limit=1"
    answer = people("GET", f"/api/users?{query}&unknown=1")
    kept = "sort=name&status=active%2Csuspended&search=Ada&limit=1"
    cursor = answer.json["next_cursor"]
    assert answer.headers["Link"] == (
        f'</api/users?{kept}&cursor={cursor}>; rel="next", </api/users?{kept}>; rel="first"'
    )
    assert list(followed(people, f"/api/users?{query}")) == [[1], [3]]
    last = people("GET", f"/api/users?{query}&cursor={cursor}")
    assert last.headers["Link"] == f'</api/users?{kept}>; rel="first"'
    assert people("GET", "/api/users").headers["Link"] == '</api/users>; rel="first"'


@pytest.mark.parametrize("change", ["sort=created_at", "status=active", "search=a", "created_to=2030-01-01T00:00:00Z"])
def test_a_cursor_of_another_list_is_refused_and_leads_to_no_wrong_page(people: Any, change: str) -> None:
    cursor = people("GET", "/api/users?limit=1").json["next_cursor"]
    assert names(people, f"limit=2&cursor={cursor}") == ["bob", "Ada Lovelace"], "another limit is the same list"
    answer = people("GET", f"/api/users?limit=1&cursor={cursor}&{change}")
    assert (answer.status, answer.json["code"]) == (400, "cursor_of_another_list")


def _encoded(content: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "changed",
    [["soon", 1], ["0001-01-01T00:00:00+14:00", 1], [7, 1], ["\0", 1], ["\ud800", 1], ["x", 2**63], ["x", True], ["x"]],
)
@pytest.mark.parametrize("sort", ["created_at", "name"])
def test_a_cursor_that_somebody_wrote_is_refused_or_a_place_like_any_other(
    people: Any, sort: str, changed: list[Any]
) -> None:
    cursor = people("GET", f"/api/users?sort={sort}&limit=1").json["next_cursor"]
    mark = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))[0]
    answer = people("GET", f"/api/users?sort={sort}&cursor={_encoded([mark, *changed])}")
    assert (answer.status, answer.json.get("code")) == (400, "not_a_cursor") or (sort == "name" and changed[1:] == [1])


@pytest.fixture
def repository(database: Database) -> Iterator[UserRepository]:
    pool = Pool(database)
    yield UserRepository(pool, Instruments().invocations)
    pool.close()


# Few values each, so that many rows are equal in what they are sorted by.
ROWS = st.lists(
    st.tuples(
        st.sampled_from(["a", "Ab", "ab", "b", "é", "王"]),
        st.sampled_from(["active", "inactive", "suspended"]),
        st.integers(0, 3),
        st.integers(0, 3),
    ),
    max_size=12,
)
FILTERS = st.builds(
    Listing,
    sort=st.sampled_from(SORTS),
    statuses=st.none() | st.just(("active",)) | st.just(("active", "inactive")),
    created_from=st.none() | st.integers(0, 3).map(lambda number: NOON + timedelta(seconds=number)),
    created_to=st.none() | st.integers(0, 3).map(lambda number: NOON + timedelta(seconds=number)),
    search=st.none() | st.sampled_from(["a", "AB", "é"]),
)
INSERT = "INSERT INTO users (name, email, status, created_at, updated_at, beginnings) VALUES (%s, %s, %s, %s, %s, %s)"


def _insert(sql: Any, row: tuple[str, str, int, int], number: int) -> None:
    name, status, created, updated = row
    times = NOON + timedelta(seconds=created), NOON + timedelta(seconds=updated)
    sql(INSERT, name, f"user{number}@example.com", status, *times, beginnings(name))


def _in_list(user: User, listing: Listing) -> bool:
    """Said once more, without SQL."""
    return (
        (listing.statuses is None or user.status in listing.statuses)
        and (listing.created_from is None or user.created_at >= listing.created_from)
        and (listing.created_to is None or user.created_at < listing.created_to)
        and (listing.search is None or user.name.casefold().startswith(listing.search.casefold()))
    )


def _sorted(users: list[User], sort: str) -> list[int]:
    by = sort.removeprefix("-")
    return [u.id for u in sorted(users, key=lambda u: (getattr(u, by), u.id), reverse=sort.startswith("-"))]


def _pages(repository: UserRepository, listing: Listing, limit: int, between: Callable[[], None]) -> list[Page]:
    pages, after = [], None
    while not pages or after is not None:
        assert len(pages) < 100, "the list has no end"
        pages.append(repository.list(listing, limit, after))
        after = pages[-1].end
        between()
    return pages


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS, listing=FILTERS, limit=st.integers(1, 5), others=st.lists(st.tuples(st.booleans(), ROWS), max_size=4))
def test_all_pages_together_are_the_sorted_list_also_while_others_write(
    repository: UserRepository, sql: Any, rows: Any, listing: Listing, limit: int, others: Any
) -> None:
    sql("TRUNCATE users CASCADE")
    for number, row in enumerate(rows):
        _insert(sql, row, number)
    before = list(repository.list(Listing(), 200).users)
    writes = iter(enumerate(others))

    def between() -> None:
        round_, (deletes, new) = next(writes, (0, (False, [])))
        if deletes:
            sql("DELETE FROM users WHERE id = (SELECT id FROM users ORDER BY md5(id::text) LIMIT 1)")
        for number, row in enumerate(new):
            _insert(sql, row, 1000 * (round_ + 1) + number)

    pages = _pages(repository, listing, limit, between)
    seen = [user for page in pages for user in page.users]
    ids = [user.id for user in seen]
    stayed = {row[0] for row in sql("SELECT id FROM users")}
    wanted = [user for user in before if _in_list(user, listing)]

    assert all(len(page.users) == limit for page in pages[:-1]), "only the last page is short"
    assert ids == _sorted(seen, listing.sort), "in order, nobody twice"
    assert all(_in_list(user, listing) for user in seen)
    assert {user.id for user in wanted} & stayed <= set(ids), "nobody who was there all the time is left out"
    if not any(deletes or new for deletes, new in others):
        assert ids == _sorted(wanted, listing.sort)


def test_a_user_may_be_created_by_the_release_before(sql: Any, repository: UserRepository) -> None:
    sql("INSERT INTO users (name, email, status) VALUES ('Ada', 'ada@example.com', 'active')")
    (user,) = repository.list(Listing(), 10).users
    repository.update(user.id, UserFields(name="Ada", email="ada@example.com", status="active"), Origin())
    assert len(repository.list(Listing(search="ada"), 10).users) == 1
