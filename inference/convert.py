"""One segment from file to file: decode, convert its own frames, encode."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import torch

from contract.invocation import Completed, Conversion
from inference.encoder import writer
from inference.frames import read_frames
from inference.pipeline import Pipeline


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
