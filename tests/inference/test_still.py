"""A preview's picture is the film's, had it only that frame."""

from __future__ import annotations

import pytest
import torch

from contract.modes import Engine, StereoMode, StereoSettings
from inference.engines import pipeline_for
from inference.scene import views
from inference.still import Still

SIZE = (160, 90)


@pytest.fixture(scope="module")
def planes() -> torch.Tensor:
    left, _, _ = views(1.0, *SIZE, StereoSettings())
    return (left * 65535).round().to(torch.uint16)


@pytest.mark.parametrize("mode", StereoMode)
def test_a_still_is_the_frame_of_a_film_of_one_frame(planes, mode):
    pipeline = pipeline_for(Engine.PREVIEW)
    settings = StereoSettings(max_disparity=3.0, convergence=0.3)

    [film] = pipeline([planes], own=range(1), mode=mode, settings=settings, seed=0)

    assert torch.equal(Still.of(planes, pipeline).stereo(mode, settings), film)


def test_a_still_can_be_had_in_other_strengths_without_looking_again(planes):
    pipeline = pipeline_for(Engine.PREVIEW)
    still = Still.of(planes, pipeline)
    width = SIZE[0]

    flat = still.stereo(StereoMode.SBS, StereoSettings(max_disparity=0.0))
    deep = still.stereo(StereoMode.SBS, StereoSettings(max_disparity=5.0))

    assert torch.equal(flat[..., :width], flat[..., width:])
    assert torch.equal(flat[..., :width], deep[..., :width])
    assert (deep[..., width:] - flat[..., width:]).abs().mean() > 0.01
