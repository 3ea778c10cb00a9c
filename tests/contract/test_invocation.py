from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from contract.frames import Picture, SegmentFrames
from contract.invocation import Conversion, Invocation
from contract.modes import Engine, StereoMode, StereoSettings

CONVERSION = Conversion(
    mode=StereoMode.TAB,
    engine=Engine.FAST,
    settings=StereoSettings(max_disparity=3.0),
    frames=SegmentFrames(time_base=(1, 25), start=5, pts=(0, 1, 2), lead=1),
    picture=Picture(eye_width=64, eye_height=36),
    seed=7,
)
ASKED = Invocation.of(
    CONVERSION, input_uri="s3://a/in.mp4", output_uri="s3://b/out.mp4", attempt=1
)


def test_an_invocation_carries_its_conversion_through_json():
    received = Invocation.model_validate_json(ASKED.model_dump_json())

    assert received == ASKED
    assert received.frames is not None
    assert received.picture is not None
    assert received.conversion(received.frames, received.picture) == CONVERSION


def test_the_names_of_the_first_contract_are_understood():
    plain = {"s3_input_uri": "s3://a/i", "s3_output_uri": "s3://b/o", "mode": "sbs"}

    asked = Invocation.model_validate_json(json.dumps(plain))

    assert (asked.input_uri, asked.output_uri) == ("s3://a/i", "s3://b/o")
    assert (asked.frames, asked.picture, asked.engine) == (None, None, Engine.PREVIEW)


def test_an_attempt_asks_for_the_same_work():
    assert ASKED.model_copy(update={"attempt": 2}).digest == ASKED.digest


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 8},
        {"mode": StereoMode.SBS},
        {"output_uri": "s3://b/other.mp4"},
        {"frames": None},
    ],
)
def test_another_wish_is_other_work(change):
    assert ASKED.model_copy(update=change).digest != ASKED.digest


@pytest.mark.parametrize("change", [{"colour": "red"}, {"task": "generate"}])
def test_what_is_not_understood_is_refused(change):
    with pytest.raises(ValidationError):
        Invocation.model_validate(ASKED.model_dump() | change)
