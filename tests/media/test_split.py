"""Segment objects decode to the very pixels of the source."""

from __future__ import annotations

import hashlib
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from apps.pipeline.media.index import Index, build_index
from apps.pipeline.media.mezzanine import make_mezzanine
from apps.pipeline.media.plan import Span, plan
from apps.pipeline.media.probe import Limits, probe
from apps.pipeline.media.ranges import decoding_times, extra_bytes, packet_ranges
from apps.pipeline.media.split import object_format, split
from apps.pipeline.media.tools import open_media, video_stream
from contract.errors import ErrorCode, StereoSpotError
from tests.media.sources import RECIPES


def pixels(path: Path, origin: Fraction = Fraction(0)) -> dict[Fraction, str]:
    """A digest of each frame by the second at which it is shown."""
    with open_media(path) as container:
        stream = video_stream(container)
        return {
            frame.pts * stream.time_base + origin: digest(frame)
            for frame in container.decode(stream)
        }


def digest(frame: av.VideoFrame) -> str:
    hashed = hashlib.md5()
    for plane, component in zip(frame.planes, frame.format.components, strict=False):
        width = plane.width * (2 if component.bits > 8 else 1)
        rows = np.frombuffer(plane, np.uint8).reshape(plane.height, -1)
        hashed.update(np.ascontiguousarray(rows[:, :width]))
    return hashed.hexdigest()


STORABLE = [name for name in RECIPES if not name.startswith(("huffyuv", "vp8"))]


@pytest.mark.parametrize("name", STORABLE)
def test_segments_decode_to_the_pixels_of_the_source(name, source, tmp_path):
    given = source(name)
    index = build_index(given)
    spans = plan(index.frame_count, 21, overlap=5)
    whole = pixels(given)
    seen = {}

    for _, path, frames in split(given, index, spans, tmp_path):
        tick = frames.seconds_per_tick
        decoded = pixels(path, origin=frames.start * tick)
        for ticks in frames.pts:
            date = (frames.start + ticks) * tick
            near = min(decoded, key=lambda shown: abs(shown - date))
            assert abs(near - date) < tick / 2
            seen[date] = decoded[near]

    expected = {int(pts) * index.time_base for pts in index.frames}
    assert seen == {date: whole[date] for date in expected}


@pytest.mark.parametrize(
    "name",
    [
        "vp9 of odd size",
        "ten bit hevc with open gops",
        "prores with timecode and pcm",
        "huffyuv that no segment object stores",
        "variable frame rate with a gap",
        "a transport stream with open gops",
        "vp8 with hidden frames",
    ],
)
def test_a_mezzanine_has_the_pixels_and_the_clock_of_the_source(name, source, tmp_path):
    given = source(name)

    mezzanine = make_mezzanine(given, probe(given, Limits()), tmp_path)

    assert pixels(mezzanine) == pixels(given)
    assert object_format(mezzanine) in ("mp4", "mov")


def test_a_segment_is_on_disk_only_until_the_caller_took_it(source, tmp_path):
    given = source("closed gops at 29 97")
    index = build_index(given)
    most = 0

    for _, path, _ in split(
        given, index, plan(index.frame_count, 8, overlap=0), tmp_path
    ):
        most = max(most, len(list(tmp_path.iterdir())))
        path.unlink()

    # The one in hand and those that share packets with it.
    assert 1 <= most <= 6
    assert not list(tmp_path.iterdir())


def test_what_was_begun_is_removed_when_the_caller_stops(source, tmp_path):
    given = source("closed gops at 29 97")
    index = build_index(given)
    segments = split(given, index, plan(index.frame_count, 8), tmp_path)

    _, first, _ = next(segments)
    segments.close()

    assert list(tmp_path.iterdir()) == [first]


def test_a_source_that_became_shorter_is_refused(source, tmp_path):
    given = source("a transport stream with open gops")
    index = build_index(given)
    shorter = tmp_path / "shorter.ts"
    shorter.write_bytes(given.read_bytes()[: 188 * 200])

    with pytest.raises(StereoSpotError) as refusal:
        list(split(shorter, index, plan(index.frame_count, 20), tmp_path))

    assert refusal.value.code is ErrorCode.TRUNCATED


def test_frames_wait_no_longer_than_the_deepest_reordering():
    decoded = np.array([0, 3, 1, 2, 6, 4, 5]) * 10

    times = decoding_times(decoded)

    assert times.tolist() == [-10, 0, 10, 20, 30, 40, 50]
    assert (times <= decoded).all()


def test_an_entry_point_that_refreshes_gradually_is_used_only_once_clean():
    index = small_index(recovery=[0, 0, 0, 0, 3, 0, 0, 0, 0, 0], keyframes=[0, 4])

    ranges = packet_ranges(index, [Span(0, 6), Span(6, 1), Span(7, 3)])

    assert [part.first for part in ranges] == [0, 0, 4]


def test_segments_from_one_keyframe_cost_the_source_again_and_again():
    index = small_index(recovery=[0] * 10, keyframes=[0])

    ranges = packet_ranges(index, [Span(0, 5), Span(5, 5)])

    assert extra_bytes(index, ranges) == pytest.approx(0.5)


def small_index(recovery: list[int], keyframes: list[int]) -> Index:
    count = len(recovery)
    flags = np.zeros(count, np.uint8)
    flags[keyframes] = 1
    return Index(
        time_base=Fraction(1, 25),
        pts=np.arange(count),
        dts=np.arange(count),
        size=np.full(count, 100, np.int32),
        flags=flags,
        recovery=np.array(recovery, np.int16),
        frames=np.arange(count),
    )
