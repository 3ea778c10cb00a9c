from __future__ import annotations

import weakref
from contextlib import contextmanager
from dataclasses import replace

import av
import pytest
import torch

from contract.errors import ErrorCode, StereoSpotError
from contract.modes import Engine, StereoMode
from inference.convert import convert
from inference.encoder import writer
from inference.engines import pipeline_for
from inference.frames import read_frames
from inference.pipeline import Rendering
from inference.scene import render
from inference.stages.depth.preview import WINDOW, Preview
from inference.stages.fill.push_pull import push_pull
from tests.inference.films import (
    TICK,
    VARIABLE,
    conversion,
    film,
    manifest,
    shown,
)

PIPELINE = pipeline_for(Engine.PREVIEW)


def run(asked, source, target, on_frames=lambda count: None):
    return convert(asked, source, target, pipeline=PIPELINE, on_frames=on_frames)


def pictures(path):
    with av.open(str(path)) as container:
        frames = [
            frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)
        ]
    return torch.stack([torch.from_numpy(frame) for frame in frames]).float() / 255


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """48 frames of the sample scene, 160 × 90, and their timestamps at 12288 ticks."""
    path = tmp_path_factory.mktemp("scene") / "scene.mp4"
    render(path, seconds=2.0, fps=24, width=160, height=90)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        pts = sorted(p.pts for p in container.demux(stream) if p.pts is not None)
        return path, tuple(pts), stream.time_base


def test_every_own_frame_comes_out_at_its_own_time(tmp_path):
    source = film(tmp_path / "film.mp4", VARIABLE)
    frames = manifest(VARIABLE, lead=3, tail=2)
    told: list[int] = []

    done = run(conversion(frames), source, tmp_path / "made.mp4", told.append)

    assert done.frames == sum(told) == 7
    assert done.version == PIPELINE.version
    assert shown(tmp_path / "made.mp4") == [at * TICK for at in frames.core]


@pytest.mark.parametrize("mode", StereoMode)
def test_the_left_eye_is_the_source(tmp_path, mode, scene):
    path, pts, tick = scene
    frames = manifest(pts[:3], tick=tick)
    asked = conversion(frames, mode=mode, size=(160, 90), color_space=6, color_range=1)

    run(asked, path, tmp_path / "made.mp4")

    made, source = pictures(tmp_path / "made.mp4"), pictures(path)[:3]
    assert made.shape[1:3] == mode.packed_size(160, 90)[::-1]
    if mode in (StereoMode.SBS, StereoMode.TAB):
        loss = (made[:, :90, :160] - source).square().mean()
        assert -10 * torch.log10(loss) > 38


def test_a_film_in_segments_is_the_film_in_one_piece(tmp_path, scene, monkeypatch):
    path, pts, tick = scene
    kept: list[torch.Tensor] = []

    @contextmanager
    def watched(*arguments):
        # Before the encoder, which begins anew in each segment.
        with writer(*arguments) as write:

            def keep(picture):
                kept.append(picture.clone())
                write(picture)

            yield keep

    monkeypatch.setattr("inference.convert.writer", watched)
    asked = conversion(
        manifest(pts, tick=tick), size=(160, 90), color_space=6, color_range=1
    )
    run(asked, path, tmp_path / "whole.mp4")
    whole, kept[:] = torch.cat(kept), []

    for first, last in ((0, 13), (13, 14), (14, 33), (33, 48)):
        lead, tail = min(12, first), min(12, 48 - last)
        listed = pts[first - lead : last + tail]
        frames = manifest(pts, tick=tick).model_copy(
            update={
                "pts": tuple(at - listed[0] for at in listed),
                "lead": lead,
                "tail": tail,
            }
        )
        part = tmp_path / f"part{first}.mp4"
        film_of(path, listed, tick, part)
        own = asked.model_copy(update={"frames": frames})
        run(own, part, tmp_path / f"{first}.mp4")

    torch.testing.assert_close(torch.cat(kept), whole, atol=1e-5, rtol=0)


def film_of(path, listed, tick, part):
    """The listed frames of a film and the frames before them, the first listed at 0."""
    with (
        av.open(str(path)) as source,
        av.open(str(part), "w", options={"video_track_timescale": "12288"}) as target,
    ):
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.pts is not None:
                packet.pts -= listed[0]
                packet.dts -= listed[0]
                packet.stream = stream
                target.mux(packet)


def test_a_lost_lease_ends_the_conversion_and_leaves_no_file(tmp_path):
    source = film(tmp_path / "film.mp4", VARIABLE)
    target = tmp_path / "made" / "made.mp4"
    target.parent.mkdir()

    def lost(count):
        raise TimeoutError("the lease expired")

    with pytest.raises(TimeoutError, match="lease"):
        run(conversion(manifest(VARIABLE)), source, target, lost)

    assert list(target.parent.iterdir()) == []


def test_no_more_frames_are_held_than_a_window_and_its_context(tmp_path, monkeypatch):
    pts = tuple(range(0, 120 * 3000, 3000))
    source = film(tmp_path / "film.mp4", pts, size=(32, 16), preset="ultrafast")
    asked = conversion(manifest(pts), size=(32, 16))
    alive, most = 0, 0

    def gone():
        nonlocal alive
        alive -= 1

    def watched(*arguments):
        nonlocal alive, most
        for frame in read_frames(*arguments):
            alive += 1
            most = max(most, alive)
            weakref.finalize(frame, gone)
            yield frame

    monkeypatch.setattr("inference.convert.read_frames", watched)
    run(asked, source, tmp_path / "made.mp4")

    assert WINDOW < most <= 2 * WINDOW + Preview().context + 2


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError(
            "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`"
        ),
        MemoryError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_machine_without_enough_memory_is_said_and_leaves_no_file(tmp_path, error):
    source = film(tmp_path / "film.mp4", VARIABLE)
    (tmp_path / "made").mkdir()

    def full(left, disparity):
        raise error

    with pytest.raises(StereoSpotError, match="64 × 48 pixels take more") as told:
        convert(
            conversion(manifest(VARIABLE)),
            source,
            tmp_path / "made" / "made.mp4",
            pipeline=replace(PIPELINE, splat=full),
            on_frames=lambda count: None,
        )

    assert told.value.code is ErrorCode.OUT_OF_MEMORY
    assert list((tmp_path / "made").iterdir()) == []


def test_a_film_without_depth_needs_a_pipeline_that_has_one(tmp_path):
    source = film(tmp_path / "film.mp4", VARIABLE)

    with pytest.raises(ValueError, match="without depth"):
        convert(
            conversion(manifest(VARIABLE)),
            source,
            tmp_path / "made.mp4",
            pipeline=Rendering(fill=push_pull, version="none"),
            on_frames=lambda count: None,
        )
