"""Where two segments meet, depth must change no more than from any frame to the next.

Changes are in pixels of disparity, on a film 1920 pixels wide at 2 %.
"""

from __future__ import annotations

import pytest
import torch

from contract.modes import StereoSettings
from inference.colour import sixteen_bits
from inference.pipeline import disparity_px
from inference.scene import views
from inference.shots import in_shots
from inference.stages.depth.anything import DEVIATION, MEAN, DepthAnything
from inference.stages.depth.preview import Preview
from inference.stages.depth.ranges import settled

OVERLAP = 12
FRAMES = 40
SIZE = (168, 98)
SETTINGS = StereoSettings()


@pytest.fixture(scope="module")
def film():
    seen = [views(3 + n / 24, *SIZE, SETTINGS) for n in range(FRAMES)]
    return [left for left, _, _ in seen], [depth for _, _, depth in seen]


class Told:
    """Networks that know a film's depth, and tell it in a scale of their own."""

    def __init__(self, film, run):
        self.pictures, self.truth = torch.stack(film[0]), torch.stack(film[1])
        self.scale, self.offset = ((1.0, 0.0), (4.0, -3.0), (0.3, 7.0))[run]

    def of(self, picture):
        known = (self.pictures - picture).abs().mean(dim=(1, 2, 3)).argmin()
        return self.scale * self.truth[int(known)] + self.offset

    def __call__(self, normal):
        mean, deviation = (torch.tensor(x)[:, None, None] for x in (MEAN, DEVIATION))
        return torch.cat([self.of(one * deviation + mean) for one in normal])


def preview(film, run):
    return Preview()


def anything(film, run):
    cpu = torch.device("cpu")
    return DepthAnything(Told(film, run), cpu, torch.float32, side=SIZE[1])


def steady_in_a_run(film, run):
    """As networks are that see a window of frames at once."""
    told = Told(film, run)

    def estimate(frames, *, own, seed):
        raw = (
            (told.of(frame.planes.float() / 65535)[None], frame.begins_shot)
            for frame in frames
        )
        return settled(raw, own=own, flat=0.02)

    return estimate


def least_to_greatest(film, run):
    """What is to be avoided: each run brings all that it saw into one range."""
    told = Told(film, run)

    def estimate(frames, *, own, seed):
        depth = torch.cat([told.of(frame.planes.float() / 65535) for frame in frames])
        yield from ((depth - depth.min()) / (depth.max() - depth.min()))[
            own.start : own.stop, None, None
        ]

    return estimate


def disparity(estimator, pictures, own):
    frames = in_shots(sixteen_bits(picture[None]) for picture in pictures)
    depth = torch.cat([*estimator(frames, own=own, seed=0)])
    return disparity_px(depth, SETTINGS, 1920)


def changes(film, kind, seam):
    """Mean change at the seam of two segments, and the greatest one in one piece."""
    pictures, _ = film
    before, after = range(seam), range(OVERLAP, OVERLAP + FRAMES - seam)
    first = disparity(kind(film, 1), pictures[: seam + OVERLAP], before)
    second = disparity(kind(film, 2), pictures[seam - OVERLAP :], after)
    whole = disparity(kind(film, 0), pictures, range(FRAMES))
    usual = whole.diff(dim=0).abs().mean(dim=(1, 2, 3))
    return float((second[0] - first[-1]).abs().mean()), float(usual.max())


@pytest.mark.parametrize("kind", [preview, anything, steady_in_a_run])
@pytest.mark.parametrize("seam", [16, 25])
def test_no_depth_jumps_at_a_seam(film, kind, seam, record_property):
    at_seam, usual = changes(film, kind, seam)

    record_property("pixels_at_seam", at_seam)
    record_property("pixels_usual", usual)
    assert at_seam <= usual + 0.01


def test_a_range_of_each_run_s_own_would_jump(film):
    pictures, depths = film
    last = depths[-1].clone()
    last[:, 40:60, 40:60] = 1.5  # a thing close by, at the end of the film

    at_seam, usual = changes((pictures, [*depths[:-1], last]), least_to_greatest, 16)

    assert at_seam > 2 * usual
