"""The product's Celery application with an engine that does nothing.

Everything else is real: claims, leases, files, verification, chord, sweep. What the engine
gives is a grey film with the right frames, encoded once and then copied.

    celery -A benchmarks.noop worker -Q gpu
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable
from pathlib import Path

import django
import torch

from contract.frames import Picture, SegmentFrames
from contract.invocation import Completed, Conversion
from contract.modes import StereoMode
from inference.encoder import writer
from stereospot.celery import app

django.setup()

from apps.pipeline.backends import local  # noqa: E402
from apps.pipeline.backends.local import Sources  # noqa: E402

__all__ = ["app"]


def _no_op(
    conversion: Conversion,
    sources: Sources,
    target: Path,
    on_frames: Callable[[int], None],
) -> Completed:
    """Stands in for `apps.pipeline.backends.local._convert`."""
    count = len(conversion.frames.core)
    wanted = (conversion.frames.time_base, conversion.frames.core)
    target.write_bytes(_grey(*wanted, conversion.picture, conversion.mode))
    on_frames(count)
    return Completed(
        frames=count, seconds=0.0, engine=conversion.engine, version="no-op"
    )


@functools.lru_cache(maxsize=16)
def _grey(
    time_base: tuple[int, int], pts: tuple[int, ...], picture: Picture, mode: StereoMode
) -> bytes:
    frames = SegmentFrames(time_base=time_base, start=0, pts=pts)
    width, height = mode.packed_size(picture.eye_width, picture.eye_height)
    grey = torch.full((1, 3, height, width), 0.5)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "grey.mp4"
        with writer(path, frames, picture, mode) as write:
            for _ in pts:
                write(grey)
        return path.read_bytes()


if not callable(local._convert):
    raise TypeError("the real engine is called by another name now")
local._convert = _no_op
