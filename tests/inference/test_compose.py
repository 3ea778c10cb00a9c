from __future__ import annotations

import pytest
import torch

from contract.modes import StereoMode
from inference.stages.compose import compose


@pytest.fixture
def eyes():
    dice = torch.Generator().manual_seed(0)
    return torch.rand(2, 3, 8, 12, generator=dice), torch.rand(
        2, 3, 8, 12, generator=dice
    )


def colour(*rgb: float):
    return torch.tensor(rgb).view(1, 3, 1, 1).expand(1, 3, 2, 2)


@pytest.mark.parametrize("mode", StereoMode)
def test_the_picture_has_the_size_of_its_mode(eyes, mode):
    width, height = mode.packed_size(12, 8)

    left, right = eyes

    assert compose(left, right, mode).shape == (2, 3, height, width)


def test_full_modes_keep_both_eyes_to_the_last_pixel_the_left_one_first(eyes):
    left, right = eyes

    sbs = compose(left, right, StereoMode.SBS)
    tab = compose(left, right, StereoMode.TAB)

    assert torch.equal(sbs[..., :12], left)
    assert torch.equal(sbs[..., 12:], right)
    assert torch.equal(tab[..., :8, :], left)
    assert torch.equal(tab[..., 8:, :], right)


@pytest.mark.parametrize("mode", [StereoMode.HALF_SBS, StereoMode.HALF_TAB])
def test_stripes_as_fine_as_a_pixel_turn_grey_in_half_modes(mode):
    stripes = torch.zeros(1, 3, 8, 12)
    stripes[..., ::2, :] += 0.5
    stripes[..., :, ::2] += 0.5

    half = compose(stripes, stripes, mode)

    across = half.diff(dim=-1 if mode is StereoMode.HALF_SBS else -2)
    assert across.abs().max() == 0.0


def test_white_looks_nearly_white_through_red_cyan_glasses():
    # In linear light R = 1.050 - 0.000 (clipped), G = 0 + 1.147, B = 0 + 1.115: all 1.
    picture = compose(colour(1, 1, 1), colour(1, 1, 1), StereoMode.ANAGLYPH)

    torch.testing.assert_close(picture, colour(1.0, 1.0, 1.0))


def test_grey_of_the_left_eye_becomes_red_by_the_table():
    # 0.5 is 0.2140411 of linear light; R: (0.437 + 0.449 + 0.164) of it = 0.2247432,
    # coded again 0.5113982. G and B are negative, so clipped to 0.
    picture = compose(colour(0.5, 0.5, 0.5), colour(0, 0, 0), StereoMode.ANAGLYPH)

    torch.testing.assert_close(picture, colour(0.5113982, 0.0, 0.0), atol=1e-5, rtol=0)


def test_the_eyes_are_clipped_before_they_are_added():
    # Left red: linear (0.437, -0.062, -0.048) → (0.437, 0, 0). Right blue: linear
    # (-0.007, 0.009, 1.234) → (0, 0.009, 1). Added first, red would lose 0.007 and
    # green be negative. Coded: 0.437 → 0.6922279, 0.009 → 0.0932018.
    picture = compose(colour(1, 0, 0), colour(0, 0, 1), StereoMode.ANAGLYPH)

    torch.testing.assert_close(
        picture, colour(0.6922279, 0.0932018, 1.0), atol=1e-5, rtol=0
    )


def test_anaglyph_values_stay_in_range(eyes):
    left, right = eyes

    picture = compose(left, right, StereoMode.ANAGLYPH)

    assert picture.min() >= 0.0
    assert picture.max() <= 1.0
