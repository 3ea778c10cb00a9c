from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.keys import (
    MAX_SEGMENTS,
    DepthKey,
    DepthSegmentKey,
    FinalKey,
    RequestKey,
    SegmentKey,
    SourceKey,
    StereoSegmentKey,
    SubtitleKey,
)
from contract.modes import StereoMode

JOB = UUID("12345678-1234-4234-8234-123456789abc")
KINDS = (
    SourceKey,
    DepthKey,
    SegmentKey,
    DepthSegmentKey,
    RequestKey,
    StereoSegmentKey,
    FinalKey,
    SubtitleKey,
)
indexes = st.integers(min_value=0, max_value=MAX_SEGMENTS - 1)


def test_keys_are_spelled_as_agreed():
    assert str(SourceKey(JOB)) == f"input/{JOB}/source.mp4"
    assert str(SourceKey(JOB, "mkv")) == f"input/{JOB}/source.mkv"
    assert (
        str(SegmentKey(JOB, 7, 120, StereoMode.SBS))
        == f"segments/{JOB}/00007_00120_sbs.mp4"
    )
    assert str(DepthKey(JOB, "mkv")) == f"input/{JOB}/depth.mkv"
    assert str(DepthSegmentKey(JOB, 7, 120)) == f"segments/{JOB}/00007_00120_depth.mp4"
    assert str(RequestKey(JOB, 7, 2)) == f"segments/{JOB}/00007_2.json"
    assert str(RequestKey(JOB, None, 2)) == f"segments/{JOB}/clip_2.json"
    assert str(StereoSegmentKey(JOB, 7)) == f"jobs/{JOB}/segments/7.mp4"
    assert str(SubtitleKey(JOB, 12)) == f"jobs/{JOB}/subtitles/12.vtt"
    assert str(FinalKey(JOB)) == f"jobs/{JOB}/final.mp4"


@given(st.uuids(), indexes, indexes, st.sampled_from(StereoMode))
def test_what_is_built_is_parsed_to_the_same(job_id, a, b, mode):
    index, total = min(a, b), max(a, b) + 1
    for key in (
        SourceKey(job_id, "webm"),
        DepthKey(job_id, "webm"),
        SegmentKey(job_id, index, total, mode),
        DepthSegmentKey(job_id, index, total),
        RequestKey(job_id, index, a),
        RequestKey(job_id, None, a),
        StereoSegmentKey(job_id, index),
        FinalKey(job_id, "mkv"),
        SubtitleKey(job_id, index % 100),
    ):
        assert [kind.parse(str(key)) for kind in KINDS if kind.parse(str(key))] == [key]


@given(st.uuids(), indexes, indexes)
def test_listing_order_is_playing_order(job_id, a, b):
    first, second = (
        str(SegmentKey(job_id, i, MAX_SEGMENTS, StereoMode.SBS)) for i in (a, b)
    )

    assert (first < second) == (a < b)


@given(st.text())
def test_no_text_whatever_makes_a_parser_raise(text):
    for kind in KINDS:
        parsed = kind.parse(text)
        assert parsed is None or str(parsed) == text


@pytest.mark.parametrize(
    "key",
    [
        f"segments/{JOB}/00007_00007_sbs.mp4",
        f"segments/{JOB}/00007_00120_cube.mp4",
        f"segments/{JOB}/7_120_sbs.mp4",
        f"segments/{JOB}/00007_00120_sbs.mp4\n",
        f"segments/{str(JOB).upper()}/00007_00120_sbs.mp4",
        f"segments/{JOB}/../00007_00120_sbs.mp4",
        f"segments/{JOB}/٠٠٠٠٧_00120_sbs.mp4",
    ],
)
def test_what_is_almost_the_key_of_a_segment_is_none(key):
    assert SegmentKey.parse(key) is None


@pytest.mark.parametrize(
    "key",
    [
        f"segments/{JOB}/00007_00007_depth.mp4",
        f"segments/{JOB}/00007_00120_depth.mkv",
        f"segments/{JOB}/00007_00120_sbs.mp4",
        f"segments/{JOB}/00007_00120_depth.mp4\n",
    ],
)
def test_what_is_almost_the_key_of_a_depth_segment_is_none(key):
    assert DepthSegmentKey.parse(key) is None


@pytest.mark.parametrize(
    "key",
    [
        f"jobs/{JOB}/segments/07.mp4",
        f"jobs/{JOB}/segments/-1.mp4",
        f"jobs/{JOB}/segments/99999.mp4",
        f"jobs/{JOB}/segments/1٣.mp4",
        f"jobs/{JOB}/final.mp4",
    ],
)
def test_what_is_almost_the_key_of_a_stereo_segment_is_none(key):
    assert StereoSegmentKey.parse(key) is None


@pytest.mark.parametrize(
    "key",
    [
        f"segments/{JOB}/00007_02.json",
        f"segments/{JOB}/7_2.json",
        f"segments/{JOB}/clip_02.json",
        f"segments/{JOB}/99999_2.json",
        f"segments/{JOB}/00007_00120_sbs.mp4",
    ],
)
def test_what_is_almost_the_key_of_a_request_is_none(key):
    assert RequestKey.parse(key) is None


@pytest.mark.parametrize("extension", ["", "MP4", "../mp4", "mp4/", "verylongone"])
def test_a_key_is_not_built_with_an_extension_that_is_none(extension):
    with pytest.raises(ValueError, match="extension"):
        str(SourceKey(JOB, extension))


@pytest.mark.parametrize(("index", "total"), [(1, 1), (-1, 1), (0, MAX_SEGMENTS + 1)])
def test_a_key_is_not_built_for_a_segment_that_cannot_be(index, total):
    with pytest.raises(ValueError, match="no key"):
        str(SegmentKey(JOB, index, total, StereoMode.SBS))
