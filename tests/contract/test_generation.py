"""Which clips can be asked for, and what becomes of a size that cannot be made."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from contract.generation import MOST_PIXELS, Generation, frames_of, snapped_size

ASKED = {"prompt": "rain on the sea", "output_uri": "s3://films/clip.mp4"}


@pytest.mark.parametrize(
    ("asked", "made"),
    [
        ((1280, 720), (1280, 704)),
        ((720, 1280), (704, 1280)),
        ((1280, 704), (1280, 704)),
        ((1279, 703), (1248, 672)),
        ((640, 360), (640, 352)),
        ((1, 1), (256, 256)),
        ((9999, 9999), (1280, 704)),
        ((1024, 1280), (704, 1280)),
    ],
)
def test_a_size_becomes_one_that_can_be_made(asked, made):
    assert snapped_size(*asked) == made


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_whatever_is_asked_for_can_be_made(width, height):
    width, height = snapped_size(width, height)

    assert Generation(**ASKED, width=width, height=height)
    assert snapped_size(width, height) == (width, height)
    assert width * height <= MOST_PIXELS


@pytest.mark.parametrize(("seconds", "frames"), [(5, 121), (1, 25), (10, 241), (0, 5)])
def test_seconds_become_frames_of_which_all_but_one_come_in_fours(seconds, frames):
    assert frames_of(seconds) == frames
    assert Generation(**ASKED, frames=frames).frames == frames


@pytest.mark.parametrize(
    "wrong",
    [
        {"prompt": ""},
        {"prompt": "a" * 2001},
        {"frames": 120},
        {"width": 1280, "height": 1280},
        {"width": 720},
        {"steps": 0},
        {"guidance": 21},
        {"seed": -1},
        {"seed": 2**63},
        {"mode": "sbs"},
    ],
)
def test_what_cannot_be_made_is_refused(wrong):
    with pytest.raises(ValidationError):
        Generation(**(ASKED | wrong))


def test_the_same_clip_is_the_same_work_whichever_attempt_asks():
    assert Generation(**ASKED, attempt=1).digest == Generation(**ASKED).digest
    assert Generation(**ASKED, seed=1).digest != Generation(**ASKED).digest
