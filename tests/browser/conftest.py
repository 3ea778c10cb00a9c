"""A real Chromium before a real stack. `make test` runs it wherever a Chromium is found.

One stack serves the session; each test gets a browser context of its own, signed in as
Alice, and fails on whatever its pages complain of.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from contract.modes import StereoMode
from tests.browser.finals import completed
from tests.browser.site import PASSWORD, Site, opened
from tests.browser.watch import Watch

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PATIENCE = 30_000
"""Milliseconds that anything on a page may take: the machine may be busy."""
WEBGL = ("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
"""Drawn by the CPU, on every machine alike."""

expect.set_options(timeout=PATIENCE)
Visit = Callable[..., Page]
Films = Callable[..., str]


def found_chromium() -> str | None:
    wanted = os.environ.get("CHROMIUM")
    found = (shutil.which(name) for name in ([wanted] if wanted else NAMES))
    return next((path for path in found if path), None)


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of this machine's Chromium."""
    if path := found_chromium():
        return path
    missing = (
        "No Chromium is here, so no page was looked at: install one "
        "(Debian: apt-get install chromium), or name it in CHROMIUM."
    )
    if os.environ.get("CI") == "true":
        pytest.fail(missing)
    pytest.skip(missing)


@pytest.fixture(scope="session")
def site(chromium: str) -> Iterator[Site]:
    # Films may be fetched, so that the page for that is there.
    with opened(INGEST_HOSTS="films.example", PROMPTS="true") as site:
        yield site


# For a module, not for the session: as long as it lives Playwright's event loop runs in
# this thread, and Django's ORM refuses to work beside one in other modules' tests.
@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium,
            # Root, as which CI runs, may not have the sandbox.
            args=[*WEBGL, *(["--no-sandbox"] if os.geteuid() == 0 else [])],
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def sessions() -> dict[tuple[str, str], Any]:
    """Cookies of who has signed in on which site."""
    return {}


@pytest.fixture
def watch() -> Watch:
    """What the test's pages complain of; a test may allow what is meant."""
    return Watch()


@pytest.fixture
def visit(
    site: Site, browser: Browser, watch: Watch, sessions: dict[tuple[str, str], Any]
) -> Iterator[Visit]:
    """A person's own browser window: `visit("bob")`, `visit(None)` for a stranger."""
    contexts: list[BrowserContext] = []

    def visit(name: str | None = "alice", *, at: Site = site, **options: Any) -> Page:
        known = sessions.get((at.url, name or ""))
        context = browser.new_context(
            base_url=at.url, storage_state=known, locale="en-GB", **options
        )
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        watch.over(context, at.url)
        page = context.new_page()
        if name and known is None:
            _sign_in(page, name)
            sessions[at.url, name] = context.storage_state()
        return page

    yield visit
    for context in contexts:
        context.close()
    watch.check()


@pytest.fixture(scope="session")
def films(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Films:
    """The page of a completed film of Alice's; the same one for the same wishes."""
    made: dict[str, str] = {}

    def film(mode: StereoMode = StereoMode.SBS, **wishes: Any) -> str:
        key = f"{mode} {wishes}"
        if key not in made:
            folder = tmp_path_factory.mktemp("film")
            made[key] = completed(site, folder, mode, **wishes)
        return made[key]

    return film


@pytest.fixture
def page(visit: Visit) -> Page:
    """Alice's window."""
    return visit("alice")


def _sign_in(page: Page, name: str) -> None:
    page.goto("/login/")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("/")
