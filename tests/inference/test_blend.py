from __future__ import annotations

import math

import pytest
import torch

from inference.stages.fill.blend import FEATHER, blended

SIZE = (48, 80)
FRAMES = 12


def film(frames: int = FRAMES):
    """[T, 3, H, W]: a wall of soft pattern, and a near block, white, on its left."""
    dice = torch.Generator().manual_seed(0)
    pattern = 0.35 + 0.3 * torch.rand(1, 3, *SIZE, generator=dice)
    film = pattern.expand(frames, -1, -1, -1).clone()
    film[..., 10:38, 12:30] = 0.95
    return film


def uncovered(film):
    """What the near block uncovers on its right."""
    occluded = torch.zeros_like(film[:, :1])
    occluded[..., 10:38, 30:40] = 1.0
    return occluded


def off_by(drift, truth=None):
    """Mean error inside the occlusion without and with blending, per frame."""
    truth = film() if truth is None else truth
    occluded = uncovered(truth)
    generated = (truth + drift).clamp(0.0, 1.0)
    made = blended(generated, truth.masked_fill(occluded > 0, 0.0), occluded)

    def error(picture):
        return ((picture - truth) * occluded).sum(dim=(1, 2, 3)) / (
            3 * occluded.sum(dim=(1, 2, 3))
        )

    return error(generated), error(made)


def test_source_pixels_stay_bit_for_bit_beyond_the_feather():
    right = film(2)
    occluded = uncovered(right)
    generated = torch.rand(right.shape, generator=torch.Generator().manual_seed(1))

    made = blended(generated, right.masked_fill(occluded > 0, 0.0), occluded)

    far = torch.ones_like(right, dtype=torch.bool)
    reach = 2 * FEATHER
    far[..., 10 - reach : 38 + reach, 30 - reach : 40 + reach] = False
    assert torch.equal(made[far], right[far])
    assert not torch.equal(made, right)


def test_the_filled_part_fades_into_the_background():
    right = film(1)
    occluded = uncovered(right)
    generated = right.clone()
    generated[..., ::2, 40:50] += 0.2  # wrong, though not in its mean
    generated[..., 1::2, 40:50] -= 0.2

    made = blended(generated, right.masked_fill(occluded > 0, 0.0), occluded)

    wrong = (made - right).abs().mean(dim=1)[0, 24, 40 : 40 + 2 * FEATHER + 1]
    assert 0.1 < wrong[0] < 0.2
    assert (wrong.diff() < 0).all()
    assert wrong[-1] == 0.0


def test_a_perfect_picture_is_taken_as_it_is():
    right = film(2)
    occluded = uncovered(right)

    made = blended(right, right.masked_fill(occluded > 0, 0.0), occluded)

    torch.testing.assert_close(made, right, atol=1e-6, rtol=0)


def test_a_picture_without_occlusions_is_returned_as_it_is():
    right = film(1)

    assert blended(1.0 - right, right, torch.zeros_like(right[:, :1])) is right


@pytest.mark.parametrize("drift", [-0.2, -0.05, 0.04])
def test_a_constant_drift_of_the_colour_vanishes(drift):
    before, after = off_by(drift * torch.tensor([1.0, 0.5, -0.3])[:, None, None])

    assert before.abs().min() > 0.2 * abs(drift)
    assert after.abs().max() < 1e-5


def test_a_drift_that_grows_over_the_picture_is_a_tenth_of_what_it_was():
    down, across = torch.meshgrid(
        torch.linspace(-1, 1, SIZE[0]), torch.linspace(0, 1, SIZE[1]), indexing="ij"
    )
    before, after = off_by(0.06 * across + 0.02 * down + 0.04)

    assert before.min() > 0.06
    assert after.abs().max() < 0.1 * before.min()


def test_a_pulse_of_brightness_over_time_vanishes():
    pulse = torch.tensor([0.06 * math.sin(2 * math.pi * n / 6) for n in range(FRAMES)])

    before, after = off_by(pulse[:, None, None, None])

    assert before.std() > 0.04
    assert after.std() < 1e-5


def test_the_near_side_has_no_say_in_the_colour():
    truth = film()
    near = torch.zeros(SIZE)
    near[10:38, 12:30] = -0.3  # the network drew the near block far too dark

    _, after = off_by(near, truth)

    assert after.abs().max() < 1e-3


def test_colours_stay_in_range():
    right = torch.ones(1, 3, *SIZE)
    occluded = uncovered(right)
    generated = torch.full_like(right, 0.5)
    generated[..., 20:30, 32:38] = 1.0

    made = blended(generated, right, occluded)

    assert made.min() >= 0.0
    assert made.max() <= 1.0


def test_each_frame_is_blended_from_itself_alone():
    right = film(2)
    right[1] = 1.0 - right[1]
    occluded = uncovered(right)
    generated = right.roll(3, dims=-1)

    together = blended(generated, right, occluded)

    alone = blended(generated[1:], right[1:], occluded[1:])
    torch.testing.assert_close(together[1:], alone, atol=1e-6, rtol=0)
