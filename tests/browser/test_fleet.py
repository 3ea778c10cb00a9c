"""Who runs the machine sees the fleet of the very site that answers."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.looks import assert_accessible, assert_fits_a_phone


def test_the_fleet_has_the_workers_that_work(visit):
    page = visit("sally")
    page.goto("/")

    page.get_by_role("link", name="Fleet").click()

    for worker in ("control@", "gpu@", "media@"):
        expect(page.get_by_role("rowheader", name=worker)).to_be_visible()
    assert_accessible(page)
    assert_fits_a_phone(page)
    assert_accessible(page)
