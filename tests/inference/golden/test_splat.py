"""The reference splat against what the published kernel makes of the same pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from inference.stages.warp.published import published_splat

pytestmark = pytest.mark.golden

CASES = [
    "all_out", "batch2", "const_0", "const_m1_5", "const_m3", "const_p2_25", "const_p3",
    "const_tiny", "eps", "noise", "noise_big", "one_row", "ramp_x", "ramp_x_neg",
    "ramp_y", "scene_max20", "step_fg", "step_fg_frac", "two_rows", "zfight",
]  # fmt: skip

ARRAYS = ("image_u8", "disp", "warped", "occlusion")

FAINT = 1e-5
"""Cover below which the published least sum of weights darkens a pixel."""


@pytest.mark.parametrize("case", CASES)
def test_the_right_eye_and_its_occlusions_are_the_published_ones(golden: Path, case):
    arrays = np.load(golden / "splat" / "splat.npz")
    given = {name: torch.from_numpy(arrays[f"{case}.{name}"]) for name in ARRAYS}
    left = (given["image_u8"].double() / 255.0).float()

    right, occluded = published_splat(left, given["disp"])

    is_told = (given["occlusion"] < 1.0 - FAINT) | (given["occlusion"] == 1.0)
    assert is_told.float().mean() > 0.9
    torch.testing.assert_close(
        right * is_told, given["warped"] * is_told, rtol=1e-4, atol=1e-5
    )
    torch.testing.assert_close(occluded, given["occlusion"], rtol=1e-4, atol=1e-5)


def test_every_published_case_is_compared(golden: Path):
    arrays = np.load(golden / "splat" / "splat.npz")

    assert sorted({name.split(".")[0] for name in arrays}) == CASES


def test_a_film_of_depth_becomes_the_published_pictures(golden: Path):
    arrays = np.load(golden / "splat" / "grid.npz")
    left = torch.from_numpy(arrays["frames"] / 255.0).float().permute(0, 3, 1, 2)
    disparity = torch.from_numpy(arrays["depth"] * 2.0 - 1.0).float()[:, None] * 5.0
    height, width = left.shape[-2:]

    right, occluded = published_splat(left, disparity)

    lower = torch.from_numpy(arrays["grid_rgb"])[:, height:].permute(0, 3, 1, 2).int()
    for made, expected in (
        (occluded.expand_as(right), lower[..., :width]),
        (right, lower[..., width:]),
    ):
        assert (eight_bits(made) - expected).abs().max() <= 1


def eight_bits(picture: Tensor) -> Tensor:
    """As published: cut off, not rounded."""
    return (picture * 255.0).clamp(0.0, 255.0).int()
