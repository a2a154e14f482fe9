"""What a person does with the application, in a real browser against a running one."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import Page, expect


def test_the_address_shows_the_user_list_and_that_the_service_is_well(
    page: Page, stored: int, person: Any, shoot: Any
) -> None:
    page.goto("/")
    expect(page).to_have_title("Users · capstan")
    expect(page.get_by_role("heading", name="Users", exact=True)).to_be_visible()
    row = page.get_by_role("row").filter(has_text=person.email)
    expect(row).to_contain_text(person.name)
    expect(row).to_contain_text("Active")
    expect(page.get_by_label("Service: Operational")).to_be_visible()
    picture = shoot("list")
    assert picture.read_bytes()[:4] == b"\x89PNG" and picture.stat().st_size > 10_000


def test_a_user_is_created_in_the_form_and_stored(page: Page, person: Any, call: Any, shoot: Any) -> None:
    page.goto("/")
    page.get_by_role("link", name="New user").click()
    expect(page.get_by_label("Name")).to_be_focused()
    page.get_by_label("Name").fill(person.name)
    page.get_by_label("E-mail address").fill(person.email)
    page.get_by_text("Inactive", exact=True).last.click()
    shoot("create")
    page.get_by_role("button", name="Create user").click()
    expect(page.get_by_role("status")).to_have_text(f"{person.name} was created.")
    row = page.get_by_role("row").filter(has_text=person.email)
    expect(row).to_contain_text("Inactive")
    newest = call("GET", "/api/users?limit=1").body["items"][0]
    assert (newest["name"], newest["email"], newest["status"]) == (person.name, person.email, "inactive")


def test_a_user_is_edited_from_the_list(page: Page, stored: int, person: Any, call: Any, shoot: Any) -> None:
    page.goto("/")
    page.get_by_role("link", name=f"Edit {person.name}").click()
    expect(page).to_have_url(re.compile(rf"/users/{stored}$"))
    expect(page.get_by_label("Name")).to_have_value(person.name)
    page.get_by_label("Name").fill(f"{person.name} King")
    page.get_by_text("Suspended", exact=True).last.click()
    shoot("edit")
    page.get_by_role("button", name="Save changes").click()
    row = page.get_by_role("row").filter(has_text=person.email)
    expect(row).to_contain_text(f"{person.name} King")
    expect(row).to_contain_text("Suspended")
    user = call("GET", f"/api/users/{stored}").body
    assert (user["name"], user["status"]) == (f"{person.name} King", "suspended")


def test_a_user_is_deleted_only_after_a_yes(page: Page, stored: int, person: Any, call: Any, shoot: Any) -> None:
    page.goto("/")
    row = page.get_by_role("row").filter(has_text=person.email)
    row.get_by_role("button", name=f"Delete {person.name}").click()
    question = page.get_by_role("alertdialog", name=f"Delete {person.name}?")
    expect(question.get_by_role("button", name="Cancel")).to_be_focused()
    shoot("delete")
    page.keyboard.press("Escape")
    expect(question).to_be_hidden()
    assert call("GET", f"/api/users/{stored}").status == 200
    row.get_by_role("button", name=f"Delete {person.name}").click()
    question.get_by_role("button", name="Delete user").click()
    expect(row).to_have_count(0)
    assert call("GET", f"/api/users/{stored}").status == 404


def test_the_second_read_of_a_user_comes_from_the_cache(page: Page, stored: int) -> None:
    page.goto(f"/users/{stored}")
    fact = page.locator("dt", has_text="Read from").locator("+ dd")
    expect(fact).to_have_text("Database")
    page.get_by_role("button", name="Cancel").click()
    with page.expect_response(f"**/api/users/{stored}") as read:
        page.goto(f"/users/{stored}")
    assert read.value.headers["x-cache"] == "hit"
    expect(fact).to_have_text("Cache")


def test_a_taken_address_is_told_beside_its_field(page: Page, stored: int, person: Any, call: Any) -> None:
    page.goto("/users/new")
    page.get_by_label("Name").fill("Somebody else")
    page.get_by_label("E-mail address").fill(person.email.upper())
    page.get_by_role("button", name="Create user").click()
    expect(page.get_by_label("E-mail address")).to_have_accessible_description(
        "This e-mail address belongs to another user."
    )
    assert [u["name"] for u in call("GET", "/api/users?limit=200").body["items"]].count("Somebody else") == 0


def test_an_empty_form_is_not_sent_and_the_first_field_has_the_focus(page: Page) -> None:
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    page.goto("/users/new")
    page.get_by_role("button", name="Create user").click()
    expect(page.get_by_label("Name")).to_have_accessible_description("The name is required.")
    expect(page.get_by_label("Name")).to_be_focused()
    assert sent == []


def test_the_page_fits_a_phone(page: Page, stored: int, person: Any, shoot: Any) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto("/")
    expect(page.get_by_text(person.email)).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    shoot("phone")


def test_a_dark_desktop_gets_a_dark_page(page: Page, stored: int, shoot: Any) -> None:
    page.emulate_media(color_scheme="dark")
    page.goto("/")
    expect(page.get_by_role("table")).to_be_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(14, 17, 26)"
    shoot("dark")


def test_the_web_server_caches_what_never_changes_and_nothing_else(page: Page, call: Any) -> None:
    with page.expect_response("**/assets/*.js") as script:
        page.goto("/users/new")
    assert script.value.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert script.value.headers["content-encoding"] == "gzip"
    index = call("GET", "/some/deep/link")
    assert (index.status, index.headers["cache-control"]) == (200, "no-cache")
    assert "default-src 'self'" in index.headers["content-security-policy"]
    missing = call("GET", "/assets/gone.js")
    assert (missing.status, missing.headers["cache-control"]) == (404, "no-store")


def test_the_web_server_passes_health_on_but_no_management(call: Any) -> None:
    health = call("GET", "/actuator/health")
    assert (health.status, health.body["status"]) == (200, "UP")
    up = {"status": "UP"}
    assert health.body["components"] == {"db": up, "migrations": up, "redis": up, "diskSpace": up}
    assert call("GET", "/actuator/info").status == 404
    assert len(health.headers["x-correlation-id"]) == 32
