"""Every page as all kinds of people meet it."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.looks import assert_accessible, assert_fits_a_phone

PAGES = {
    "/login/": None,
    "/": "alice",
    "/jobs/new/": "alice",
    "/account/": "alice",
    "/nowhere/": "alice",
}


@pytest.mark.parametrize(("path", "person"), PAGES.items(), ids=list(PAGES))
def test_a_page_serves_both_themes_and_a_phone(visit, watch, path, person):
    watch.allow(r"404 \(Not Found\).*/nowhere/")
    page = visit(person)

    page.goto(path)

    assert_accessible(page)
    assert_fits_a_phone(page)
    assert_accessible(page)


def test_a_stranger_signs_in_by_keyboard_and_lands_where_they_wanted(visit, site):
    page = visit(None)
    page.goto("/jobs/new/")

    page.keyboard.type("bob")
    page.keyboard.press("Tab")
    page.keyboard.type("correct horse battery")
    page.keyboard.press("Enter")

    page.wait_for_url("/jobs/new/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Convert a video")
