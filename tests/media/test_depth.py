"""Depth videos: held against the film, and cut at its frame numbers."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest

from apps.pipeline.media.depth import prepare_depth, split_depth
from apps.pipeline.media.plan import Span
from apps.pipeline.media.probe import Limits
from contract.errors import ErrorCode, StereoSpotError
from inference.frames import read_depth
from tests.depths import depth_video, number_of

SPANS = [Span(0, 20, tail=4), Span(20, 21, lead=4, tail=4), Span(41, 9, lead=4)]
FRAMES = 50


def cut(path, folder, spans=SPANS):
    """The manifest and the read inverse depth of each segment object."""
    depth = prepare_depth(path, Limits(), folder, spans)
    return [
        (manifest, [float(each.mean()) for each in read_depth(part, manifest)])
        for _, part, manifest in split_depth(depth, folder)
    ]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("8.mkv", {"pixel_format": "gray"}),
        ("10.mkv", {"pixel_format": "gray10le"}),
        ("16.mkv", {}),
        ("h264.mp4", {"codec": "libx264", "pixel_format": "gray", "crf": "0"}),
        ("h264.ts", {"codec": "libx264", "pixel_format": "gray", "crf": "0"}),
        ("hevc.mp4", {"codec": "libx265", "pixel_format": "gray12le", "crf": "2"}),
        ("big.mov", {"codec": "png", "pixel_format": "gray16be"}),
        ("rgb.mov", {"codec": "png", "pixel_format": "rgb24"}),
        ("full.mp4", {"codec": "libx264", "pixel_format": "yuvj420p", "crf": "0"}),
        (
            "limited.mp4",
            {
                "codec": "libx264",
                "pixel_format": "yuv420p",
                "crf": "0",
                "is_full_range": False,
            },
        ),
        (
            "limited10.mov",
            {
                "codec": "prores_ks",
                "pixel_format": "yuv422p10le",
                "is_full_range": False,
            },
        ),
        *(
            (
                f"limited-{codec}-{pixel_format}.mov",
                {
                    "codec": codec,
                    "pixel_format": pixel_format,
                    "is_full_range": False,
                    **({"crf": "0"} if codec == "libx264" else {}),
                },
            )
            for codec, pixel_format in (
                ("libx264", "yuv444p"),
                ("libx264", "yuv444p10le"),
                ("prores_ks", "yuv444p10le"),
                ("prores_ks", "yuva444p10le"),
            )
        ),
    ],
)
def test_every_segment_has_the_depth_of_its_own_frames(tmp_path, name, options):
    video = depth_video(tmp_path / name, FRAMES, **options)

    for span, (manifest, depths) in zip(SPANS, cut(video, tmp_path), strict=True):
        assert (manifest.frames.lead, manifest.frames.tail) == (span.lead, span.tail)
        assert [number_of(depth) for depth in depths] == list(span.listed)


@pytest.mark.parametrize(
    ("pixel_format", "most"),
    [("gray", 0), ("gray10le", 0.5 / 1023), ("gray16le", 0), ("gray16be", 0)],
)
def test_what_cannot_be_copied_is_cut_from_a_copy_without_loss(
    tmp_path, monkeypatch, pixel_format, most
):
    monkeypatch.setattr("apps.pipeline.media.prepare.object_format", lambda path: None)
    name, codec = ("mov", "png") if pixel_format.endswith("be") else ("mkv", "ffv1")
    video = depth_video(
        tmp_path / f"depth.{name}", 8, codec=codec, pixel_format=pixel_format
    )

    [(_, depths)] = cut(video, tmp_path, [Span(0, 8)])

    assert (tmp_path / "mezzanine.mov").exists()
    wanted = [(10 + 3 * number) / 255 for number in range(8)]
    assert np.abs(np.array(depths) - wanted).max() <= most + 1e-7


def test_grey_h264_that_cannot_be_copied_keeps_its_full_range(tmp_path, monkeypatch):
    monkeypatch.setattr("apps.pipeline.media.prepare.object_format", lambda path: None)
    video = depth_video(
        tmp_path / "depth.mp4", 8, codec="libx264", pixel_format="gray", crf="0"
    )

    [(_, depths)] = cut(video, tmp_path, [Span(0, 8)])

    assert [number_of(depth) for depth in depths] == list(range(8))


@pytest.mark.parametrize(
    ("count", "says"),
    [
        (49, "The film has 50 frames and its depth video 49 frames"),
        (51, "The film has 50 frames and its depth video 51 frames"),
        (1, "The film has 50 frames and its depth video 1 frame:"),
    ],
)
def test_another_number_of_frames_is_refused(tmp_path, count, says):
    video = depth_video(tmp_path / "depth.mkv", count)

    with pytest.raises(StereoSpotError, match=says) as refused:
        cut(video, tmp_path)

    assert refused.value.code is ErrorCode.DEPTH_UNUSABLE


def test_a_depth_video_that_players_turn_is_refused(tmp_path):
    upright = depth_video(
        tmp_path / "depth.mp4", 4, codec="libx264", pixel_format="gray"
    )
    turned = tmp_path / "turned.mp4"
    with av.open(str(upright)) as given, av.open(str(turned), "w") as container:
        stream = container.add_stream_from_template(given.streams.video[0])
        stream.set_display_rotation(90)
        for packet in given.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                container.mux(packet)

    with pytest.raises(StereoSpotError, match="export it upright"):
        prepare_depth(turned, Limits(), tmp_path, [Span(0, 4)])


def test_its_clock_is_its_own(tmp_path):
    video = depth_video(tmp_path / "depth.mkv", FRAMES)

    [(first, _), *_] = cut(video, tmp_path)

    frames = first.frames
    assert Fraction(frames.pts[1]) * frames.seconds_per_tick == Fraction(1, 25)
