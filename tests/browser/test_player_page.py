"""The player on a film's page: controls, all kinds of people, and what it falls back to."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import PATIENCE
from tests.browser.looks import assert_accessible, assert_fits_a_phone
from tests.browser.pictures import STILL, opened, seek


def test_by_keyboard_alone(page, films):
    opened(page, films(), at=0)
    film = "document.querySelector('video')"
    page.locator(".stage").focus()

    page.keyboard.press("ArrowRight")
    page.wait_for_function(f"() => {film}.currentTime === {film}.duration")
    page.keyboard.press("ArrowLeft")
    page.wait_for_function(f"() => {film}.currentTime === 0")
    page.keyboard.press("Space")
    page.wait_for_function(f"() => !{film}.paused")
    page.keyboard.press("Space")
    page.wait_for_function(f"() => {film}.paused")

    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Play")).to_be_focused()
    page.keyboard.press("Tab")
    time = page.get_by_role("slider", name="Time")
    expect(time).to_be_focused()
    page.keyboard.press("End")
    page.wait_for_function(f"() => {film}.currentTime > 3.9")
    expect(time).to_have_attribute("aria-valuetext", "0:04 of 0:04")
    # A letter means something to the picture only.
    page.keyboard.press("f")
    assert page.evaluate("document.fullscreenElement") is None
    for _ in ("Mute", "Volume", "Full screen", "View", "Swap eyes"):
        page.keyboard.press("Tab")
    expect(page.get_by_label("Swap eyes")).to_be_focused()
    page.keyboard.press("Space")
    expect(page.get_by_label("Swap eyes")).to_be_checked()


def test_it_fills_the_screen_and_leaves_it(page, films):
    opened(page, films(), "tv_side")
    panel = page.locator("#player form")

    page.get_by_role("button", name="Full screen").click()
    page.wait_for_function("() => document.fullscreenElement?.id === 'player'")
    seek(page, STILL)

    # A 3D screen splits all of what it is given, so controls have no room of their own.
    box = page.locator("canvas").bounding_box()
    assert (box["width"], box["height"]) == tuple(page.viewport_size.values())
    expect(panel).to_have_css("opacity", "0", timeout=PATIENCE)

    page.mouse.move(200, 200)
    page.mouse.move(210, 200)
    expect(panel).to_have_css("opacity", "1")
    assert_accessible(page)

    page.locator(".stage").focus()
    page.keyboard.press("f")
    page.wait_for_function("() => !document.fullscreenElement")
    expect(page.get_by_role("button", name="Full screen")).to_be_focused()


@pytest.mark.parametrize("view", ["side", "wiggle"])
def test_the_player_serves_both_themes_and_a_phone(page, films, view):
    opened(page, films(), view)
    page.get_by_label("Compare with the source").check()

    assert_accessible(page)
    assert_fits_a_phone(page)
    assert_accessible(page)


def test_an_hdr_film_is_said_to_be_shown_in_standard_range(page, films):
    opened(page, films(color_trc=16))

    expect(page.get_by_text("standard range with 8 bits")).to_be_visible()


def test_without_webgl_the_browser_s_own_player_stays(visit, films, watch):
    page = visit("alice")
    page.add_init_script("HTMLCanvasElement.prototype.getContext = () => null;")
    page.goto(films())

    expect(page.get_by_role("status")).to_contain_text("Only the plain player")
    expect(page.locator("video")).to_have_attribute("controls", "")
    expect(page.locator("canvas")).to_have_count(0)
    expect(page.get_by_role("combobox", name="View")).to_be_hidden()


def test_without_scripts_the_browser_s_own_player_stays(visit, films):
    visit("alice").goto("/")  # signed in, for whom scripts are needed
    page = visit("alice", java_script_enabled=False)
    page.goto(films())

    expect(page.locator("video[controls]")).to_be_visible()
    expect(page.get_by_role("combobox", name="View")).to_be_hidden()


def test_nobody_else_plays_alice_s_film(visit, films, watch):
    watch.allow("404")
    path = films()
    bob = visit("bob")

    for part in ("", "final/", "source/", "playlist.m3u"):
        assert bob.goto(f"{path}{part}").status == 404


def test_a_lost_graphics_card_leaves_the_plain_player(page, films, watch):
    watch.allow("CONTEXT_LOST_WEBGL")
    opened(page, films())

    page.evaluate(
        "document.querySelector('canvas').getContext('webgl2')"
        ".getExtension('WEBGL_lose_context').loseContext()"
    )

    expect(page.get_by_role("status")).to_contain_text("Only the plain player")
    expect(page.locator("video")).to_have_attribute("controls", "")
