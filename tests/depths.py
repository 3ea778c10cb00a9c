"""Small depth videos whose frame n is recognisable by its grey."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av import VideoFrame
from av.video.reformatter import ColorRange

STEP = 3
"""Of 255, between the greys of two frames: survives limited range and 8 bits."""
RATE = 25


def grey(number: int) -> float:
    """Inverse depth in [0, 1] of the whole frame with this number, up to 80."""
    return (10 + STEP * number) / 255


def number_of(inverse_depth: float) -> int:
    return round((inverse_depth * 255 - 10) / STEP)


def depth_video(
    path: Path,
    count: int,
    *,
    codec: str = "ffv1",
    pixel_format: str = "gray16le",
    size: tuple[int, int] = (64, 48),
    is_full_range: bool = True,
    is_flat: bool = False,
    **options: str,
) -> Path:
    """At a constant rate, whatever the film's clock; all at 0.5 if it `is_flat`."""
    quiet = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=RATE, options={**quiet, **options})
        stream.width, stream.height = size
        stream.pix_fmt = pixel_format
        for number in range(count):
            frame = _frame(0.5 if is_flat else grey(number), size)
            frame = frame.reformat(
                format=pixel_format,
                src_color_range=ColorRange.JPEG,
                dst_color_range=ColorRange.JPEG if is_full_range else ColorRange.MPEG,
            )
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def _frame(value: float, size: tuple[int, int]) -> VideoFrame:
    width, height = size
    whole = np.full((height, width), round(value * 65535), np.uint16)
    return VideoFrame.from_ndarray(whole, format="gray16le")
