"""The application in a headless browser, wherever it runs: CAPSTAN_URL names it."""

from __future__ import annotations

import json
import os
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

URL = os.environ.get("CAPSTAN_URL", "http://127.0.0.1:30080")
SCREENSHOTS = Path(os.environ.get("CAPSTAN_SCREENSHOTS", "test-results/screenshots"))
CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Over plain HTTP browsers trust only this machine's own name, and complain of headers that are for HTTPS.
    f"--unsafely-treat-insecure-origin-as-secure={URL}",
]


@dataclass(frozen=True)
class Person:
    """A user that no other test and no other run knows."""

    name: str
    email: str


@dataclass(frozen=True)
class Answer:
    """What the service answered."""

    status: int
    headers: dict[str, str]
    body: Any


def call(method: str, path: str, body: dict[str, str] | None = None) -> Answer:
    """A request past the page, to the same address; answers of 4xx and 5xx are answers."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(URL + path, data, {"Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            text = answer.read()
    except urllib.error.HTTPError as refused:
        answer, text = refused, refused.read()
    headers = {name.lower(): value for name, value in answer.headers.items()}
    return Answer(answer.status, headers, json.loads(text) if "json" in headers.get("content-type", "") else text)


@contextmanager
def open_browser() -> Iterator[Browser]:
    """Chromium, as long as it is wanted."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, once for all tests."""
    with open_browser() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A fresh tab on the application; anything that the page complains about in its console fails the test."""
    context = browser.new_context(base_url=URL, viewport={"width": 1280, "height": 800})
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    yield page
    context.close()
    # The browser itself notes answers of 4xx, which tests provoke.
    assert [text for text in complaints if "the server responded with a status of 4" not in text] == []


@pytest.fixture
def person() -> Iterator[Person]:
    """A new name and address, whose user is gone afterwards."""
    tag = uuid.uuid4().hex[:10]
    made = Person(f"Ada {tag}", f"ada.{tag}@example.com")
    yield made
    for user in call("GET", "/api/users?limit=200").body["items"]:
        if tag in user["email"]:
            call("DELETE", f"/api/users/{user['id']}")


@pytest.fixture
def stored(person: Person) -> int:
    """The id of a user that is already stored."""
    answer = call("POST", "/api/users", {"name": person.name, "email": person.email})
    assert answer.status == 201
    return int(answer.body["id"])


@pytest.fixture
def shoot(page: Page) -> Callable[[str], Path]:
    """Keeps a picture of the page under a name."""

    def take(name: str) -> Path:
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        path = SCREENSHOTS / f"{name}.png"
        page.screenshot(path=path, animations="disabled")
        return path

    return take


@pytest.fixture(name="call")
def _call() -> Callable[..., Answer]:
    """`call`, for tests."""
    return call
