from __future__ import annotations

import math

import pytest
import torch

from inference.stages.warp.published import published_splat


def by_hand(left, disparity):
    """The published arithmetic, pixel by pixel, for one frame; relative to no disparity."""
    channels, height, width = left.shape
    right, occluded = torch.zeros_like(left), torch.ones(1, height, width)
    for y in range(height - 1):
        sums = [[0.0] * (channels + 2) for _ in range(width)]
        for x in range(width):
            shift = float(disparity[0, y, x])
            landing = float(torch.tensor(float(x)) - disparity[0, y, x])
            first = math.floor(landing)
            if not (first >= 0 and first + 1 < width):
                continue
            for at, cover in (
                (first, 1 - landing + first),
                (first + 1, landing - first),
            ):
                weight = 1.414**shift * cover
                for channel in range(channels):
                    sums[at][channel] += float(left[channel, y, x]) * weight
                sums[at][-2] += weight
                sums[at][-1] += cover
        for x, (*colours, weight, cover) in enumerate(sums):
            if weight > 0:
                right[:, y, x] = torch.tensor(colours) / weight
            occluded[0, y, x] = 1 - min(cover, 1.0)
    return right, occluded


@pytest.mark.parametrize("spread", [0.0, 0.3, 3.0, 40.0, 1e4])
@pytest.mark.parametrize("size", [(1, 6), (2, 1), (2, 2), (5, 12)])
def test_each_pixel_is_as_reckoned_by_hand(spread, size):
    chance = torch.Generator().manual_seed(3)
    left = torch.rand(2, 3, *size, generator=chance)
    disparity = torch.randn(2, 1, *size, generator=chance) * spread

    right, occluded = published_splat(left, disparity)

    expected = [by_hand(*frame) for frame in zip(left, disparity, strict=True)]
    torch.testing.assert_close(right, torch.stack([pair[0] for pair in expected]))
    torch.testing.assert_close(
        occluded, torch.stack([pair[1] for pair in expected]), rtol=1e-5, atol=1e-5
    )


def test_even_without_disparity_the_last_row_and_column_are_lost():
    left = torch.rand(1, 3, 4, 6)

    right, occluded = published_splat(left, torch.zeros(1, 1, 4, 6))

    assert torch.equal(right[..., :-1, :-1], left[..., :-1, :-1])
    assert occluded[..., :-1, :-1].eq(0).all()
    for lost in (slice(None), -1), (-1, slice(None)):
        assert right[..., lost[0], lost[1]].eq(0).all()
        assert occluded[..., lost[0], lost[1]].eq(1).all()


def test_of_two_layers_a_pixel_apart_the_nearer_weighs_1_414_times_as_much():
    left = torch.tensor([0.0, 0.0, 1.0, 0.0]).expand(1, 3, 2, 4)
    disparity = torch.tensor([-9.0, 0.0, 1.0, -9.0]).expand(1, 1, 2, 4)

    right, _ = published_splat(left, disparity)

    torch.testing.assert_close(right[0, 0, 0, 1].item(), 1.414 / 2.414)


def test_a_batch_is_as_its_frames_one_by_one():
    left, disparity = torch.rand(3, 3, 4, 9), torch.randn(3, 1, 4, 9) * 4

    whole = published_splat(left, disparity)

    for number in range(3):
        one = slice(number, number + 1)
        alone = published_splat(left[one], disparity[one])
        for a, b in zip(whole, alone, strict=True):
            torch.testing.assert_close(a[one], b, atol=1e-6, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_what_comes_back_has_the_dtype_of_the_picture(dtype):
    right, occluded = published_splat(
        torch.rand(1, 3, 4, 6, dtype=dtype), torch.ones(1, 1, 4, 6, dtype=dtype)
    )

    assert right.dtype == occluded.dtype == dtype
    assert right.isfinite().all()
