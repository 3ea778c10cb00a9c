"""Before a film is uploaded, one of its frames is there in 3D, and sliders change it."""

from __future__ import annotations

import os
import statistics
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from inference.scene import render
from tests.browser.looks import assert_accessible, assert_fits_a_phone
from tests.media import sources

PATIENCE = 60_000
"""Milliseconds for the first frame, for which torch is loaded."""
TURN = 250
"""Milliseconds after which the other eye is shown."""
PIXELS = "() => document.getElementById('preview-picture').toDataURL()"


@pytest.fixture(scope="module")
def film(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("film") / "Fence.mp4"
    render(path, seconds=2.0, width=320, height=180)
    return path


def choose(page: Page, film: Path) -> None:
    page.goto("/jobs/new/")
    page.get_by_label("Video file").set_input_files(film)


def changed(page: Page, before: str) -> str:
    """The picture, once it is another one."""
    page.wait_for_function(f"(before) => ({PIXELS})() !== before", arg=before)
    return page.evaluate(PIXELS)


def test_a_person_sees_a_frame_in_3d_and_turns_it_up(page, film):
    choose(page, film)
    picture = page.get_by_role("img", name="One frame of the film in 3D")
    expect(picture).to_be_visible(timeout=PATIENCE)
    assert_accessible(page)
    assert_fits_a_phone(page)

    size = "(e) => [e.width, e.height]"
    assert picture.evaluate(size) == [640, 180]  # both eyes, beside each other
    shown = page.evaluate(PIXELS)

    page.get_by_role("slider", name="Max disparity").press("End")
    shown = changed(page, shown)
    page.get_by_role("slider", name="Screen plane").press("Home")
    shown = changed(page, shown)
    page.get_by_role("slider", name="Moment").press("End")
    shown = changed(page, shown)
    page.get_by_label("Half top and bottom").check()
    shown = changed(page, shown)
    assert picture.evaluate(size) == [320, 180]

    page.get_by_label("without glasses").check()
    one_eye = changed(page, shown)
    changed(page, one_eye)
    page.emulate_media(reduced_motion="reduce")
    page.wait_for_timeout(2 * TURN)
    stands = page.evaluate(PIXELS)
    for _ in range(4):
        page.wait_for_timeout(TURN)
        assert page.evaluate(PIXELS) == stands


def test_of_a_film_the_browser_cannot_show_the_site_shows_a_frame(page, tmp_path):
    film = sources.film(tmp_path / "Camera.ts", count=30)

    choose(page, film)

    picture = page.get_by_role("img", name="One frame of the film in 3D")
    expect(picture).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_role("slider", name="Moment")).to_be_hidden()


def test_what_shows_no_frame_is_said_and_may_be_uploaded(page, watch, tmp_path):
    watch.allow("422")
    film = tmp_path / "Broken.mkv"
    film.write_bytes(b"\x1aE\xdf\xa3" + b"broken" * 1000)  # begins as Matroska does

    choose(page, film)

    expect(page.get_by_text("No frame of this film can be shown")).to_be_visible(
        timeout=PATIENCE
    )
    expect(page.get_by_role("button", name="Upload and convert")).to_be_enabled()


_TIME_OF_PICTURE = """
() => {
  const draw = CanvasRenderingContext2D.prototype.drawImage;
  const slider = document.querySelector("[name=max_disparity]");
  CanvasRenderingContext2D.prototype.drawImage = function (...args) {
    draw.apply(this, args);
    if (this.canvas.id === "preview-picture") window.drawn?.(performance.now());
  };
  window.move = (value) => new Promise((resolve) => {
    const begun = performance.now();
    window.drawn = (at) => resolve(at - begun);
    slider.value = value;
    slider.dispatchEvent(new Event("input", { bubbles: true }));
  });
  window.drag = async (values, pause) => {
    const drawn = [];
    window.drawn = (at) => drawn.push(at);
    for (const value of values) {
      slider.value = value;
      slider.dispatchEvent(new Event("input", { bubbles: true }));
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
    return drawn.length;
  };
}
"""


def test_the_picture_follows_a_slider_while_it_is_moved(page, tmp_path):
    """Prints how soon (`pytest -s`): of a film in HD, in this browser, from the event to
    the pixels."""
    choose(page, sources.film(tmp_path / "HD.mp4", size=(1280, 720), count=24))
    picture = page.get_by_role("img", name="One frame of the film in 3D")
    expect(picture).to_be_visible(timeout=PATIENCE)
    page.evaluate(_TIME_OF_PICTURE)

    took = [page.evaluate("(v) => move(v)", n % 6 + 1) for n in range(21)]

    said = f"median {statistics.median(took):.0f} ms, worst {max(took):.0f} ms"
    print(f"\nslider to picture: {said}, load {os.getloadavg()[0]:.1f}")
    drawn = page.evaluate("() => drag([...Array(80).keys()].map((n) => n / 20), 50)")
    print(f"pictures in 4 s of dragging: {drawn}")
    assert drawn >= 2
