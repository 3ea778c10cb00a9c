"""The final is complete or not there, plays while it loads, and says how eyes lie."""

from __future__ import annotations

import itertools
from pathlib import Path

import av
import pytest

from apps.pipeline.media.index import build_index
from apps.pipeline.media.join import join
from apps.pipeline.media.plan import plan
from apps.pipeline.media.probe import Limits, probe
from apps.pipeline.media.sound import sound_tracks
from apps.pipeline.media.split import split
from apps.pipeline.media.tools import open_media, video_stream
from apps.pipeline.media.verify import starts_fast, verify_final, verify_segment
from contract.errors import ErrorCode, StereoSpotError
from contract.frames import SegmentFrames
from contract.modes import StereoMode
from contract.pictures import picture_for
from tests.media.worker import convert


def stereo(given: Path, folder: Path, presets=("ultrafast",)):
    """Manifests and stereo segments of a source, in three parts."""
    index = build_index(given)
    picture = picture_for(probe(given, Limits()), StereoMode.SBS)
    frames, segments = [], []
    preset = itertools.cycle(presets)
    for number, path, own in split(given, index, plan(index.frame_count, 32), folder):
        target = folder / f"stereo{number}.mp4"
        segments.append(convert(path, own, picture, target, next(preset)))
        frames.append(own)
    return frames, segments


def refusal(function, *args) -> StereoSpotError:
    with pytest.raises(StereoSpotError) as raised:
        function(*args)
    assert raised.value.code is ErrorCode.OUTPUT_INVALID
    return raised.value


SOURCES = {"mp4": "closed gops at 29 97", "mov": "prores with timecode and pcm"}


@pytest.mark.parametrize(("extension", "name"), SOURCES.items(), ids=SOURCES)
def test_the_index_comes_before_the_media(extension, name, source, tmp_path):
    given = source(name)
    final = tmp_path / f"final.{extension}"

    join(given, *stereo(given, tmp_path), final, StereoMode.SBS)

    assert starts_fast(final)
    assert not starts_fast(source("no sound")), "or the check would see nothing"


@pytest.mark.parametrize(
    ("mode", "box"),
    [
        (StereoMode.SBS, b"st3d\0\0\0\0\2"),
        (StereoMode.HALF_SBS, b"st3d\0\0\0\0\2"),
        (StereoMode.TAB, b"st3d\0\0\0\0\1"),
        (StereoMode.HALF_TAB, b"st3d\0\0\0\0\1"),
    ],
)
def test_an_mp4_says_how_the_eyes_lie(mode, box, source, tmp_path):
    given = source("no sound")
    final = tmp_path / "final.mp4"

    join(given, *stereo(given, tmp_path), final, mode)

    assert box in final.read_bytes()


def test_an_anaglyph_mp4_claims_no_second_eye(source, tmp_path):
    given = source("no sound")
    final = tmp_path / "final.mp4"

    join(given, *stereo(given, tmp_path), final, StereoMode.ANAGLYPH)

    assert b"st3d" not in final.read_bytes()


@pytest.mark.parametrize(
    ("mode", "told"),
    [
        (StereoMode.SBS, "left_right"),
        (StereoMode.HALF_TAB, "top_bottom"),
        (StereoMode.ANAGLYPH, "anaglyph_cyan_red"),
    ],
)
def test_an_mkv_says_how_the_eyes_lie(mode, told, source, tmp_path):
    given = source("anamorphic pixels")
    final = tmp_path / "final.mkv"

    join(given, *stereo(given, tmp_path), final, mode)

    with open_media(final) as container:
        assert video_stream(container).metadata["stereo_mode"] == told


@pytest.mark.parametrize(
    ("name", "mode", "shape"),
    [
        ("final.mp4", StereoMode.SBS, 64 / 45),
        ("final.mkv", StereoMode.SBS, 64 / 45),
        ("final.mkv", StereoMode.TAB, 64 / 45),
        ("final.mkv", StereoMode.ANAGLYPH, 64 / 45),
        # Matroska's size is that of one eye, which is squeezed in these.
        ("final.mkv", StereoMode.HALF_SBS, 2 * 64 / 45),
        ("final.mkv", StereoMode.HALF_TAB, 64 / 45 / 2),
    ],
)
def test_the_shape_of_pixels_survives(name, mode, shape, source, tmp_path):
    given = source("anamorphic pixels")
    final = tmp_path / name

    join(given, *stereo(given, tmp_path), final, mode)

    with open_media(final) as container:
        aspect = video_stream(container).sample_aspect_ratio
    assert float(aspect) == pytest.approx(shape, rel=0.01)


def test_hevc_is_labelled_so_that_apple_devices_play_it(source, tmp_path):
    given = source("ten bit hevc with open gops")
    final = tmp_path / "final.mp4"

    join(given, *stereo(given, tmp_path), final, StereoMode.SBS)

    with open_media(final) as container:
        assert video_stream(container).codec_context.codec_tag == "hvc1"


def test_tags_covers_fonts_and_languages_survive(source, tmp_path):
    mkv, mp4 = source("an mkv with everything"), source("an mp4 with everything")
    finals = tmp_path / "final.mkv", tmp_path / "final.mp4"
    for given, final in zip((mkv, mp4), finals, strict=True):
        join(given, *stereo(given, tmp_path), final, StereoMode.SBS)

    with av.open(str(finals[0])) as container:
        assert container.metadata["title"] == "A title"
        assert [s.language for s in container.streams.audio][1] == "ger"
        (font,) = container.streams.attachments
        assert (font.name, len(font.data)) == ("font.ttf", 2000)
        assert [part["start"] for part in container.chapters()][:2] == [0, 1234000000]
    with av.open(str(finals[1])) as container:
        assert container.metadata["title"] == "A title"
        assert len(container.streams.video) == 2, "the film and its cover"
        assert video_stream(container).codec_context.name == "h264"


def test_subtitles_are_shown_when_they_were(source, tmp_path):
    given = source("an mkv with everything")
    final = tmp_path / "final.mkv"

    join(given, *stereo(given, tmp_path), final, StereoMode.SBS)

    assert subtitles(given) == subtitles(final)
    assert len(subtitles(given)) == 7


def subtitles(path: Path) -> list[tuple[int, int, int, bytes]]:
    with open_media(path) as container:
        return sorted(
            (packet.stream.index, packet.pts, packet.duration, bytes(packet))
            for packet in container.demux(*container.streams.subtitles)
            if packet.size
        )


def test_segments_of_other_encoder_settings_are_refused(source, tmp_path):
    given = source("no sound")
    frames, segments = stereo(given, tmp_path, presets=("ultrafast", "veryfast"))
    final = tmp_path / "final.mp4"

    error = refusal(join, given, frames, segments, final, StereoMode.SBS)

    assert "other parameters" in error.message
    assert not list(tmp_path.glob("final*"))


def test_a_segment_without_one_of_its_frames_is_refused(source, tmp_path):
    given = source("no sound")
    frames, segments = stereo(given, tmp_path)
    frames[1] = without_a_frame(frames[1])

    error = refusal(
        join, given, frames, segments, tmp_path / "final.mp4", StereoMode.SBS
    )

    assert "segment 1" in error.message


def without_a_frame(own: SegmentFrames) -> SegmentFrames:
    return own.model_copy(update={"pts": own.pts[:20] + own.pts[21:]})


def moved_frame(own: SegmentFrames) -> SegmentFrames:
    pts = (*own.pts[:20], own.pts[20] + 7, *own.pts[21:])
    return own.model_copy(update={"pts": pts})


def test_what_was_begun_is_removed_when_joining_fails(source, tmp_path, monkeypatch):
    given = source("no sound")
    frames, segments = stereo(given, tmp_path)
    final = tmp_path / "final.mp4"
    monkeypatch.setattr(Path, "replace", refuse)

    with pytest.raises(PermissionError):
        join(given, frames, segments, final, StereoMode.SBS)

    assert not list(tmp_path.glob("final*"))


def refuse(*_args) -> None:
    raise PermissionError


def test_a_segment_is_checked_against_what_was_asked_for(source, tmp_path):
    given = source("no sound")
    picture = picture_for(probe(given, Limits()), StereoMode.SBS)
    frames, segments = stereo(given, tmp_path)
    own, segment = frames[0], segments[0]
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(segment.read_bytes()[:2000])

    verify_segment(segment, own, picture, StereoMode.SBS)
    deep = picture.model_copy(update={"pixel_format": "yuv420p10le"})
    hevc = picture.model_copy(update={"codec": "hevc"})

    for mistake in (
        (segment, own, picture, StereoMode.TAB),
        (segment, own, deep, StereoMode.SBS),
        (segment, own, hevc, StereoMode.SBS),
        (segment, without_a_frame(own), picture, StereoMode.SBS),
        (segment, moved_frame(own), picture, StereoMode.SBS),
        (broken, own, picture, StereoMode.SBS),
    ):
        refusal(verify_segment, *mistake)


def test_a_final_is_checked_against_source_and_plan(source, tmp_path):
    given = source("closed gops at 29 97")
    film = probe(given, Limits())
    frames, segments = stereo(given, tmp_path)
    final = tmp_path / "final.mp4"
    sound = join(given, frames, segments, final, StereoMode.SBS)

    verify_final(final, sound, film, frames)

    late = sound_tracks(source("sound that starts late"))
    chaptered = film.model_copy(update={"chapters": 2})
    moved = [frames[0], moved_frame(frames[1]), *frames[2:]]
    for mistake in (
        (final, late, film, frames),
        (final, sound, chaptered, frames),
        (final, sound, film, moved),
        (final, sound, film, frames[:-1]),
        (segments[0], sound, film, frames),
    ):
        refusal(verify_final, *mistake)
