"""The page “API”, with everything on it that can be."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.looks import assert_accessible, assert_fits_a_phone


def test_tokens_and_webhooks_are_made_and_taken_away_by_keyboard(page):
    page.goto("/account/api/")

    page.get_by_label("Name").focus()
    page.keyboard.type("Cutting room")
    page.keyboard.press("Enter")

    expect(page.get_by_role("status")).to_contain_text("stereospot_")
    page.get_by_label("Address").fill("https://films.example/a/long/way/to/be/told")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("whsec_")
    assert_accessible(page)
    assert_fits_a_phone(page)
    assert_accessible(page)

    page.get_by_role("button", name="Revoke Cutting room").press("Enter")
    expect(page.get_by_role("status")).to_contain_text("opens nothing")
    page.get_by_role("button", name="Remove https://films").press("Enter")
    expect(page.get_by_role("status")).to_contain_text("told nothing")
