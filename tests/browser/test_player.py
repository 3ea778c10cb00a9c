"""What the eyes see on a film's page, in every view, of every packing."""

from __future__ import annotations

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from contract.modes import StereoMode
from tests.browser.finals import BLUE, FPS, GREEN, HEIGHT, RED, WIDTH, grey, packed
from tests.browser.pictures import (
    NUMBER,
    STILL,
    Colour,
    assert_eye,
    choose,
    is_like,
    opened,
    quarters,
    seek,
    seen,
)
from tests.path.films import sound_only

TWO_PICTURES = [mode for mode in StereoMode if mode is not StereoMode.ANAGLYPH]
PLACES = {
    "side": (RED, BLUE),
    "cross": (BLUE, RED),
    "left": (RED,),
    "right": (BLUE,),
    "tv_side": (RED, BLUE),
}
"""Views with one eye, or with one beside the other."""


@pytest.mark.parametrize("mode", TWO_PICTURES)
def test_each_eye_is_where_the_view_says(page, films, mode):
    opened(page, films(mode))
    for view, colours in PLACES.items():
        choose(page, view)
        parts = np.array_split(seen(page), len(colours), axis=1)
        for part, colour in zip(parts, colours, strict=True):
            assert_eye(part, colour)

    choose(page, "tv_above")
    above, below = np.array_split(seen(page), 2, axis=0)
    assert_eye(above, RED)
    assert_eye(below, BLUE)


def test_swapped_eyes_change_their_places(page, films):
    opened(page, films(), "side")

    page.get_by_label("Swap eyes").check()
    seek(page, STILL)

    left, right = np.array_split(seen(page), 2, axis=1)
    assert_eye(left, BLUE)
    assert_eye(right, RED)


@pytest.mark.parametrize("mode", TWO_PICTURES)
def test_the_picture_has_the_film_s_shape_whatever_its_packing(page, films, mode):
    # Twice as wide as they are high: pixels of an anamorphic film, to see it well.
    opened(page, films(mode, sample_aspect_ratio=(2, 1)))

    for view, eyes in {"side": 2, "left": 1, "tv_side": 1, "tv_above": 1}.items():
        choose(page, view)
        box = page.locator("canvas").bounding_box()
        assert box["width"] / box["height"] == pytest.approx(
            eyes * 2 * WIDTH / HEIGHT, rel=0.02
        )


def test_dubois_is_mixed_as_our_own_anaglyphs_are(page, films):
    opened(page, films(), "dubois")
    wanted = packed(StereoMode.ANAGLYPH, NUMBER)

    for got, want in zip(quarters(seen(page)), quarters(wanted), strict=True):
        assert is_like(got, want), (got, want)


def luma(colour: Colour) -> int:
    return round(float(np.dot(colour, (0.299, 0.587, 0.114))))


@pytest.mark.parametrize(
    ("view", "wanted"),
    [
        ("half_colour", (luma(RED), BLUE[1], BLUE[2])),
        ("grey", (luma(RED), luma(BLUE), luma(BLUE))),
    ],
)
def test_the_older_anaglyphs_are_mixed_as_displayed(page, films, view, wanted):
    opened(page, films(StereoMode.HALF_TAB), view)

    _, top_right, *_ = quarters(seen(page))

    assert is_like(top_right, wanted), (top_right, wanted)


def test_the_eyes_do_not_bleed_into_each_other(page, films):
    opened(page, films(), "right")

    # Its first column is beside the left eye's last one, which is red. Video has colour
    # for two pixels at once, so the blue may be a little weaker there.
    picture = seen(page)
    beside = picture[round(len(picture) * 0.75), :3]

    assert beside[:, 0].max() < BLUE[0] + 20, beside


def test_an_anaglyph_is_shown_as_it_is(page, films):
    opened(page, films(StereoMode.ANAGLYPH))

    expect(page.get_by_role("combobox", name="View")).to_have_count(0)
    expect(page.get_by_label("Swap eyes")).to_have_count(0)
    wanted = quarters(packed(StereoMode.ANAGLYPH, NUMBER))
    for got, want in zip(quarters(seen(page)), wanted, strict=True):
        assert is_like(got, want), (got, want)


COUNT_TURNS = """
  // Looks at a point of each picture that is drawn: how often has the eye changed?
  window.turns = 0;
  const draw = WebGL2RenderingContext.prototype.drawArrays;
  let before = null;
  WebGL2RenderingContext.prototype.drawArrays = function (...how) {
    draw.apply(this, how);
    const { drawingBufferWidth: width, drawingBufferHeight: height } = this;
    const point = new Uint8Array(4);
    this.readPixels(0.75 * width, 0.75 * height, 1, 1, this.RGBA, this.UNSIGNED_BYTE, point);
    const eye = Math.sign(point[0] - point[2]);
    if (before !== null && eye !== before) window.turns += 1;
    before = eye;
  };
"""


def turns(page: Page, seconds: float) -> int:
    """How often the picture changes to the other eye."""
    page.evaluate("() => { window.turns = 0; }")
    page.wait_for_timeout(1000 * seconds)
    return page.evaluate("() => window.turns")


def test_wiggle_shows_the_eyes_by_turns_and_no_more_than_three_flashes_a_second(
    page, films
):
    page.add_init_script(COUNT_TURNS)
    opened(page, films(), "wiggle")
    speed = page.get_by_label("Speed")
    expect(speed).to_have_attribute("max", "3")

    speed.fill("3")

    # A flash is a change and the change back (WCAG 2.3.1).
    assert 2 <= turns(page, 2.0) <= 2 * 3 * 2 + 1


def test_wiggle_is_faster_only_for_who_asks(page, films):
    opened(page, films(), "wiggle")
    speed = page.get_by_label("Speed")

    page.get_by_label("Faster").check()
    speed.fill("8")
    page.get_by_label("Faster").uncheck()

    expect(speed).to_have_value("3")


def test_nothing_moves_for_who_wants_less_motion(visit, films):
    page = visit("alice", reduced_motion="reduce")
    page.add_init_script(COUNT_TURNS)
    opened(page, films(), "wiggle")

    expect(page.get_by_label("Speed")).to_have_value("0")
    assert turns(page, 1.0) == 0

    page.get_by_label("Speed").fill("2")
    assert turns(page, 2.0) >= 1


def test_the_view_is_remembered_but_nothing_begins_to_move_by_itself(page, films):
    opened(page, films(), "dubois")
    opened(page, films(StereoMode.TAB))
    expect(page.get_by_role("combobox", name="View")).to_have_value("dubois")

    page.get_by_role("combobox", name="View").select_option("wiggle")
    opened(page, films())
    expect(page.get_by_role("combobox", name="View")).to_have_value("dubois")


@pytest.mark.parametrize("at", [0.35, 1.55, 3.85])
def test_the_source_is_beside_the_film_at_the_same_moment(page, films, at):
    opened(page, films(), "side")

    page.get_by_label("Compare with the source").check()
    page.locator("video.source").wait_for()
    seek(page, at)

    expect(page.get_by_role("combobox", name="View")).to_have_value("right")
    picture = seen(page)
    height, width, _ = picture.shape
    # Left of the split the source, right of it the right eye; its number is the frame's.
    assert is_like(picture[height * 3 // 4, width // 4], GREEN)
    assert is_like(picture[height // 4, width * 3 // 4], BLUE)
    number = (grey(int(at * FPS)),) * 3
    assert is_like(picture[height * 3 // 4, width * 3 // 4], number)

    page.get_by_label("Source up to").fill("1")
    seek(page, at)
    picture = seen(page)
    assert is_like(picture[height // 4, width * 3 // 4], GREEN)
    assert is_like(picture[height * 3 // 4, width * 3 // 4], number)


def test_the_source_plays_along(page, films):
    opened(page, films(), "left", at=0)
    page.get_by_label("Compare with the source").check()
    page.locator("video.source").wait_for()

    page.get_by_role("button", name="Play").click()
    page.wait_for_function("() => document.querySelector('video').currentTime > 1.5")
    page.get_by_role("button", name="Pause").click()
    page.wait_for_function(
        """() => {
          const [film, source] = document.querySelectorAll("video");
          return source.paused && !source.seeking && source.currentTime === film.currentTime;
        }"""
    )


@pytest.mark.parametrize("kind", ["pictures", "sound alone", "gone"])
def test_a_source_that_the_browser_cannot_show_is_said_so(
    page, films, site, watch, tmp_path, kind
):
    watch.allow("source")
    source = tmp_path / f"{kind}.mp4"
    if kind == "sound alone":
        sound_only(source)
    else:
        source.write_bytes(b"\0\0\1\xba" + bytes(2000))
    path = films(source=source)
    if kind == "gone":
        job = path.strip("/").split("/")[-1]
        site.run(f"""
from apps.jobs import storage
from apps.jobs.models import Job
storage.source().delete(Job.objects.get(pk={job!r}).source_key)
""")
    opened(page, path)

    page.get_by_label("Compare with the source").click()

    expect(page.get_by_role("status")).to_contain_text("cannot play the source")
    expect(page.get_by_label("Compare with the source")).to_be_disabled()
    expect(page.locator("video.source")).to_have_count(0)
