"""What a person sees of a film on its page, pixel by pixel."""

from __future__ import annotations

import io

import av
import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Page

from tests.browser.finals import FPS, WHITE, grey

STILL = 1.55
"""Seconds into the film, in the middle of a frame."""
NUMBER = int(STILL * FPS)
Colour = tuple[int, int, int]
Pixels = NDArray[np.uint8]
"""[H, W, 3] or one of [3]."""


def opened(page: Page, path: str, view: str = "", *, at: float = STILL) -> Page:
    """The film's page, standing still at a moment, in a view."""
    page.goto(path)
    page.locator("#player[data-state=drawn]").wait_for()
    if view:
        page.get_by_role("combobox", name="View").select_option(view)
    seek(page, at)
    return page


def choose(page: Page, view: str) -> None:
    page.get_by_role("combobox", name="View").select_option(view)
    seek(page, STILL)


def seek(page: Page, at: float) -> None:
    """Every picture on the page has come to that moment, and was drawn."""
    page.evaluate(
        """async (at) => {
          const film = document.querySelector("video");
          film.currentTime = at;
          const videos = [...document.querySelectorAll("video")];
          while (videos.some((v) => v.seeking || v.readyState < 2 || v.currentTime !== at)) {
            await new Promise(requestAnimationFrame);
          }
          for (let i = 0; i < 4; i += 1) await new Promise(requestAnimationFrame);
        }""",
        at,
    )


def seen(page: Page) -> Pixels:
    """What a person sees in the stage, [H, W, 3]."""
    png = page.locator(".stage").screenshot()
    with av.open(io.BytesIO(png)) as container:
        return next(container.decode(video=0)).to_ndarray(format="rgb24")


def is_like(pixel: Pixels, colour: Colour) -> bool:
    return bool(np.abs(pixel.astype(int) - colour).max() <= 6)


def quarters(picture: Pixels) -> list[Pixels]:
    """Pixels in the middle of the top left, top right, bottom left, bottom right quarter."""
    height, width, _ = picture.shape
    places = [(y, x) for y in (0.25, 0.75) for x in (0.25, 0.75)]
    return [picture[int(height * y), int(width * x)] for y, x in places]


def assert_eye(picture: Pixels, colour: Colour) -> None:
    """One whole eye, upright and not mirrored, at the moment that was asked for."""
    top_left, top_right, bottom_left, bottom_right = quarters(picture)
    assert is_like(top_left, WHITE), top_left
    assert is_like(top_right, colour), top_right
    assert is_like(bottom_left, colour), bottom_left
    assert is_like(bottom_right, (grey(NUMBER),) * 3), bottom_right
