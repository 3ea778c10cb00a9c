from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import Any

import av
import pytest
import torch

from contract.errors import ErrorCode, StereoSpotError
from contract.modes import StereoMode
from inference.colour import unit
from inference.encoder import writer
from tests.inference.films import (
    TICK,
    VARIABLE,
    conversion,
    encode,
    first_frame,
    headers,
    manifest,
    read,
    shown,
)

HDR = {
    "master_display": "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)",
    "max_cll": "1000,400",
}


@pytest.mark.parametrize("codec", ["h264", "hevc"])
@pytest.mark.parametrize("tick", [TICK, Fraction(1, 24), Fraction(1001, 30000)])
def test_timestamps_are_the_manifest_s_to_the_tick(tmp_path, codec, tick):
    pts = VARIABLE if tick == TICK else tuple(range(12))
    frames = manifest(pts, tick=tick, lead=2, tail=3)

    path = encode(tmp_path / "made.mp4", conversion(frames, codec=codec, preset="fast"))

    assert shown(path) == [at * tick for at in frames.core]
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.time_base is not None
        assert stream.duration is not None
        assert (tick / stream.time_base).denominator == 1
        # Shown until the first frame of the tail begins.
        end = (frames.pts[9] - frames.pts[2]) * tick
        assert stream.duration * stream.time_base == end


def test_groups_of_pictures_are_closed_and_no_longer_than_asked(tmp_path):
    frames = manifest(tuple(range(30)), tick=Fraction(1, 24))

    path = encode(tmp_path / "made.mp4", conversion(frames, gop=8, preset="medium"))

    with av.open(str(path)) as container:
        packets = [p for p in container.demux(video=0) if p.size]
    keys = [n for n, packet in enumerate(packets) if packet.is_keyframe]
    assert keys[0] == 0
    assert len(keys) >= 4
    for here, after in pairwise([*keys, len(packets)]):
        assert after - here <= 8
        assert min(p.pts or 0 for p in packets[here:after]) == packets[here].pts


@pytest.mark.parametrize("codec", ["h264", "hevc"])
@pytest.mark.parametrize("preset", ["ultrafast", "veryfast"])
def test_headers_are_the_same_in_every_segment_of_a_job(tmp_path, codec, preset):
    segments = [
        manifest(VARIABLE),
        manifest((0,)),
        manifest((0, 1500)),
        manifest(tuple(range(0, 40 * 1500, 1500)), lead=12, tail=12),
        manifest((0, 900_000)),
    ]

    made = {
        headers(
            encode(
                tmp_path / f"{number}.mp4",
                conversion(frames, codec=codec, preset=preset),
            )
        )
        for number, frames in enumerate(segments)
    }

    assert len(made) == 1
    assert made != {None}


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_colours_and_pixel_shape_are_written_into_the_stream(tmp_path, codec):
    tags: dict[str, Any] = {
        "color_range": 1,
        "color_primaries": 9,
        "color_trc": 16,
        "color_space": 9,
    }
    asked = conversion(
        manifest((0,)), codec=codec, sample_aspect_ratio=(64, 45), **tags
    )

    frame = first_frame(encode(tmp_path / "made.mp4", asked))

    assert (frame.color_range, frame.color_primaries) == (1, 9)
    assert (frame.color_trc, frame.colorspace) == (16, 9)
    with av.open(str(tmp_path / "made.mp4")) as container:
        assert container.streams.video[0].sample_aspect_ratio == Fraction(64, 45)


def test_hdr10_metadata_is_in_the_headers(tmp_path):
    plain = conversion(manifest((0,)), codec="hevc", pixel_format="yuv420p10le")
    hdr = conversion(manifest((0,)), codec="hevc", pixel_format="yuv420p10le", hdr=HDR)

    frame = first_frame(encode(tmp_path / "hdr.mp4", hdr))

    kinds = {data.type.name for data in frame.side_data}
    assert {"MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL"} <= kinds
    bare = first_frame(encode(tmp_path / "plain.mp4", plain))
    assert "CONTENT_LIGHT_LEVEL" not in {data.type.name for data in bare.side_data}


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        (StereoMode.SBS, 3),
        (StereoMode.HALF_SBS, 3),
        (StereoMode.TAB, 4),
        (StereoMode.HALF_TAB, 4),
        (StereoMode.ANAGLYPH, None),
    ],
)
def test_the_stream_says_how_the_eyes_are_packed(tmp_path, mode, kind):
    path = encode(tmp_path / "made.mp4", conversion(manifest((0,)), mode=mode))

    packed = [d for d in first_frame(path).side_data if d.type.name == "STEREO3D"]

    if kind is None:
        assert packed == []
    else:  # AVStereo3D begins with its type: 1 is side by side, 2 is top and bottom
        assert int.from_bytes(bytes(packed[0])[:4], "little") == kind - 2


def test_what_goes_wrong_leaves_no_file(tmp_path):
    def crash():
        asked = conversion(manifest(VARIABLE))
        target = tmp_path / "made.mp4"
        with writer(target, asked.frames, asked.picture, asked.mode) as write:
            write(torch.zeros(1, 3, 48, 128))
            raise RuntimeError("the lease expired")

    with pytest.raises(RuntimeError, match="lease"):
        crash()

    assert list(tmp_path.iterdir()) == []


def test_a_segment_that_ends_early_is_not_kept(tmp_path):
    def stop():
        asked = conversion(manifest(VARIABLE))
        target = tmp_path / "made.mp4"
        with writer(target, asked.frames, asked.picture, asked.mode) as write:
            write(torch.zeros(1, 3, 48, 128))

    with pytest.raises(StereoSpotError, match="early"):
        stop()

    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_said_so(tmp_path):
    (tmp_path / "made.mp4.partial").symlink_to("/dev/full")

    with pytest.raises(StereoSpotError) as caught:
        encode(tmp_path / "made.mp4", conversion(manifest(VARIABLE)))

    assert caught.value.code is ErrorCode.DISK_FULL
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("matrix", [1, 5, 9])
@pytest.mark.parametrize("full", [False, True])
def test_grey_is_grey_by_every_matrix_and_range(tmp_path, matrix, full):
    frames = manifest((0,))
    colours = {"color_space": matrix, "color_range": 2 if full else 1}
    asked = conversion(frames, mode=StereoMode.ANAGLYPH, **colours)
    grey = torch.full((1, 3, 48, 64), 0.6)

    path = encode(tmp_path / "grey.mp4", asked, [grey])

    luma = first_frame(path).to_ndarray()[:48].mean()
    assert luma == pytest.approx(0.6 * 255 if full else 16 + 0.6 * 219, abs=0.6)
    back = unit(read(path, frames, **colours)[0])
    assert back.mean(dim=(0, 2, 3)).tolist() == pytest.approx([0.6] * 3, abs=0.004)
    assert (back - grey).abs().max() < 0.015  # what the encoder's rounding leaves


def test_ten_bits_come_and_go(tmp_path):
    frames = manifest((0,))
    ramp = torch.linspace(0.2, 0.3, 64).expand(1, 3, 48, 64)
    asked = conversion(
        frames,
        mode=StereoMode.ANAGLYPH,
        codec="hevc",
        pixel_format="yuv420p10le",
        crf=0,
        color_space=9,
        color_range=1,
    )

    path = encode(tmp_path / "ramp.mp4", asked, [ramp])

    back = unit(read(path, frames, color_space=9, color_range=1)[0])
    assert first_frame(path).format.name == "yuv420p10le"
    assert (back - ramp).abs().max() < 2.5 / 1023
    assert len(back[0, 0, 0].unique()) > 0.1 * 219 + 20  # 8 bits have but 23 steps here
