"""The real page in a real browser, behind its own nginx, with a service that asks who is there."""

from __future__ import annotations

import os
import re
import subprocess
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Response, Route, expect

from app.backend.tests import page as nginx
from app.backend.tests.auth_help import PASSWORD
from app.backend.tests.servers import scratch_folder, until
from tests.e2e.conftest import open_browser

SCREENSHOTS = Path(os.environ.get("CAPSTAN_SCREENSHOTS", "test-results/screenshots"))


@pytest.fixture(scope="session")
def bundle() -> Path:
    """The page, built from its sources."""
    subprocess.run([nginx.FRONTEND / "build.sh"], check=True, capture_output=True)
    return nginx.FRONTEND / "dist"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, once for all tests."""
    with open_browser() as browser:
        yield browser


@dataclass(frozen=True)
class Site:
    """The page with its service, and an operator's hand."""

    url: str
    api: Any
    launch: Callable[..., Any]

    def join(self, name: str, role: str = "user") -> str:
        """Somebody with an account; their address."""
        email = f"{name.lower().replace(' ', '.')}@example.com"
        made = self.api("POST", "/api/auth/register", {"name": name, "email": email, "password": PASSWORD})
        assert made.status == 201, made.content
        if role != "user":
            self.give(email, role)
        return email

    def give(self, email: str, role: str) -> None:
        """Another role, as an operator gives it."""
        status, _, errors = self.launch("role", email, role, module="backend.accounts").ended()
        assert status == 0, errors


@pytest.fixture
def serve(launch: Any, bundle: Path) -> Iterator[Callable[..., Site]]:
    """Starts service and page; keyword arguments change the service's environment."""
    pages: list[nginx.Page] = []
    with scratch_folder("capstan-page-") as folder:

        def serving(**changes: str) -> Site:
            service = launch(output=subprocess.DEVNULL, **({"AUTH_REQUIRED": "true"} | changes))
            until(service.ready)
            own = folder / uuid.uuid4().hex
            own.mkdir()
            folder.chmod(0o755)
            pages.append(nginx.Page(own, int(service.api.base.rpartition(":")[2]), bundle))
            return Site(f"http://127.0.0.1:{pages[-1].port}", service.api, launch)

        yield serving
        for page in pages:
            page.stop()


@pytest.fixture
def site(serve: Callable[..., Site]) -> Site:
    """The page in front of a service that wants to know who is there."""
    return serve()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[[Site], BrowserContext]]:
    """A browser of its own at a site; what a page complains about in its console fails the test."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def visiting(site: Site) -> BrowserContext:
        context = browser.new_context(base_url=site.url, viewport={"width": 1280, "height": 800})
        context.on("weberror", lambda error: complaints.append(str(error.error)))
        context.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        contexts.append(context)
        return context

    yield visiting
    for context in contexts:
        context.close()
    # The browser itself notes answers of 4xx.
    assert [text for text in complaints if "the server responded with a status of 4" not in text] == []


@pytest.fixture
def page(visit: Any, site: Site) -> Page:
    """A tab of a new browser."""
    tab: Page = visit(site).new_page()
    return tab


def shoot(page: Page, name: str) -> None:
    """Keeps pictures of the page, on a desktop and on a phone, which it has to fit."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    for width, height in ((1280, 800), (390, 780)):
        page.set_viewport_size({"width": width, "height": height})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.screenshot(path=SCREENSHOTS / f"{name}-{width}.png", animations="disabled")
    page.set_viewport_size({"width": 1280, "height": 800})


def sign_in(page: Page, email: str, password: str = PASSWORD) -> None:
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def calls_of(page: Page, path: str) -> list[str]:
    """What the page sends to that address from now on."""
    calls: list[str] = []
    page.on("request", lambda request: calls.append(request.method) if request.url.endswith(path) else None)
    return calls


def answered(path: str, status: int) -> Callable[[Response], bool]:
    """Whether an answer is that one to that address."""
    return lambda response: response.url.endswith(path) and response.status == status


def test_a_new_person_is_made_administrator_and_works_with_the_list(site: Site, page: Page) -> None:
    page.goto("/")
    page.get_by_role("button", name="Create an account").click()
    expect(page.get_by_label("Name")).to_be_focused()
    page.get_by_label("Name").fill("Ada Lovelace")
    page.get_by_label("E-mail address").fill("ada@example.com")
    page.get_by_label("Password").fill("too short")
    page.get_by_role("button", name="Create account").click()
    expect(page.get_by_label("Password")).to_have_accessible_description("The password must have 12 to 200 characters.")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()
    expect(page.get_by_role("heading", name="Your account")).to_be_visible()

    site.give("ada@example.com", "admin")
    page.goto("/")
    row = page.get_by_role("row").filter(has_text="alan@example.com")
    page.get_by_role("link", name="New user").click()
    page.get_by_label("Name").fill("Alan Turing")
    page.get_by_label("E-mail address").fill("alan@example.com")
    page.get_by_role("button", name="Create user").click()
    expect(row).to_contain_text("Alan Turing")
    page.get_by_role("link", name="Edit Alan Turing").click()
    page.get_by_label("Name").fill("Alan M. Turing")
    page.get_by_role("button", name="Save changes").click()
    expect(row).to_contain_text("Alan M. Turing")
    page.reload()
    expect(page.get_by_role("link", name="Your account, Ada Lovelace")).to_be_visible()
    page.get_by_role("button", name="Delete Alan M. Turing").click()
    page.get_by_role("button", name="Delete user").click()
    expect(row).to_have_count(0)


def test_signing_in_leads_to_where_one_was(site: Site, page: Page) -> None:
    email = site.join("Ada Lovelace", "admin")
    page.goto("/users/1")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(page.get_by_label("E-mail address")).to_be_focused()
    shoot(page, "sign-in")
    sign_in(page, email)
    expect(page.get_by_label("Name")).to_have_value("Ada Lovelace")
    expect(page).to_have_url(re.compile("/users/1$"))


def test_a_wrong_password_is_told_and_after_six_of_them_how_long_to_wait(site: Site, page: Page) -> None:
    email = site.join("Ada Lovelace")
    page.goto("/")
    sign_in(page, email, "a wrong guess")
    expect(page.get_by_role("alert")).to_have_text("The e-mail address or the password is wrong.")
    shoot(page, "sign-in-wrong")
    for _ in range(5):
        with page.expect_response("**/api/auth/login"):
            page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("button", name="Sign in")).to_be_enabled()
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_have_text(re.compile(r"^Too many tries: please wait \d+ seconds? before"))


def test_without_its_access_token_the_browser_gets_another_one_unseen(site: Site, page: Page) -> None:
    email = site.join("Ada Lovelace", "admin")
    page.goto("/")
    sign_in(page, email)
    expect(page.get_by_role("row").filter(has_text=email)).to_be_visible()
    page.context.clear_cookies(name="access")
    refreshes = calls_of(page, "/api/auth/refresh")
    page.get_by_role("link", name="New user").click()
    page.get_by_label("Name").fill("Grace Hopper")
    page.get_by_label("E-mail address").fill("grace@example.com")
    page.get_by_role("button", name="Create user").click()
    expect(page.get_by_role("status")).to_have_text("Grace Hopper was created.")
    assert refreshes == ["POST"]
    assert "access" in {cookie["name"] for cookie in page.context.cookies()}
    page.context.clear_cookies(name="access")
    page.reload()
    expect(page.get_by_role("row").filter(has_text="grace@example.com")).to_be_visible()
    assert refreshes == ["POST", "POST"]


def test_requests_that_need_a_new_token_at_the_same_time_share_one_refresh(site: Site, page: Page) -> None:
    email = site.join("Ada Lovelace", "admin")
    page.clock.install()
    page.goto("/")
    sign_in(page, email)
    expect(page.get_by_role("row").filter(has_text=email)).to_be_visible()
    page.context.clear_cookies(name="access")
    refreshes: list[Route] = []

    def hold(route: Route) -> None:  # until both were refused: what is sent after a refresh has the new token already
        refreshes.append(route)

    page.route("**/api/auth/refresh", hold)
    page.clock.fast_forward("00:10")
    with page.expect_response(answered("/auth/me", 401)), page.expect_response(answered("/users?limit=25", 401)):
        page.evaluate("window.dispatchEvent(new Event('visibilitychange'))")  # who comes back to a tab sees what is new
    until(lambda: (page.wait_for_load_state(), refreshes)[1])
    with page.expect_response(answered("/auth/me", 200)), page.expect_response(answered("/users?limit=25", 200)):
        for route in refreshes:
            route.continue_()
    assert len(refreshes) == 1
    expect(page.get_by_role("row").filter(has_text=email)).to_be_visible()


def test_signing_out_ends_the_login_and_leaves_nothing_for_the_next_person(site: Site, page: Page) -> None:
    admin, user = site.join("Ada Lovelace", "admin"), site.join("Alan Turing")
    page.goto("/")
    sign_in(page, admin)
    expect(page.get_by_role("row").filter(has_text=user)).to_be_visible()
    shoot(page, "list-as-admin")
    jar = "; ".join(f"{cookie['name']}={cookie['value']}" for cookie in page.context.cookies())
    assert site.api("GET", "/api/users", Cookie=jar).status == 200
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert site.api("GET", "/api/users", Cookie=jar).status == 401
    assert page.context.cookies() == []
    sign_in(page, user)
    expect(page.get_by_role("heading", name="Your account")).to_be_visible()
    expect(page.get_by_text("Ada Lovelace")).to_have_count(0)


def test_a_user_sees_and_edits_only_themselves_and_changes_the_password(site: Site, page: Page) -> None:
    site.join("Ada Lovelace", "admin")
    email = site.join("Alan Turing")
    page.goto("/users")
    sign_in(page, email)
    expect(page.get_by_role("heading", name="Your account")).to_be_visible()
    expect(page.get_by_role("link", name="New user")).to_have_count(0)
    shoot(page, "user")
    page.get_by_role("link", name="Edit").click()
    page.get_by_label("Name").fill("Alan M. Turing")
    page.get_by_role("button", name="Save changes").click()
    expect(page.get_by_role("link", name="Your account, Alan M. Turing")).to_be_visible()
    page.get_by_role("link", name="Change password").click()
    page.get_by_label("Current password").fill("a wrong guess")
    page.get_by_label("New password").fill("battery staple horse")
    page.get_by_role("button", name="Change password").click()
    expect(page.get_by_label("Current password")).to_have_accessible_description("This is not the current password.")
    shoot(page, "password")
    page.get_by_label("Current password").fill(PASSWORD)
    page.get_by_role("button", name="Change password").click()
    expect(page.get_by_role("status")).to_have_text("Your password was changed.")
    page.get_by_role("button", name="Sign out").click()
    sign_in(page, email, "battery staple horse")
    expect(page.get_by_role("heading", name="Your account")).to_be_visible()


def test_an_auditor_reads_the_list_and_changes_nothing(site: Site, page: Page) -> None:
    email, other = site.join("Ada Lovelace", "auditor"), site.join("Alan Turing")
    page.goto("/")
    sign_in(page, email)
    page.get_by_role("link", name="Alan Turing").click()
    drawer = page.get_by_role("dialog", name="User")
    expect(drawer).to_contain_text(other)
    shoot(page, "auditor")
    expect(page.get_by_role("button", name=re.compile("Delete|Save"))).to_have_count(0)
    expect(page.get_by_role("link", name=re.compile("New user|Edit"))).to_have_count(0)


def test_a_role_that_was_taken_away_meanwhile_is_told_at_the_next_change(site: Site, page: Page) -> None:
    email = site.join("Ada Lovelace", "admin")
    page.goto("/users/new")
    sign_in(page, email)
    page.get_by_label("Name").fill("Grace Hopper")
    page.get_by_label("E-mail address").fill("grace@example.com")
    site.give(email, "auditor")
    page.get_by_role("button", name="Create user").click()
    expect(page.get_by_role("alert")).to_have_text("You may not do this.")


def test_signing_out_in_one_tab_shows_in_the_other_at_its_next_request(site: Site, page: Page) -> None:
    email = site.join("Ada Lovelace", "admin")
    page.goto("/")
    sign_in(page, email)
    expect(page.get_by_role("row").filter(has_text=email)).to_be_visible()
    other = page.context.new_page()
    other.goto("/")
    other.get_by_role("button", name="Sign out").click()
    expect(other.get_by_role("heading", name="Sign in")).to_be_visible()
    page.get_by_text("Inactive", exact=True).click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(page.get_by_text(email)).to_have_count(0)


def test_the_names_that_cookies_have_over_https_are_known_too(serve: Callable[..., Site], visit: Any) -> None:
    site = serve(AUTH_COOKIE_SECURE="true")  # browsers take such cookies from this machine itself as well
    email = site.join("Ada Lovelace", "admin")
    page = visit(site).new_page()
    page.goto("/users/1")
    sign_in(page, email)
    page.get_by_label("Name").fill("Ada King")
    page.get_by_role("button", name="Save changes").click()
    expect(page.get_by_role("status")).to_have_text("Ada King was saved.")
    assert {cookie["name"] for cookie in page.context.cookies()} == {"__Host-access", "__Secure-refresh", "__Host-csrf"}


def test_where_nobody_is_asked_nothing_of_it_is_seen(serve: Callable[..., Site], visit: Any) -> None:
    context = visit(site := serve(AUTH_REQUIRED="false"))
    context.add_cookies([{"name": name, "value": "of-another-service", "url": site.url} for name in ("access", "csrf")])
    context.add_cookies([{"name": "refresh", "value": "of-another-service", "url": f"{site.url}/api/auth"}])
    page = context.new_page()
    page.goto("/")
    expect(page.get_by_role("heading", name="No users yet")).to_be_visible()
    expect(page.get_by_role("link", name="New user")).to_be_visible()
    expect(page.get_by_role("button", name="Sign out")).to_have_count(0)
