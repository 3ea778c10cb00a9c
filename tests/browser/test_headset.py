"""In a headset: the right eye in the right eye.

The headset is IWER, Meta's own emulation of WebXR. It has no films as layers: those are a
recording of what a headset with them would be asked for.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from contract.modes import StereoMode
from tests.browser.conftest import Films
from tests.browser.finals import BLUE, RED
from tests.browser.pictures import assert_eye, opened

IWER = Path(__file__).parent / "vendor" / "iwer" / "iwer.min.js"
WEAR = """
  window.headset = new IWER.XRDevice(IWER.metaQuest3);
  headset.installRuntime({ forceInstall: true });
  headset.stereoEnabled = true;
"""
LOOK = """() => new Promise((resolve) => {
  // Reads what the eyes see at the end of one of the headset's frames: of each eye four
  // points around the middle, as [top left, top right, bottom left, bottom right].
  const session = headset.activeSession;
  let frames = 5;
  const look = () => {
    if (frames--) return session.requestAnimationFrame(look);
    const gl = session.renderState.baseLayer.context;
    const { drawingBufferWidth: width, drawingBufferHeight: height } = gl;
    const point = new Uint8Array(4);
    const eyes = [0.25, 0.75].map((middle) =>
      [[0.54, -0.03], [0.54, 0.03], [0.46, -0.03], [0.46, 0.03]].map(([y, aside]) => {
        const x = Math.round((middle + aside) * width);
        gl.readPixels(x, Math.round(y * height), 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, point);
        return [...point.slice(0, 3)];
      }),
    );
    resolve(eyes);
  };
  session.requestAnimationFrame(look);
})"""
LAYERS = """
  window.asked = [];
  const granted = navigator.xr.requestSession.bind(navigator.xr);
  navigator.xr.requestSession = async (...wishes) => {
    const session = await granted(...wishes);
    Object.defineProperty(session, "enabledFeatures", { value: ["viewer", "local", "layers"] });
    session.updateRenderState = (state) => asked.push(["state", Object.keys(state)]);
    return session;
  };
  window.XRMediaBinding = class {
    createQuadLayer(video, init) {
      asked.push(["layer", video.tagName, init.layout, init.invertStereo, init.width, init.height]);
      return { transform: init.transform };
    }
  };
"""
PRESS = """async (milliseconds) => {
  const hand = headset.controllers.right;
  const frame = () => new Promise((next) => setTimeout(next, 150));
  hand.updateButtonValue("trigger", 1);
  await frame();
  await new Promise((next) => setTimeout(next, milliseconds));
  hand.updateButtonValue("trigger", 0);
  await frame();
}"""


@pytest.fixture
def worn(visit) -> Page:
    """Alice's window, in the browser of a headset."""
    page = visit("alice")
    page.add_init_script(path=IWER)
    page.add_init_script(WEAR)
    return page


def enter(page: Page) -> None:
    page.get_by_role("button", name="Watch in the headset").click()
    page.wait_for_function("() => headset.activeSession")


def eyes(page: Page) -> list[np.ndarray]:
    """What the left and the right eye see around the middle, each as [2, 2, 3]."""
    found = page.evaluate(LOOK)
    return [np.array(points, np.uint8).reshape(2, 2, 3) for points in found]


def pause_at(page: Page, at: float) -> None:
    page.evaluate(
        """async (at) => {
          const film = document.querySelector("video");
          film.pause();
          film.currentTime = at;
          await new Promise((there) => film.addEventListener("seeked", there, { once: true }));
        }""",
        at,
    )


@pytest.mark.parametrize("mode", [StereoMode.SBS, StereoMode.HALF_TAB])
def test_each_eye_sees_its_own_picture(worn, films: Films, mode):
    opened(worn, films(mode))
    enter(worn)
    pause_at(worn, 1.55)

    left, right = eyes(worn)

    assert_eye(left, RED)
    assert_eye(right, BLUE)


def test_swapped_eyes_are_swapped_in_the_headset_too(worn, films: Films):
    opened(worn, films())
    worn.get_by_label("Swap eyes").check()
    enter(worn)
    pause_at(worn, 1.55)

    left, right = eyes(worn)

    assert_eye(left, BLUE)
    assert_eye(right, RED)


def test_the_screen_comes_to_where_the_person_looks(worn, films: Films):
    opened(worn, films())
    enter(worn)
    pause_at(worn, 1.55)
    eyes(worn)

    # A quarter turn to the left, the head tilted: nothing is there.
    worn.evaluate("() => headset.quaternion.set(0, Math.SQRT1_2, 0, Math.SQRT1_2)")
    left, _ = eyes(worn)
    assert not left.any()

    worn.evaluate(PRESS, 900)
    left, right = eyes(worn)
    assert_eye(left, RED)
    assert_eye(right, BLUE)


def test_a_short_press_plays_and_pauses_and_a_very_long_one_leaves(worn, films: Films):
    opened(worn, films())
    enter(worn)
    film = "document.querySelector('video')"
    worn.wait_for_function(f"() => !{film}.paused")

    worn.evaluate(PRESS, 0)
    worn.wait_for_function(f"() => {film}.paused")
    worn.evaluate(PRESS, 0)
    worn.wait_for_function(f"() => !{film}.paused")

    worn.evaluate(PRESS, 3200)
    worn.wait_for_function("() => !headset.activeSession")
    expect(worn.get_by_role("button", name="Watch in the headset")).to_be_enabled()


def test_a_headset_with_layers_is_given_the_film_itself(visit, films: Films):
    page = visit("alice")
    page.add_init_script(path=IWER)
    page.add_init_script(WEAR)
    page.add_init_script(LAYERS)
    opened(page, films(StereoMode.TAB))
    page.get_by_label("Swap eyes").check()

    enter(page)
    page.wait_for_function("() => asked.length === 2")

    layer, state = page.evaluate("() => asked")
    assert layer == ["layer", "VIDEO", "stereo-top-bottom", True, 4, pytest.approx(2.4)]
    assert state == ["state", ["layers"]]


def test_who_has_no_headset_is_not_offered_one(page, films: Films):
    opened(page, films())

    expect(page.get_by_role("button", name="headset")).to_be_hidden()
