"""Whoever started a conversion is heard while it works, not only when frames come."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from inference.convert import convert
from inference.diffusion.sampler import denoised
from inference.frames import read_depth, read_frames
from inference.heartbeat import beat, heard
from inference.stages.fill.recipe import DEFAULT
from inference.stages.fill.stereocrafter import StereoCrafter
from inference.weights.hub import Progress
from tests.depths import depth_video
from tests.inference.diffusion.drawing import Drawing, views
from tests.inference.films import VARIABLE, conversion, film, manifest
from tests.inference.test_convert import PIPELINE
from tests.inference.test_given import listed


class StoppedError(Exception):
    pass


def stop():
    raise StoppedError


def beats_of(work):
    """How often whoever listens is called."""
    beats = []
    with heard(lambda: beats.append(1)):
        work()
    return len(beats)


def test_what_the_listener_raises_ends_the_work_and_nobody_else_hears_it():
    with pytest.raises(StoppedError), heard(stop):
        beat()

    beat()


def test_every_decoded_frame_beats(tmp_path):
    source = film(tmp_path / "film.mp4", VARIABLE)
    video = depth_video(tmp_path / "depth.mkv", 5)
    asked = conversion(manifest(VARIABLE))

    assert len(VARIABLE) == beats_of(
        lambda: list(read_frames(source, asked.frames, asked.picture))
    )
    assert beats_of(lambda: list(read_depth(video, listed(5)))) == 5


def test_every_step_of_the_sampler_beats(depth_networks):
    latents = torch.zeros(2, 4, 8, 8)

    def work():
        denoised(latents, lambda scaled, at: scaled, depth_networks.schedule(3))

    assert beats_of(work) == 3


def test_every_tile_beats():
    recipe = replace(DEFAULT, tiles=2, keeps_source=False)
    fill = StereoCrafter(Drawing(), recipe)

    assert beats_of(lambda: list(fill(views(3, 250, 250), seed=1))) == 4


def test_weights_beat_while_they_are_fetched_in_another_thread():
    beats = []
    with heard(lambda: beats.append(1)):
        bar = Progress(total=10, unit="B")
    bar.update(5)  # by then in a thread that was started without this context

    assert beats == [1]


def test_a_conversion_is_stopped_before_its_first_frame_is_made(tmp_path):
    source = film(tmp_path / "film.mp4", VARIABLE)
    counts = []

    def on_frames(more):
        counts.append(more)
        if len(counts) == 3:
            raise StoppedError

    with pytest.raises(StoppedError):
        convert(
            conversion(manifest(VARIABLE)),
            source,
            tmp_path / "made.mp4",
            pipeline=PIPELINE,
            on_frames=on_frames,
        )

    assert counts == [0, 0, 0]
    assert not (tmp_path / "made.mp4").exists()
