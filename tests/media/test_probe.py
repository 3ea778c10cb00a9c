"""What a source is, and what we say to a file that we do not take."""

from __future__ import annotations

import ffmpeg
import pytest

from apps.pipeline.media.film import Film, Track
from apps.pipeline.media.probe import Limits, probe
from contract.errors import ErrorCode, StereoSpotError
from contract.modes import StereoMode
from contract.pictures import picture_for
from tests.media.sources import FRAMES, film, noise, run, tone


def refusal(path, **limits) -> StereoSpotError:
    with pytest.raises(StereoSpotError) as raised:
        probe(path, Limits(**limits))
    message = raised.value.message
    assert message.endswith(".")
    assert ": " in message, "the sentence must tell what to do"
    return raised.value


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", ErrorCode.EMPTY_FILE),
        (b"This is a letter, not a film.\n" * 100, ErrorCode.NOT_A_VIDEO),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", ErrorCode.NOT_A_VIDEO),
        (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", ErrorCode.NOT_A_VIDEO),
        (bytes(range(256)) * 40, ErrorCode.NOT_A_VIDEO),
    ],
    ids=["empty", "a letter", "a list of files", "a playlist", "noise"],
)
def test_a_file_that_is_no_film_is_refused(content, code, tmp_path):
    path = tmp_path / "film.mp4"
    path.write_bytes(content)

    assert refusal(path).code is code


def test_a_picture_is_no_film(tmp_path):
    picture = tmp_path / "picture.png"
    film(picture, count=1, **{"c:v": "png", "vframes": 1})

    assert refusal(picture).code is ErrorCode.NOT_A_VIDEO


@pytest.mark.parametrize("name", ["sound.mp3", "sound.m4a", "sound.wav", "sound.ogg"])
def test_sound_alone_is_no_film(name, tmp_path):
    run(tone(1).output(str(tmp_path / name)))

    assert refusal(tmp_path / name).code is ErrorCode.NO_VIDEO_STREAM


def test_a_cover_is_no_film(source, tmp_path):
    whole = source("an mp4 with everything")
    album = tmp_path / "album.mp4"
    given = ffmpeg.input(str(whole))
    run(
        ffmpeg.output(
            given["a:0"],
            given["v:1"],
            str(album),
            c="copy",
            **{"disposition:v:0": "attached_pic"},
        )
    )

    assert refusal(album).code is ErrorCode.NO_VIDEO_STREAM


def test_an_mp4_without_its_index_is_cut_off(source, tmp_path):
    data = source("closed gops at 29 97").read_bytes()
    path = tmp_path / "film.mp4"
    path.write_bytes(data[: len(data) // 2])

    assert refusal(path).code is ErrorCode.TRUNCATED


def test_a_faststart_mp4_cut_in_the_middle_is_cut_off(tmp_path):
    data = film(tmp_path / "whole.mp4", tone(), movflags="+faststart").read_bytes()
    path = tmp_path / "film.mp4"
    path.write_bytes(data[: len(data) * 2 // 3])

    assert refusal(path).code is ErrorCode.TRUNCATED


@pytest.mark.parametrize("suffix", ["mkv", "avi", "flv"])
def test_other_formats_cut_in_the_middle_are_cut_off(suffix, tmp_path):
    whole = film(tmp_path / f"whole.{suffix}", tone(12), count=300, ar=44100)
    assert probe(whole, Limits()).duration > 11
    data = whole.read_bytes()
    path = tmp_path / f"film.{suffix}"
    path.write_bytes(data[: len(data) // 2])

    assert refusal(path).code is ErrorCode.TRUNCATED


def test_a_film_whose_pictures_are_garbage_is_refused(source, tmp_path):
    data = bytearray(source("no sound").read_bytes())
    start = data.index(b"mdat") + 4
    end = data.index(b"moov") - 4
    data[start:end] = b"\xff" * (end - start)
    path = tmp_path / "film.mp4"
    path.write_bytes(data)

    assert refusal(path).code is ErrorCode.UNSUPPORTED_VIDEO


@pytest.mark.parametrize(
    "limit", [{"bytes": 1000}, {"seconds": 1}, {"pixels": 100}, {"streams": 3}]
)
def test_a_film_over_a_limit_is_too_large(limit, source):
    given = source("an mkv with everything")
    probe(given, Limits())

    assert refusal(given, **limit).code is ErrorCode.TOO_LARGE


FACTS = {
    "closed gops at 29 97": {
        "codec": "h264",
        "frame_rate": (30000, 1001),
        "audio": (Track(codec="aac"),),
        "extension": "mp4",
        "interlaced": False,
    },
    "an mkv with everything": {
        "chapters": 3,
        "subtitles": (Track(codec="subrip"), Track(codec="ass")),
        "extension": "mkv",
    },
    "an mp4 with everything": {"chapters": 3, "codec": "h264", "extension": "mp4"},
    "a phone held upright": {"rotation": 270, "width": 256, "height": 144},
    "interlaced broadcast": {"interlaced": True},
    "anamorphic pixels": {"sample_aspect_ratio": (64, 45)},
    "vp9 of odd size": {"width": 253, "height": 143, "extension": "mp4"},
    "prores with timecode and pcm": {"extension": "mov", "bit_depth": 10},
    "no sound": {"audio": (), "extension": "mp4"},
    "ten bit hevc with open gops": {"bit_depth": 10, "pixel_format": "yuv420p10le"},
}


@pytest.mark.parametrize(("name", "facts"), FACTS.items(), ids=FACTS)
def test_probe_tells_what_a_source_is(name, facts, source):
    told = probe(source(name), Limits())

    assert {key: getattr(told, key) for key in facts} == facts
    assert told.duration == pytest.approx(FRAMES / told.frames_per_second, abs=3)


def test_hdr10_is_kept_in_the_words_of_the_encoder(source):
    told = probe(source("hdr10 in mkv"), Limits())

    assert (told.color_primaries, told.color_trc, told.color_space) == (9, 16, 9)
    assert told.hdr is not None
    assert told.hdr.max_cll == "1000,400"
    assert told.hdr.master_display == (
        "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)"
    )


@pytest.mark.parametrize(
    ("codec", "extension"),
    [("truehd", "mkv"), ("pcm_s16le", "mov"), ("flac", "mp4"), ("ac3", "mp4")],
)
def test_the_final_takes_the_sound_unchanged(codec, extension, tmp_path):
    options = {"c:a": codec, "strict": "experimental", "b:v": "100k"}
    given = film(tmp_path / "film.mkv", noise(1), count=20, **options)

    assert probe(given, Limits()).extension == extension


def test_sound_that_no_final_can_keep_is_refused_before_the_work(tmp_path):
    given = film(tmp_path / "film.wmv", tone(1), count=20, **{"c:a": "wmav2"})

    error = refusal(given)

    assert error.code is ErrorCode.UNSUPPORTED_VIDEO
    assert "wmav2" in error.message


def a_film(**facts) -> Film:
    known = {"codec": "h264", "width": 1920, "height": 1080, "pixel_format": "yuv420p"}
    return Film(**known | {"time_base": (1, 25), "duration": 9} | facts)


def test_a_turned_film_gets_upright_eyes_and_pixels():
    turned = a_film(rotation=90, sample_aspect_ratio=(4, 3))

    picture = picture_for(turned, StereoMode.SBS)

    assert (picture.eye_width, picture.eye_height) == (1080, 1920)
    assert picture.sample_aspect_ratio == (3, 4)
    assert picture.rotation == 90


@pytest.mark.parametrize(
    ("facts", "mode", "codec", "pixel_format"),
    [
        ({}, StereoMode.SBS, "h264", "yuv420p"),
        ({"bit_depth": 10}, StereoMode.SBS, "hevc", "yuv420p10le"),
        ({"width": 3840, "height": 2160}, StereoMode.SBS, "hevc", "yuv420p"),
        ({"width": 3840, "height": 2160}, StereoMode.HALF_SBS, "h264", "yuv420p"),
        ({"width": 3840, "height": 2160}, StereoMode.TAB, "hevc", "yuv420p"),
        ({"width": 2048, "height": 1080}, StereoMode.SBS, "h264", "yuv420p"),
    ],
)
def test_big_or_deep_pictures_are_hevc(facts, mode, codec, pixel_format):
    picture = picture_for(a_film(**facts), mode)

    assert (picture.codec, picture.pixel_format) == (codec, pixel_format)


@pytest.mark.parametrize(
    ("primaries", "transfer", "matrix", "size", "meant"),
    [
        (2, 2, 1, (1280, 536), (1, 1, 1)),
        (2, 2, 6, (720, 480), (6, 6, 6)),
        (2, 2, 5, (720, 576), (5, 6, 5)),
        (2, 2, 2, (1920, 1080), (1, 1, 1)),
        (2, 2, 2, (640, 360), (6, 6, 6)),
        (1, 2, 1, (1280, 536), (1, 1, 1)),
        (2, 2, 0, (640, 360), (1, 13, 6)),
        # What is said of them is not a part of one standard: nobody can say the rest.
        (9, 2, 1, (1280, 536), (9, 2, 1)),
        (2, 16, 1, (1920, 1080), (2, 16, 1)),
        (2, 2, 9, (3840, 2160), (2, 2, 9)),
        (9, 16, 9, (3840, 2160), (9, 16, 9)),
        (1, 13, 1, (1280, 536), (1, 13, 1)),
    ],
)
def test_colours_are_said_in_full_where_there_is_no_doubt(
    primaries, transfer, matrix, size, meant
):
    width, height = size
    told = a_film(
        width=width,
        height=height,
        color_primaries=primaries,
        color_trc=transfer,
        color_space=matrix,
    )

    picture = picture_for(told, StereoMode.SBS)

    assert (picture.color_primaries, picture.color_trc, picture.color_space) == meant


def test_odd_sizes_become_even_and_keyframes_come_every_two_seconds():
    odd = a_film(width=853, height=479, frame_rate=(24000, 1001), interlaced=True)

    picture = picture_for(odd, StereoMode.SBS)

    assert (picture.eye_width, picture.eye_height) == (854, 480)
    assert picture.gop == 48
    assert picture.deinterlace
