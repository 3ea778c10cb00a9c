"""The splat and the `stereocrafter` engine on a card; `benchmarks.gpu` has the details."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch

from benchmarks.gpu import (
    PUBLISHED_BYTES,
    TRITON,
    moved,
    random_networks,
    run_pipeline,
    splat_seconds,
)
from benchmarks.parts import Bench
from benchmarks.row import Row, in_turns
from inference.diffusion.networks import Networks
from inference.hardware import Hardware

SPLAT = partial(
    Row, "splat, GPU, 1920 × 1080", "µs", 0.1, f"{PUBLISHED_BYTES} bytes a pixel, moved"
)
ENGINE = partial(
    Row,
    "a frame of stereocrafter, 1024 × 576",
    "s",
    round(1 / 3, 3),
    "the published loop",
)


def measure(bench: Bench) -> Iterator[Row]:
    if not torch.cuda.is_available():
        yield SPLAT(why_not="no GPU")
        yield ENGINE(why_not="no GPU")
        return
    torch.set_grad_enabled(False)
    frames, runs = (16, 1) if bench.quick else (110, 3)
    device = torch.device("cuda")
    both = [splat_seconds(device, (1080, 1920))[1] for _ in range(runs)]
    yield SPLAT(
        [1e6 * taken[TRITON] for taken in both],
        [1e6 * taken[moved(PUBLISHED_BYTES)] for taken in both],
    )
    bench.say("gpu: random weights …")
    hardware = Hardware(device, torch.float16, compile=False)
    depth, stereo, _ = random_networks(hardware, tiny=False)
    ours, published = (
        partial(_frame_seconds, depth, stereo, frames, ours=ours)
        for ours in (True, False)
    )
    in_turns(ours, published, 1)  # kernels are compiled and chosen then
    yield ENGINE(*in_turns(ours, published, runs))


def _frame_seconds(
    depth: Networks, stereo: Networks, frames: int, *, ours: bool
) -> float:
    clock = run_pipeline(depth, stereo, (576, 1024), frames, ours=ours)
    return clock.seconds["whole"] / frames
