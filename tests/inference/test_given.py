from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest
import torch
from av import VideoFrame
from av.error import FFmpegError

from contract.errors import ErrorCode, StereoSpotError
from contract.frames import DepthFrames
from contract.modes import Engine, StereoSettings
from inference.convert import convert
from inference.engines import pipeline_for
from inference.frames import read_depth
from inference.grey import GreyReader
from inference.shots import Frame
from inference.stages.depth.given import Given, fitted
from inference.stages.depth.refine import refine
from tests.depths import RATE, depth_video, grey, number_of
from tests.inference.films import (
    VARIABLE,
    conversion,
    film,
    manifest,
)
from tests.inference.films import number_of as film_number_of

TICK = Fraction(1, 1000)  # of Matroska
PIPELINE = pipeline_for(Engine.PREVIEW)


def listed(count, *, first=0, is_full_range=True, **around):
    """The manifest of frames `first` … of a depth video with a clock of milliseconds."""
    pts = tuple(number * 1000 // RATE for number in range(first, first + count))
    frames = manifest(pts, tick=TICK, **around).model_copy(update={"start": pts[0]})
    return DepthFrames(frames=frames, is_full_range=is_full_range)


def frames_of(count):
    return [Frame(torch.zeros(3, 4, 4, dtype=torch.uint16), False, 0)] * count


def test_own_frames_get_their_own_depth_and_neighbours_none(tmp_path):
    video = depth_video(tmp_path / "depth.mkv", 12)

    made = list(Given(video, listed(12))(iter(frames_of(12)), own=range(3, 10), seed=0))

    assert [number_of(float(depth.mean())) for depth in made] == list(range(3, 10))
    assert made[0].shape == (1, 1, 48, 64)


@pytest.mark.parametrize(
    ("pixel_format", "bits"), [("gray", 8), ("gray10le", 10), ("gray16le", 16)]
)
def test_every_bit_is_kept(tmp_path, pixel_format, bits):
    video = depth_video(tmp_path / "depth.mkv", 4, pixel_format=pixel_format)

    made = torch.cat(list(read_depth(video, listed(4))))

    # Greys are whole steps of 255; those that 10 bits lack, swscale dithers.
    most = 1 / 1023 if bits == 10 else 0
    for number, depth in enumerate(made):
        assert (depth - grey(number)).abs().max() <= most + 1e-7


@pytest.mark.parametrize("pixel_format", ["gray16le", "gray16be"])
def test_sixteen_bits_are_read_in_either_order(pixel_format):
    whole = np.full((4, 6), 0x1234, np.uint16)
    frame = VideoFrame.from_ndarray(whole, format="gray16le")

    luma = GreyReader(is_full_range=True).luma(frame.reformat(format=pixel_format))

    assert torch.allclose(luma, torch.tensor(0x1234 / 65535), rtol=1e-6)


@pytest.mark.parametrize("is_full_range", [True, False])
def test_black_and_white_are_where_the_range_puts_them(tmp_path, is_full_range):
    # Luma 10 of 255 and up: in limited range the first two lie below black.
    video = depth_video(tmp_path / "depth.mkv", 80, pixel_format="gray")

    lumas = read_depth(video, listed(80, is_full_range=is_full_range))

    for number, depth in enumerate(lumas):
        level = 10 + 3 * number
        wanted = level / 255 if is_full_range else min(max(level - 16, 0), 219) / 219
        assert float(depth.mean()) == pytest.approx(wanted, abs=1e-6)


def test_a_depth_segment_that_lacks_a_frame_is_told_from_one_of_the_film(tmp_path):
    video = depth_video(tmp_path / "depth.mkv", 5)

    with pytest.raises(StereoSpotError, match="the depth video lacks frame 6") as told:
        list(read_depth(video, listed(6)))

    assert told.value.code is ErrorCode.UNREADABLE_SEGMENT


def test_a_depth_segment_that_is_no_video_is_said(tmp_path):
    path = tmp_path / "depth.mkv"
    path.write_bytes(b"grey" * 1000)

    with pytest.raises(StereoSpotError, match="depth video cannot be decoded") as told:
        list(read_depth(path, listed(1)))

    assert isinstance(told.value.__cause__, FFmpegError)


def wider(depth):
    """Each pixel as near as the nearest of itself and those beside it."""
    beside = torch.nn.functional.pad(depth, (1, 1, 0, 0), mode="replicate")
    return beside.unfold(-1, 3, 1).amax(-1)


def test_depth_of_the_films_own_size_keeps_its_values_but_for_wider_near_edges():
    depth, left = torch.rand(1, 1, 6, 8), torch.rand(1, 3, 6, 8)

    assert torch.equal(fitted(refine)(depth, left), wider(depth))


def test_the_published_way_widens_nothing():
    left = torch.rand(1, 3, 6, 8)
    same, large = torch.rand(1, 1, 6, 8), torch.rand(1, 1, 12, 16)
    fit = fitted(refine, widens=False)

    averaged = torch.nn.functional.avg_pool2d(large, 2)
    assert torch.equal(fit(same, left), same)
    torch.testing.assert_close(fit(large, left), averaged)


def test_the_reference_mode_does_not_widen_given_depth(tmp_path):
    source = film(tmp_path / "film.mp4", VARIABLE)
    steps = torch.rand(48, 64, generator=torch.Generator().manual_seed(1))
    video = tmp_path / "depth.mkv"
    one_picture(video, steps, count=len(VARIABLE))
    shown = []

    def watched(left, disparity):
        shown.append(disparity / (0.02 * 64) + 0.5)
        return PIPELINE.splat(left, disparity)

    for reference in (False, True):
        asked = conversion(manifest(VARIABLE)).model_copy(
            update={
                "depth": listed(len(VARIABLE)),
                "settings": StereoSettings(reference=reference),
            }
        )
        convert(
            asked,
            source,
            tmp_path / "made.mp4",
            pipeline=replace(PIPELINE, splat=watched),
            on_frames=lambda count: None,
            depth=video,
        )

    ours, published = shown[0], shown[-1]
    torch.testing.assert_close(published[0, 0], steps, atol=1e-4, rtol=0)
    torch.testing.assert_close(ours, wider(published), atol=1e-4, rtol=0)


def one_picture(path, inverse_depth, *, count):
    """A depth video of one picture [H, W] again and again."""
    whole = (inverse_depth * 65535).round().numpy().astype(np.uint16)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=RATE)
        stream.height, stream.width = whole.shape
        stream.pix_fmt = "gray16le"
        for number in range(count):
            frame = VideoFrame.from_ndarray(whole, format="gray16le")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def test_greys_that_are_floats_keep_their_values():
    values = np.linspace(0.0, 1.0, 48, dtype=np.float32).reshape(6, 8)
    frame = VideoFrame.from_ndarray(values, format="grayf32le")

    read = GreyReader(is_full_range=True).luma(frame)

    assert np.array_equal(read[0, 0].numpy(), values)


def test_depth_of_a_film_with_odd_sizes_is_padded_as_the_film_was():
    depth, left = torch.rand(1, 1, 5, 7), torch.rand(1, 3, 6, 8)

    made = fitted(refine)(depth, left)

    assert made.shape[-2:] == (6, 8)
    assert torch.equal(made[..., :5, :7], wider(depth))
    assert torch.equal(made[..., 5, :], made[..., 4, :])
    assert torch.equal(made[..., 7], depth[..., [0, 1, 2, 3, 4, 4], 6])


def test_smaller_depth_is_refined_and_larger_depth_averaged():
    left = torch.rand(1, 3, 8, 8)
    small, large = torch.rand(1, 1, 4, 4), torch.rand(1, 1, 16, 16)

    grown = fitted(refine)(small, left)
    shrunk = fitted(refine)(large, left)

    torch.testing.assert_close(grown, refine(small, left))
    averaged = torch.nn.functional.avg_pool2d(large, 2)
    torch.testing.assert_close(shrunk, wider(averaged))


def test_a_film_of_variable_rate_is_paired_by_number_with_depth_of_a_constant_one(
    tmp_path,
):
    source = film(tmp_path / "film.mp4", VARIABLE)
    video = depth_video(tmp_path / "depth.mkv", len(VARIABLE))
    asked = conversion(manifest(VARIABLE, lead=3, tail=2)).model_copy(
        update={"depth": listed(len(VARIABLE), lead=3, tail=2)}
    )
    pairs = []

    def watched(left, disparity):
        half = left[0, :, : left.shape[-2] // 2]
        # The largest shift is 2 % of 64 pixels, and the screen lies at 0.5.
        inverse_depth = float(disparity.mean()) / (0.02 * 64) + 0.5
        pairs.append((film_number_of(float(half.mean())), number_of(inverse_depth)))
        return PIPELINE.splat(left, disparity)

    convert(
        asked,
        source,
        tmp_path / "made.mp4",
        # Depth of the film's size is not refined.
        pipeline=replace(PIPELINE, splat=watched, refine=None),
        on_frames=lambda count: None,
        depth=video,
    )

    assert pairs == [(number, number) for number in range(3, 10)]


@pytest.mark.parametrize("is_described", [True, False])
def test_a_depth_segment_and_its_manifest_come_together(tmp_path, is_described):
    asked = conversion(manifest(VARIABLE))
    asked = asked.model_copy(update={"depth": listed(12) if is_described else None})

    with pytest.raises(ValueError, match="come together"):
        convert(
            asked,
            tmp_path / "film.mp4",
            tmp_path / "made.mp4",
            pipeline=PIPELINE,
            on_frames=lambda count: None,
            depth=None if is_described else tmp_path / "depth.mkv",
        )
