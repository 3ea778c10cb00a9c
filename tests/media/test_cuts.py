"""Shots are found where they begin, and nothing else is taken for one."""

from __future__ import annotations

import numpy as np
import pytest

from apps.pipeline.media.cuts import find_cuts, shot_starts
from apps.pipeline.media.index import build_index
from tests.media.sources import SHOTS


@pytest.mark.parametrize(
    "name",
    [
        "closed gops at 29 97",
        "open gops",
        "one keyframe",
        "variable frame rate with a gap",
        "ten bit hevc with open gops",
        "mpeg 2 broadcast",
        "intra refresh instead of keyframes",
        "an avi with b frames",
    ],
)
def test_the_exact_frames_that_begin_a_shot_are_found(name, source):
    given = source(name)

    cuts = find_cuts(given, build_index(given), around=[48], reach=48)

    assert cuts == list(SHOTS[1:])


def test_only_the_neighbourhood_of_a_boundary_is_looked_at(source):
    given = source("closed gops at 29 97")
    index = build_index(given)

    assert find_cuts(given, index, around=[50], reach=4) == [53]
    assert find_cuts(given, index, around=[], reach=4) == []


def test_neighbourhoods_are_looked_at_one_after_another(source):
    given = source("open gops")
    index = build_index(given)

    assert find_cuts(given, index, around=[85, 28], reach=6) == [29, 84]


def scene(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(20, 230, (27, 48)).astype(np.int16)


def test_a_still_scene_has_no_cuts():
    assert shot_starts([scene(1)] * 20) == []


def test_a_flash_is_no_cut():
    white = np.full((27, 48), 255, np.int16)
    thumbnails = [scene(1)] * 10 + [white] + [scene(1)] * 10

    assert shot_starts(thumbnails) == []


def test_a_cut_after_a_still_scene_is_one():
    assert shot_starts([scene(1)] * 9 + [scene(2)] * 9) == [9]


def test_a_slow_fade_is_no_cut():
    thumbnails = [(scene(1) * (1 - step / 40)).astype(np.int16) for step in range(40)]

    assert shot_starts(thumbnails) == []


def test_fast_motion_is_no_cut():
    wide = np.repeat(scene(3), 3, axis=1)
    thumbnails = [np.roll(wide, 6 * step, axis=1)[:, :48] for step in range(20)]

    assert shot_starts(thumbnails) == []
