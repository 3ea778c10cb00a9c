"""One segment from file to file: decode, convert its own frames, encode."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import torch

from contract.errors import ErrorCode, StereoSpotError
from contract.invocation import Completed, Conversion
from inference.encoder import writer
from inference.frames import read_frames
from inference.pipeline import Pipeline
from inference.stages.depth.given import Given, fitted


@torch.inference_mode()
def convert(
    conversion: Conversion,
    source: Path,
    target: Path,
    *,
    pipeline: Pipeline,
    on_frames: Callable[[int], None],
    depth: Path | None = None,
) -> Completed:
    """Make the stereo segment `target` of the segment object `source`.

    `depth` is the depth segment object of `conversion.depth`. `on_frames(n)` is called
    when n more frames were encoded; what it raises ends the conversion. `target` is there
    when this returns, and nothing of it when it raises: StereoSpotError for what can be
    said in a sentence (unreadable segment, disk full, out of memory).
    How many threads torch may use is for the owner of the process to say.
    """
    began, frames = time.monotonic(), conversion.frames
    pipeline = _with_depth(pipeline, conversion, depth)
    with (
        _enough_memory(conversion),
        closing(read_frames(source, frames, conversion.picture)) as decoded,
        writer(target, conversion) as write,
    ):
        stereo = pipeline(
            decoded,
            own=range(frames.lead, len(frames.pts) - frames.tail),
            mode=conversion.mode,
            settings=conversion.settings,
            seed=conversion.seed,
        )
        for picture in stereo:
            write(picture)
            on_frames(1)
    return Completed(
        frames=len(frames.core),
        seconds=time.monotonic() - began,
        engine=conversion.engine,
        version=pipeline.version,
    )


def _with_depth(
    pipeline: Pipeline, conversion: Conversion, depth: Path | None
) -> Pipeline:
    if depth is None and conversion.depth is None:
        return pipeline
    if depth is None or conversion.depth is None:
        raise ValueError("a depth segment and its manifest come together")
    given = Given(depth, conversion.depth)
    return replace(pipeline, depth=given, refine=fitted(pipeline.refine))


@contextmanager
def _enough_memory(conversion: Conversion) -> Iterator[None]:
    try:
        yield
    except torch.OutOfMemoryError as error:
        picture = conversion.picture
        raise StereoSpotError(
            ErrorCode.OUT_OF_MEMORY,
            f"Pictures of {picture.eye_width} × {picture.eye_height} pixels take more "
            "memory than the graphics card has free: end what else uses it, or convert "
            "a smaller film.",
        ) from error
