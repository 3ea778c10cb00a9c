"""One segment from file to file: decode, convert its own frames, encode."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from contract.invocation import Completed, Conversion
from inference.encoder import writer
from inference.frames import read_frames
from inference.heartbeat import heard
from inference.memory import enough_for
from inference.pipeline import Pipeline, Rendering
from inference.stages.depth.given import Given, fitted


@torch.inference_mode()
def convert(
    conversion: Conversion,
    source: Path,
    target: Path,
    *,
    pipeline: Rendering,
    on_frames: Callable[[int], None],
    depth: Path | None = None,
) -> Completed:
    """Make the stereo segment `target` of the segment object `source`.

    `depth` is the depth segment object of `conversion.depth`; without one the pipeline
    has a depth of its own. `on_frames(n)` is called when n more frames were encoded, and
    with 0 between any two steps, as frames may be minutes apart; what it raises ends the
    conversion. `target` is there when this returns, and nothing of it when it raises:
    StereoSpotError for what can be said in a sentence (unreadable segment, disk full, out
    of memory). How many threads torch may use is for the owner of the process to say.
    """
    began, frames = time.monotonic(), conversion.frames
    complete = _with_depth(pipeline, conversion, depth)
    with (
        heard(partial(on_frames, 0)),
        enough_for(_too_large(conversion)),
        closing(read_frames(source, frames, conversion.picture)) as decoded,
        writer(target, frames, conversion.picture, conversion.mode) as write,
    ):
        for picture in _pictures(complete, conversion, decoded):
            write(picture)
            on_frames(1)
    return Completed(
        frames=len(frames.core),
        seconds=time.monotonic() - began,
        engine=conversion.engine,
        version=pipeline.version,
    )


def _pictures(
    pipeline: Pipeline, conversion: Conversion, decoded: Iterable[Tensor]
) -> Iterator[Tensor]:
    frames = conversion.frames
    return pipeline(
        decoded,
        own=range(frames.lead, len(frames.pts) - frames.tail),
        mode=conversion.mode,
        settings=conversion.settings,
        seed=conversion.seed,
        places=[frames.start + pts for pts in frames.pts],
    )


def _with_depth(
    pipeline: Rendering, conversion: Conversion, depth: Path | None
) -> Pipeline:
    if depth is None and conversion.depth is None:
        if not isinstance(pipeline, Pipeline):
            raise ValueError("a film without depth needs a pipeline that has one")
        return pipeline
    if depth is None or conversion.depth is None:
        raise ValueError("a depth segment and its manifest come together")
    given = Given(depth, conversion.depth)
    refine = fitted(pipeline.refine, widens=not conversion.settings.reference)
    return pipeline.with_depth(given, refine)


def _too_large(conversion: Conversion) -> str:
    picture = conversion.picture
    return (
        f"Pictures of {picture.eye_width} × {picture.eye_height} pixels take more memory "
        "than is free: end what else uses it, or convert a smaller film."
    )
