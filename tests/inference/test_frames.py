from __future__ import annotations

from fractions import Fraction

import av
import pytest
import torch

from contract.errors import ErrorCode, StereoSpotError
from inference.colour import unit
from tests.inference.films import (
    VARIABLE,
    film,
    first_frame,
    manifest,
    number_of,
    read,
)


def numbers(frames):
    return [number_of(float(unit(frame)[..., :16, :].mean())) for frame in frames]


def test_all_listed_frames_come_in_order_at_variable_rate(tmp_path):
    source = film(tmp_path / "film.mp4", VARIABLE)

    assert numbers(read(source, manifest(VARIABLE))) == list(range(12))


def test_frames_that_are_not_listed_are_dropped_between_b_frames(tmp_path):
    source = film(tmp_path / "film.mp4", VARIABLE, preset="medium", bf="3")
    listed = manifest(VARIABLE)
    some = listed.model_copy(update={"pts": tuple(listed.pts[n] for n in (0, 2, 3, 7))})

    assert numbers(read(source, some)) == [0, 2, 3, 7]


def test_a_container_with_a_coarser_clock_is_matched_to_the_source_s(tmp_path):
    tick = Fraction(1001, 24000)
    source = film(tmp_path / "film.mkv", tuple(range(12)), tick=tick)
    with av.open(str(source)) as container:
        assert container.streams.video[0].time_base == Fraction(1, 1000)

    frames = read(source, manifest(tuple(range(12)), tick=tick))

    assert numbers(frames) == list(range(12))


@pytest.mark.parametrize(
    "pts", [(0, 3003, 6006, 9009), (0, 1, 3003), (*VARIABLE, 99_999, 100_000)]
)
def test_a_missing_frame_is_an_unreadable_segment(tmp_path, pts):
    source = film(tmp_path / "film.mp4", VARIABLE)

    with pytest.raises(StereoSpotError, match="lacks frame") as caught:
        read(source, manifest(pts))

    assert caught.value.code is ErrorCode.UNREADABLE_SEGMENT


def test_for_a_few_damaged_frames_the_one_before_stands_in(tmp_path):
    whole = tuple(range(40))
    source = film(tmp_path / "film.mp4", tuple(n for n in whole if n not in (7, 8, 39)))

    frames = read(source, manifest(whole))

    shown = numbers(frames)
    assert len(shown) == 40
    assert shown[6] == shown[7] == shown[8] != shown[9]
    assert shown[38] == shown[39]


def test_a_damaged_packet_costs_a_few_frames_and_not_the_segment(tmp_path):
    source = film(tmp_path / "film.mp4", tuple(range(40)), bf="0")
    with av.open(str(source)) as container:
        packets = [p for p in container.demux(video=0) if p.size]
    data = bytearray(source.read_bytes())
    at, size = packets[20].pos, packets[20].size
    data[at + 8 : at + size] = b"\xff" * (size - 8)
    source.write_bytes(data)

    assert len(read(source, manifest(tuple(range(40))))) == 40


def test_what_is_no_film_is_an_unreadable_segment(tmp_path):
    source = tmp_path / "film.mp4"
    source.write_bytes(b"not a film at all" * 100)

    with pytest.raises(StereoSpotError) as caught:
        read(source, manifest(VARIABLE))

    assert caught.value.code is ErrorCode.UNREADABLE_SEGMENT


def test_a_playlist_cannot_make_us_open_another_address(tmp_path):
    source = tmp_path / "film.mp4"
    source.write_text("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/secret.ts\n")

    with pytest.raises(StereoSpotError) as caught:
        read(source, manifest(VARIABLE))

    assert caught.value.code is ErrorCode.UNREADABLE_SEGMENT


def test_a_picture_of_another_size_is_an_unreadable_segment(tmp_path):
    source = film(tmp_path / "film.mp4", VARIABLE)

    with pytest.raises(StereoSpotError, match="64 × 48"):
        read(source, manifest(VARIABLE), size=(128, 48))


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_pixels_are_turned_clockwise(tmp_path, rotation):
    source = film(tmp_path / "film.mp4", VARIABLE[:2])
    upright = read(source, manifest(VARIABLE[:2]))[0]
    size = (48, 64) if rotation in (90, 270) else (64, 48)

    turned = read(source, manifest(VARIABLE[:2]), rotation=rotation, size=size)[0]

    assert turned.shape == (3, size[1], size[0])
    expected = unit(upright).rot90(-rotation // 90, dims=(-2, -1))
    assert torch.equal(unit(turned), expected)


def test_odd_sizes_are_padded_to_even_with_the_edge(tmp_path):
    source = film(
        tmp_path / "film.mp4", VARIABLE[:2], size=(63, 47), pixel_format="yuv444p"
    )

    frame = unit(read(source, manifest(VARIABLE[:2]), size=(64, 48))[0])

    assert torch.equal(frame[..., -1], frame[..., -2])
    assert torch.equal(frame[..., -1, :], frame[..., -2, :])


def test_interlaced_frames_come_out_one_for_one(tmp_path):
    source = film(tmp_path / "film.mp4", VARIABLE, interlaced=True)
    assert first_frame(source).interlaced_frame

    frames = read(source, manifest(VARIABLE), deinterlace=True)

    assert numbers(frames) == list(range(12))
