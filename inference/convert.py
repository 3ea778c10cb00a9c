"""One segment from file to file: decode, convert its own frames, encode."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path

import torch
from torch import Tensor

from contract.frames import SegmentFrames
from contract.invocation import Completed, Conversion
from inference.colour import unit
from inference.encoder import writer
from inference.frames import read_frames
from inference.pipeline import Pipeline
from inference.windows import Window, windows

WINDOW = 16
"""Frames converted at a time: at 1080p about 0.3 GB with what waits for its context."""


@torch.inference_mode()
def convert(
    conversion: Conversion,
    source: Path,
    target: Path,
    *,
    pipeline: Pipeline,
    on_frames: Callable[[int], None],
) -> Completed:
    """Make the stereo segment `target` of the segment object `source`.

    `on_frames(n)` is called when n more frames were encoded; what it raises ends the
    conversion. `target` is there when this returns, and nothing of it when it raises:
    StereoSpotError for what can be said in a sentence (unreadable segment, disk full).
    How many threads torch may use is for the owner of the process to say; one is best
    where processes share cores.
    """
    began = time.monotonic()
    frames = conversion.frames
    with (
        closing(read_frames(source, frames, conversion.picture)) as decoded,
        writer(target, conversion) as write,
    ):
        for window in _windows(decoded, frames, pipeline):
            stereo = pipeline(
                map(unit, window.frames),
                window.looks,
                own=window.own,
                mode=conversion.mode,
                settings=conversion.settings,
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


def _windows(
    decoded: Iterable[Tensor], frames: SegmentFrames, pipeline: Pipeline
) -> Iterator[Window]:
    return windows(
        decoded,
        lambda frame: pipeline.depth.look(unit(frame)),
        own=range(frames.lead, len(frames.pts) - frames.tail),
        size=WINDOW,
        context=pipeline.depth.context,
    )
