from __future__ import annotations

import av
import pytest
import torch

from contract.modes import Engine, StereoMode, StereoSettings
from inference.colour import sixteen_bits
from inference.engines import pipeline_for
from inference.pipeline import disparity_px
from inference.scene import render, views
from inference.stages.depth.preview import Preview
from inference.stages.fill.push_pull import filled
from inference.stages.warp.splat import splat

SETTINGS = StereoSettings()
SIZE = (480, 270)
MORE = 2.5
"""Decibels. Measured: 3.8 and 5.3 above the best shift."""

MARGIN = 10
"""Columns at either side that a shift would leave open; left out when comparing."""


def psnr(a, b):
    inner = (a - b)[..., MARGIN:-MARGIN]
    return float(-10 * torch.log10(inner.square().mean()))


def best_shift(left, right):
    return max(
        psnr(left.roll(-shift, dims=-1), right) for shift in range(-MARGIN, MARGIN)
    )


@pytest.mark.parametrize("t", [1.0, 5.0])
def test_the_made_right_eye_is_closer_to_the_true_one_than_any_shift_is(t):
    context = Preview().context
    pipeline = pipeline_for(Engine.PREVIEW)
    seen = [views(t + n / 24, *SIZE, SETTINGS) for n in range(-context, context + 1)]
    left, right, _ = seen[context]

    (stereo,) = pipeline(
        [sixteen_bits(left[None]) for left, _, _ in seen],
        own=range(context, context + 1),
        mode=StereoMode.SBS,
        settings=SETTINGS,
        seed=0,
    )

    made = stereo[0, ..., SIZE[0] :]
    torch.testing.assert_close(stereo[0, ..., : SIZE[0]], left, atol=1e-5, rtol=0)
    assert psnr(made, right) > psnr(left, right) + MORE
    assert psnr(made, right) > best_shift(left, right) + MORE


def test_by_its_true_depth_the_scene_s_right_eye_is_made_almost_perfectly():
    left, right, inverse_depth = views(3.0, *SIZE, SETTINGS)

    warped, occluded = splat(
        left[None], disparity_px(inverse_depth[None], SETTINGS, SIZE[0])
    )
    made = filled(warped, occluded)[0]

    assert psnr(made, right) > psnr(left, right) + 7.0
    assert 0.001 < occluded.mean() < 0.05


def test_without_disparity_both_eyes_see_the_same():
    left, right, _ = views(1.0, *SIZE, StereoSettings(max_disparity=0.0))

    assert torch.equal(left, right)


def test_the_rendered_scene_is_an_ordinary_film_with_sound(tmp_path):
    path = tmp_path / "scene.mp4"

    render(path, seconds=0.5, fps=24, width=160, height=90)

    with av.open(str(path)) as film:
        assert film.streams.video[0].frames == 12
        assert film.streams.audio[0].codec_context.name == "aac"
        assert film.duration == pytest.approx(500_000, abs=50_000)  # microseconds
    head = path.read_bytes()
    assert head.index(b"moov") < head.index(b"mdat")
