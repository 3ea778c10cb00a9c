from __future__ import annotations

import pytest
from pydantic import ValidationError

from contract.errors import Blame, ErrorCode
from contract.frames import SegmentFrames
from contract.modes import StereoMode


def test_the_core_counts_from_its_own_first_frame():
    frames = SegmentFrames(
        time_base=(1, 90000), start=500, pts=(0, 10, 25, 30, 50), lead=1, tail=1
    )

    assert frames.core == (0, 15, 20)
    assert frames.core_start == 510


@pytest.mark.parametrize(
    "wrong",
    [
        {"pts": ()},
        {"pts": (1, 2)},
        {"pts": (0, 2, 2)},
        {"pts": (0, 1), "lead": 1, "tail": 1},
        {"pts": (0, 1), "time_base": (1, 0)},
    ],
)
def test_a_manifest_that_cannot_be_is_refused(wrong):
    with pytest.raises(ValidationError):
        SegmentFrames.model_validate({"time_base": (1, 25), "start": 0} | wrong)


@pytest.mark.parametrize(
    ("mode", "size"),
    [
        ("sbs", (128, 36)),
        ("half_sbs", (64, 36)),
        ("tab", (64, 72)),
        ("half_tab", (64, 36)),
        ("anaglyph", (64, 36)),
    ],
)
def test_both_eyes_take_the_room_of_their_mode(mode, size):
    assert StereoMode(mode).packed_size(64, 36) == size


def test_only_what_somebody_must_mend_is_not_tried_again():
    final = {code for code in ErrorCode if code.blame in (Blame.USER, Blame.OPERATOR)}

    assert ErrorCode.NOT_A_VIDEO in final
    assert ErrorCode.DISK_FULL in final
    assert not final & {ErrorCode.STORAGE, ErrorCode.INTERNAL, ErrorCode.OUT_OF_MEMORY}
