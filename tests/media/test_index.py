"""The index knows every frame without decoding, and knows when it does not."""

from __future__ import annotations

import tracemalloc

import av
import ffmpeg
import numpy as np
import pytest

from apps.pipeline.media.index import Index, build_index
from apps.pipeline.media.join import join
from apps.pipeline.media.prepare import Wishes, prepare, split_prepared
from apps.pipeline.media.probe import Limits, probe
from apps.pipeline.media.recovery import recovery_frame_count
from apps.pipeline.media.split import split
from apps.pipeline.media.verify import verify_final
from contract.errors import ErrorCode, StereoSpotError
from contract.modes import StereoMode
from contract.pictures import picture_for
from tests.media.sources import FRAMES, bar_code, film, run
from tests.media.worker import convert


@pytest.fixture
def bare_stream(source, tmp_path):
    """H.264 without a container: no packet has a timestamp."""
    target = tmp_path / "bare.h264"
    given = ffmpeg.input(str(source("no sound")))
    run(given.output(str(target), c="copy", **{"bsf:v": "h264_mp4toannexb"}))
    return target


@pytest.fixture
def packed_avi(tmp_path):
    """DivX of old: two frames in one packet, none in the next."""
    target = tmp_path / "packed.avi"
    return film(target, **{"c:v": "libxvid", "bf": 2, "g": 30, "q:v": 3})


@pytest.mark.parametrize("kind", ["bare_stream", "packed_avi"])
def test_broken_timestamps_ask_for_a_mezzanine_that_keeps_every_frame(
    kind, request, tmp_path
):
    given = request.getfixturevalue(kind)
    assert build_index(given).fault is not None
    facts = probe(given, Limits())
    picture = picture_for(facts, StereoMode.SBS)
    prepared = prepare(given, facts, tmp_path, Wishes(target_seconds=1))
    frames, segments = [], []

    for number, path, own in split_prepared(prepared, tmp_path):
        segments.append(convert(path, own, picture, tmp_path / f"stereo{number}.mp4"))
        frames.append(own)
    final = tmp_path / "final.mp4"
    sound = join(given, frames, segments, final, StereoMode.SBS)

    verify_final(final, sound, facts, frames)
    assert numbers(final) == numbers(given)


def numbers(path) -> list[int]:
    with av.open(str(path)) as container:
        return [bar_code(frame) for frame in container.decode(video=0)]


def test_a_film_with_a_fault_cannot_be_split_by_mistake(bare_stream, tmp_path):
    index = build_index(bare_stream)

    with pytest.raises(ValueError, match="mezzanine"):
        next(split(bare_stream, index, [], tmp_path))


def test_hidden_beginnings_are_no_frames(source):
    index = build_index(source("an edit list that hides the beginning"))

    assert 0 < index.frame_count < len(index.pts)
    assert index.frames[0] >= 0


def test_frames_that_cannot_be_decoded_at_the_start_are_no_frames(source):
    given = source("a recording that begins inside a group of pictures")

    index = build_index(given)

    assert index.fault is None
    assert index.frames.tolist() == decoded(given)
    assert index.frame_count < len(index.pts)


def decoded(path) -> list[int]:
    with av.open(str(path)) as container:
        return [frame.pts for frame in container.decode(video=0)]


def test_gradual_refresh_is_seen_in_the_packets(source):
    refresh = build_index(source("intra refresh instead of keyframes"))
    ordinary = build_index(source("open gops"))

    assert refresh.recovery.max() > 5
    assert ordinary.recovery.max() == 0


@pytest.mark.parametrize(
    ("data", "frames"),
    [
        (bytes.fromhex("000001 06 06 01 12 80"), 8),
        (bytes.fromhex("000001 06 06 01 80 80"), 0),
        (bytes.fromhex("000001 65 88"), 0),
        (bytes.fromhex("000001 41 9a"), 0),
        (bytes.fromhex("000001 06 ff"), 0),
        (b"", 0),
    ],
    ids=["eight later", "at once", "IDR", "slice", "broken", "empty"],
)
def test_the_count_of_a_recovery_point_is_read(data, frames):
    assert recovery_frame_count(data, prefix=0) == frames


def test_an_index_survives_being_written_down(source, tmp_path):
    index = build_index(source("variable frame rate with a gap"))

    index.save(tmp_path / "index.npz")
    again = Index.load(tmp_path / "index.npz")

    assert again.frame_count == FRAMES
    assert (again.time_base, again.fault) == (index.time_base, None)
    for name in ("pts", "dts", "size", "flags", "recovery", "frames"):
        assert np.array_equal(getattr(again, name), getattr(index, name))


def test_a_file_that_is_gone_bad_is_refused_in_a_sentence(tmp_path):
    path = tmp_path / "film.mkv"
    path.write_bytes(b"\x1a\x45\xdf\xa3" + bytes(100))

    with pytest.raises(StereoSpotError) as refusal:
        build_index(path)

    assert refusal.value.code is ErrorCode.UNSUPPORTED_VIDEO


def test_an_index_takes_no_more_memory_than_its_numbers(tmp_path):
    given = film(tmp_path / "long.mp4", count=1500, size=(208, 48))
    build_index(given)
    tracemalloc.start()

    index = build_index(given)

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # The packets themselves take several times that.
    assert peak < 150 * index.frame_count + 100_000


def test_a_recording_whose_clock_starts_again_is_refused_with_advice(source, tmp_path):
    twice = tmp_path / "twice.ts"
    twice.write_bytes(source("a transport stream with open gops").read_bytes() * 2)

    with pytest.raises(StereoSpotError, match="export it as one film") as raised:
        build_index(twice)

    assert raised.value.code is ErrorCode.UNSUPPORTED_VIDEO


def test_a_mezzanine_of_an_interlaced_film_is_still_interlaced(source, tmp_path):
    path = source("interlaced broadcast")
    facts = probe(path, Limits())

    prepared = prepare(path, facts, tmp_path, Wishes(most_extra=-1))

    assert facts.interlaced
    with av.open(str(prepared.path)) as container:
        assert all(frame.interlaced_frame for frame in container.decode(video=0))
