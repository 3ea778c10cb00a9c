"""The engines with random weights, stage by stage: `python -m benchmarks.gpu`.

Ours against the published arithmetic, which is the same code with other numbers: two UNet
passes a step (of the fill in one batch), whole pictures decoded at once, every tile run,
depth enlarged and no more. Beside them `fast`, without stages. `--tiny` runs all of it with
tiny networks on any machine, to prove the script; its figures mean nothing.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, TypeVar
from unittest import mock

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.networks import (
    BASE,
    DEPTH,
    SINGLE,
    STEREO,
    save_networks,
    save_single,
)
from benchmarks.splat import scene
from contract.modes import StereoMode, StereoSettings
from inference.diffusion.networks import Networks
from inference.hardware import Hardware
from inference.pipeline import Pipeline
from inference.stages.depth import recipe as depth_recipe
from inference.stages.depth.anything import DepthAnything
from inference.stages.depth.depthcrafter import DepthCrafter
from inference.stages.depth.refine import enlarged, refine
from inference.stages.fill import recipe as fill_recipe
from inference.stages.fill.push_pull import push_pull
from inference.stages.fill.stereocrafter import StereoCrafter
from inference.stages.warp import splat as warp
from inference.stages.warp.published import published_splat

T = TypeVar("T")

PUBLISHED_BYTES = 290
"""Of memory traffic for a pixel: the published kernel's three calls, and what is around."""

OUR_BYTES = 32
"""Likewise the least in float32: read three colours and disparity, write as many."""

TRITON = "splat, Triton"
RUNS = 5
"""Of a splat, between two waits for the card."""

STAGES = ("encode", "embed", "denoise", "decode")


@dataclass
class Clock:
    """Seconds by stage; the card is waited for on either side of each."""

    device: torch.device
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    @contextmanager
    def of(self, stage: str) -> Iterator[None]:
        began = self._now()
        yield
        self.seconds[stage] += self._now() - began

    def timed(self, stage: str, function: Callable[..., T]) -> Callable[..., T]:
        def run(*args: Any, **options: Any) -> T:
            with self.of(stage):
                return function(*args, **options)

        return run

    def _now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()


@contextmanager
def networks_timed(clock: Clock, unets: dict[int, str]) -> Iterator[None]:
    """Every stage of the networks on the clock, with the part whose UNet it has."""
    with ExitStack() as patches:
        for stage in STAGES:
            timed = _by_part(clock, unets, stage)
            patches.enter_context(mock.patch.object(Networks, stage, timed))
        yield


def _by_part(clock: Clock, unets: dict[int, str], stage: str) -> Callable[..., Tensor]:
    stock: Callable[..., Tensor] = getattr(Networks, stage)

    def run(networks: Networks, *args: Any, **options: Any) -> Tensor:
        part = unets[id(networks.unet)]
        return clock.timed(f"{part}: {stage}", stock)(networks, *args, **options)

    return run


def film(frames: int, height: int, width: int) -> Iterable[Tensor]:
    """A panning picture [3, H, W] of 16 bits: one shot."""
    chance = torch.Generator().manual_seed(1)
    coarse = torch.rand(1, 3, 9, 32, generator=chance)
    wide = functional.interpolate(coarse, (height, 2 * width), mode="bicubic")[0]
    planes = (wide.clamp_(0.0, 1.0) * 65535).to(torch.uint16)
    for number in range(frames):
        left = number * 2 % width
        yield planes[..., left : left + width].contiguous()


def run_pipeline(
    depth: Networks, stereo: Networks, size: tuple[int, int], frames: int, *, ours: bool
) -> Clock:
    """Convert a film; what each stage took, and `whole`."""
    clock = Clock(depth.hardware.device)
    depths = depth_recipe.DEFAULT if ours else depth_recipe.REFERENCE
    fills = fill_recipe.DEFAULT if ours else fill_recipe.REFERENCE
    pipeline = Pipeline(
        depth=DepthCrafter(depth, depths),
        fill=StereoCrafter(stereo, fills),
        version="benchmark",
        refine=refine if ours else enlarged,
        splat=clock.timed("splat", warp.splat if ours else published_splat),
        device=str(clock.device),
    )
    unets = {id(depth.unet): "depth", id(stereo.unet): "fill"}
    with networks_timed(clock, unets):
        run(pipeline, clock, size, frames)
    return clock


def run_fast(single: DepthAnything, size: tuple[int, int], frames: int) -> Clock:
    """Likewise for the engine `fast`; only `splat` and `whole`."""
    clock = Clock(single.device)
    pipeline = Pipeline(
        depth=single,
        fill=push_pull,
        version="benchmark",
        splat=clock.timed("splat", warp.splat),
        device=str(clock.device),
    )
    run(pipeline, clock, size, frames)
    return clock


def run(pipeline: Pipeline, clock: Clock, size: tuple[int, int], frames: int) -> None:
    with clock.of("whole"):
        for _ in pipeline(
            film(frames, *size),
            own=range(frames),
            mode=StereoMode.SBS,
            settings=StereoSettings(),
            seed=1,
        ):
            pass


def report(clock: Clock, frames: int) -> None:
    whole = clock.seconds["whole"]
    print(f"{frames / whole:.3f} frames/s{_peak(clock.device)}\n")
    print("| stage | s/frame | share |\n|---|---|---|")
    for stage, seconds in clock.seconds.items():
        print(f"| {stage} | {seconds / frames:.4f} | {seconds / whole:.0%} |")
    print()


def _peak(device: torch.device) -> str:
    if device.type != "cuda":
        return ""
    return f", {torch.cuda.max_memory_allocated(device) / 1e9:.1f} GB at most"


def run_splats(device: torch.device, size: tuple[int, int]) -> None:
    """Print what each splat takes, against what the published one's memory traffic does."""
    bandwidth, taken = splat_seconds(device, size)
    bound = taken[moved(PUBLISHED_BYTES)]
    print(f"splat, where a copy of memory has {bandwidth / 1e9:.0f} GB/s\n")
    print("| | µs/frame | speed, of 290 bytes a pixel |\n|---|---|---|")
    for name, seconds in taken.items():
        print(f"| {name} | {seconds * 1e6:.1f} | {bound / seconds:.2f} × |")
    print()


def splat_seconds(
    device: torch.device, size: tuple[int, int]
) -> tuple[float, dict[str, float]]:
    """Bytes a second that a copy of memory has, and what each splat takes by its name."""
    clock = Clock(device)
    splats: dict[str, Callable[..., object]] = {
        "published_splat": published_splat,
        "splat, torch": splat_by_torch,
    }
    if device.type == "cuda":
        splats[TRITON] = warp.splat
    given = scene(*size, device)
    taken = {name: _taken(clock, made, *given) for name, made in splats.items()}
    megabytes = torch.empty(2**28 if device.type == "cuda" else 2**24, device=device)
    bandwidth = 2 * megabytes.nbytes / _taken(clock, megabytes.clone)
    pixels = size[0] * size[1]
    for count in (PUBLISHED_BYTES, OUR_BYTES):
        taken[moved(count)] = count * pixels / bandwidth
    return bandwidth, taken


def moved(count: int) -> str:
    """The name of a splat that does nothing but move so many bytes a pixel."""
    return f"{count} bytes a pixel, moved"


def splat_by_torch(left: Tensor, disparity: Tensor) -> tuple[Tensor, Tensor]:
    with mock.patch.object(warp, "_kernel", return_value=None):
        return warp.splat(left, disparity)


def _taken(clock: Clock, work: Callable[..., object], *args: Tensor) -> float:
    """Seconds of one run: the median of rounds, in each of which many are queued."""
    rounds = []
    for number in range(6):
        clock.seconds.clear()
        with clock.of("round"):
            for _ in range(RUNS):
                work(*args)
        if number:  # the first round compiles and warms up
            rounds.append(clock.seconds["round"] / RUNS)
    return median(rounds)


def main() -> None:
    options = _options()
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    is_card = device.type == "cuda"
    card = torch.cuda.get_device_name(device) if is_card else "no CUDA card"
    print(f"{card}, torch {torch.__version__}\n")
    hardware = Hardware(
        device,
        torch.float16 if is_card else torch.float32,
        compile=options.compile,
    )
    sizes = ["128x64"] if options.tiny else options.sizes
    depth, stereo, single = random_networks(hardware, tiny=options.tiny)
    for text in sizes:
        width, height = (int(side) for side in text.split("x"))
        print(f"## {width} × {height}\n")
        run_splats(device, (height, width))
        given = (height, width), options.frames
        ways: dict[str, Callable[[], Clock]] = {
            "ours": partial(run_pipeline, depth, stereo, *given, ours=True),
            "as published": partial(run_pipeline, depth, stereo, *given, ours=False),
            "fast": partial(run_fast, single, *given),
        }
        for name, way in ways.items():
            for _ in range(2):  # the first one compiles and warms up
                if is_card:
                    torch.cuda.reset_peak_memory_stats(device)
                clock = way()
            print(f"{name}: ", end="")
            report(clock, options.frames)


def random_networks(
    hardware: Hardware, *, tiny: bool
) -> tuple[Networks, Networks, DepthAnything]:
    """Those of DepthCrafter, of StereoCrafter and of Depth Anything."""
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder)
        save_networks(weights, tiny=tiny, device=str(hardware.device))
        depth = Networks.load(weights / BASE, weights / DEPTH, hardware=hardware)
        stereo = depth.with_unet(weights / STEREO)
        save_single(weights, tiny=tiny)
        return depth, stereo, DepthAnything.load(weights / SINGLE, hardware)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--tiny", action="store_true", help="tiny networks and pictures"
    )
    parser.add_argument("--sizes", nargs="+", default=["1024x576", "1920x1080"])
    parser.add_argument("--frames", type=int, default=110, help="of the film")
    parser.add_argument("--compile", action="store_true", help="with torch.compile")
    return parser.parse_args()


if __name__ == "__main__":
    main()
