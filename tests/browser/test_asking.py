"""The scripts' requests: whose they are, and what their answers are taken for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Route

STATIC = Path(__file__).parents[2] / "apps/jobs/static/jobs"
SITE = "https://films.example"
ASK = """async () => {
  const { ask } = await import("/asking.js");
  await ask("POST", "/asked");
}"""


def cookie_name(tmp_path: Path, *, secure: bool) -> str:
    """Under which the site's own settings send it, on HTTPS or not."""
    surroundings = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "stereospot.settings",
        "DJANGO_SECURE": str(secure),
        "DJANGO_SECRET_KEY": "k" * 50,
        "STEREOSPOT_DATA_DIR": str(tmp_path),
    }
    say = "from django.conf import settings; print(settings.CSRF_COOKIE_NAME)"
    command = [sys.executable, "-c", say]
    return subprocess.check_output(command, env=surroundings, text=True).strip()


@pytest.mark.parametrize("secure", [True, False])
def test_a_script_shows_the_cookie_that_the_site_has_set(
    browser: Browser, tmp_path: Path, secure: bool
) -> None:
    shown: list[str] = []

    def answer(route: Route) -> None:
        request = route.request
        if request.method == "POST":
            shown.append(request.headers["x-csrftoken"])
            route.fulfill(json={})
        elif request.url.endswith(".js"):
            route.fulfill(path=STATIC / "asking.js", content_type="text/javascript")
        else:
            route.fulfill(body="<!doctype html>", content_type="text/html")

    name = cookie_name(tmp_path, secure=secure)
    with browser.new_context() as context:
        cookies = {"another": "x", name: "the-token", "more": "y"}
        if secure:  # planted by another host of the domain: it has to lose
            cookies = {"csrftoken": "planted", **cookies}
        context.add_cookies(
            [{"name": n, "value": v, "url": SITE} for n, v in cookies.items()]
        )
        context.route("**/*", answer)
        page = context.new_page()
        page.goto(SITE)

        page.evaluate(ASK)

    assert shown == ["the-token"]


HEARD = """async () => {
  const { ask } = await import("/asking.js");
  return ask("POST", "/asked").catch((error) => error.constructor.name);
}"""


@pytest.mark.parametrize(
    ("status", "code", "taken_for"),
    [
        (503, "storage", "Lost"),
        (502, None, "Lost"),
        (503, "misconfigured", "Refused"),
        (507, "disk-full", "Refused"),
        (422, "too-large", "Refused"),
    ],
)
def test_what_passes_by_itself_is_told_from_what_somebody_must_mend(
    browser: Browser, status: int, code: str | None, taken_for: str
) -> None:
    def answer(route: Route) -> None:
        if route.request.method == "POST":
            told = {"code": code, "message": "…"}
            body = {"json": told} if code else {"body": "<h1>Bad gateway</h1>"}
            route.fulfill(status=status, **body)
        elif route.request.url.endswith(".js"):
            route.fulfill(path=STATIC / "asking.js", content_type="text/javascript")
        else:
            route.fulfill(body="<!doctype html>", content_type="text/html")

    with browser.new_context() as context:
        context.route("**/*", answer)
        page = context.new_page()
        page.goto(SITE)

        assert page.evaluate(HEARD) == taken_for
