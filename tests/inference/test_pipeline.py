from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from contract.modes import StereoMode, StereoSettings
from inference.colour import sixteen_bits, unit
from inference.pipeline import Pipeline, disparity_px


class Wall:
    """A scene all at one inverse depth."""

    def __init__(self, inverse_depth: float) -> None:
        self.inverse_depth = inverse_depth

    def __call__(self, frames, *, own, seed):
        for number, frame in enumerate(frames):
            if number in own:
                size = (1, 1, *frame.planes.shape[-2:])
                yield torch.full(size, self.inverse_depth)


class NothingFilled:
    lead = 0

    def __call__(self, views, *, seed):
        for view in views:
            yield view.right


def convert(inverse_depth, left, mode=StereoMode.SBS, **settings):
    pipeline = Pipeline(depth=Wall(inverse_depth), fill=NothingFilled(), version="wall")
    (stereo,) = pipeline(
        [sixteen_bits(left)],
        own=range(1),
        mode=mode,
        settings=StereoSettings(**settings),
        seed=0,
    )
    return stereo


@pytest.fixture
def left():
    dice = torch.Generator().manual_seed(0)
    return unit(sixteen_bits(torch.rand(1, 3, 8, 100, generator=dice)))


class Leading:
    lead = 3

    def __init__(self):
        self.places = []

    def __call__(self, views, *, seed):
        for view in views:
            self.places.append(view.place)
            yield view.right


@pytest.mark.parametrize(("first", "shown"), [(5, [102, 103, 104]), (1, [100])])
def test_a_filler_sees_frames_before_the_own_ones_that_do_not_come_out(first, shown):
    fill = Leading()
    greys = [torch.full((3, 8, 16), 100 * number) for number in range(10)]

    made = Pipeline(depth=Wall(0.5), fill=fill, version="wall")(
        [grey.to(torch.uint16) for grey in greys],
        own=range(first, 8),
        mode=StereoMode.SBS,
        settings=StereoSettings(),
        seed=0,
        places=range(100, 110),
    )

    brightness = [round(float(stereo.mean()) * 655.35) for stereo in made]
    assert brightness == list(range(first, 8))
    assert fill.places == shown + list(range(100 + first, 108))


@pytest.mark.parametrize("mode", StereoMode)
def test_the_picture_has_the_size_of_its_mode(left, mode):
    width, height = mode.packed_size(100, 8)

    assert convert(0.3, left, mode).shape == (1, 3, height, width)


def test_a_scene_on_the_screen_plane_looks_the_same_to_both_eyes(left):
    stereo = convert(0.25, left, convergence=0.25, max_disparity=10.0)

    assert torch.equal(stereo[..., :100], left)
    assert torch.equal(stereo[..., 100:], left)


def test_what_comes_out_of_the_screen_lies_further_left_for_the_right_eye(left):
    stereo = convert(1.0, left, convergence=0.5, max_disparity=10.0)

    torch.testing.assert_close(stereo[..., 100:195], left[..., 5:], atol=1e-5, rtol=0)


@given(
    inverse_depth=st.floats(0, 1, width=32),
    convergence=st.floats(0, 1, width=32),
    max_disparity=st.floats(0, 10, width=32),
)
def test_no_shift_is_larger_than_the_largest(inverse_depth, convergence, max_disparity):
    settings = StereoSettings(max_disparity=max_disparity, convergence=convergence)

    shift = disparity_px(torch.tensor(inverse_depth), settings, 1920)

    assert abs(float(shift)) <= max_disparity / 100 * 1920 * (1 + 1e-6)
