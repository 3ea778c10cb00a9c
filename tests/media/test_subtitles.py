"""Subtitles beside a final, as a browser reads them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from apps.pipeline.media.subtitles import as_cue, write_subtitles
from apps.pipeline.media.tools import find_ffmpeg
from tests.media.sources import film

SRT = """1
00:00:00,500 --> 00:00:01,250
First <i>words</i>

2
00:00:02,000 --> 00:00:03,000
<script>alert(1)</script> --> & more
on two lines

"""
ASS = """[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize
Style: Default,Sans,20

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Dialogue: 0,0:00:02.00,0:00:03.00,Default,,0,0,0,,{\\pos(1,2)\\b1}Second{\\b0}
Dialogue: 0,0:00:01.00,0:00:02.00,Default,,0,0,0,,{\\p1}m 0 0 l 9 9{\\p0}
Dialogue: 0,0:00:00.50,0:00:01.25,Default,,0,0,0,,First
"""


def with_subtitles(folder: Path, name: str, codec: str, *texts: Path) -> Path:
    source, target = film(folder / "film.mkv"), folder / name
    inputs = [part for path in (source, *texts) for part in ("-i", str(path))]
    maps = [part for number in range(len(texts) + 1) for part in ("-map", f"{number}")]
    command = [find_ffmpeg(), "-loglevel", "error", *inputs, *maps, "-c", "copy"]
    subprocess.run([*command, "-c:s", codec, str(target)], check=True)
    return target


@pytest.fixture
def srt(tmp_path) -> Path:
    path = tmp_path / "words.srt"
    path.write_text(SRT)
    return path


@pytest.fixture
def ass(tmp_path) -> Path:
    path = tmp_path / "words.ass"
    path.write_text(ASS)
    return path


@pytest.mark.parametrize(
    ("name", "codec"), [("film.mp4", "mov_text"), ("final.mkv", "srt")]
)
def test_words_and_their_times_are_kept_and_nothing_else_is_said(
    tmp_path, srt, name, codec
):
    final = with_subtitles(tmp_path, name, codec, srt)

    assert write_subtitles(final, tmp_path) == [0]

    said = (tmp_path / "0.vtt").read_text()
    assert said.startswith("WEBVTT\n\n00:00:00.500 --> 00:00:01.250\nFirst <i>words")
    assert "00:00:02.000 --> 00:00:03.000\n" in said
    assert "<script" not in said
    assert "--&gt; &amp; more\non two lines" in said


def test_each_track_is_a_file_and_one_without_a_word_is_none(tmp_path, srt, ass):
    (tmp_path / "none.srt").write_text("1\n00:00:00,500 --> 00:00:01,000\n \n\n")
    final = with_subtitles(
        tmp_path, "final.mkv", "copy", srt, tmp_path / "none.srt", ass
    )

    assert write_subtitles(final, tmp_path) == [0, 2]

    styled = (tmp_path / "2.vtt").read_text().split("\n\n")
    assert styled[1:] == [
        "00:00:00.500 --> 00:00:01.250\nFirst",
        "00:00:02.000 --> 00:00:03.000\n<b>Second</b>\n",
    ]


def test_a_film_without_subtitles_has_none(tmp_path):
    assert write_subtitles(film(tmp_path / "film.mp4"), tmp_path) == []


@pytest.mark.parametrize(
    ("dialogue", "cue"),
    [
        ("a\\Nb", "a\nb"),
        ("a\\N\\N\\Nb", "a\nb"),  # an empty line ends a cue
        ("a\r\n\r\nb", "a \n \nb".replace("\n \n", "\n")),
        ("{\\an8\\i1}a{\\i0}\\hb", "<i>a</i>\u00a0b"),
        ("{\\fad(1,2)}a{\\blur3}b", "ab"),
        ("a < b > c & d", "a &lt; b &gt; c &amp; d"),
        ("a\x00b\x1bc", "a b c"),
        ("{\\p1}m 0 0{\\p0}", ""),
        ("{\\pos(1,2)} ", ""),
    ],
)
def test_of_style_a_cue_keeps_what_browsers_know(dialogue, cue):
    assert as_cue(dialogue) == cue
