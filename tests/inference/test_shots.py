from __future__ import annotations

import pytest
import torch

from contract.modes import StereoSettings
from inference.colour import sixteen_bits
from inference.scene import views
from inference.shots import FLASH, in_shots


@pytest.fixture(scope="module")
def shot():
    """Twelve frames of a moving camera."""
    return [
        views(2 + n / 24, 128, 72, StereoSettings())[0].clamp(0, 1) for n in range(12)
    ]


@pytest.fixture(scope="module")
def other(shot):
    """As many that look different."""
    return [picture.flip(-1).roll(1, dims=0) * 0.6 for picture in shot]


def cuts(pictures):
    """Numbers of the frames that begin a shot."""
    frames = in_shots(sixteen_bits(picture[None]) for picture in pictures)
    return [number for number, frame in enumerate(frames) if frame.begins_shot]


def test_a_moving_camera_is_one_shot(shot):
    assert cuts(shot) == [0]


def test_a_hard_cut_begins_a_shot(shot, other):
    assert cuts(shot + other) == [0, 12]


def test_a_shot_longer_than_a_flash_is_a_shot(shot, other):
    brief = FLASH + 1

    assert cuts(shot + other[:brief] + shot) == [0, 12, 12 + brief]


@pytest.mark.parametrize("frames", range(1, FLASH + 1))
@pytest.mark.parametrize("light", [0.9, -0.9])
def test_a_flash_and_a_dropout_begin_no_shot(shot, frames, light):
    lit = [(picture + light).clamp(0, 1) for picture in shot[5 : 5 + frames]]

    assert cuts(shot[:5] + lit + shot[5 + frames :]) == [0]


def test_a_flash_does_not_hide_a_cut_next_to_it(shot, other):
    lit = [(other[0] + 0.9).clamp(0, 1)]

    assert cuts(shot + lit + other) == [0, 12, 13]


def test_a_fade_to_black_and_back_begins_no_shot(shot):
    down = [picture * (1 - number / 11) for number, picture in enumerate(shot)]
    up = [picture * (number / 11) for number, picture in enumerate(shot)]

    assert cuts(down + up) == [0]


def test_frames_come_in_order_and_only_as_many_are_read_ahead_as_a_flash_lasts(shot):
    read = 0

    def counted():
        nonlocal read
        for number in range(40):
            read += 1
            yield torch.full((3, 8, 8), 1000 * number, dtype=torch.uint16)

    for number, frame in enumerate(in_shots(counted())):
        assert int(frame.planes[0, 0, 0]) == 1000 * number
        assert read <= number + FLASH + 1

    assert number == 39
