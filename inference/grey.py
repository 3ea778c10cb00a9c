"""Pictures of a depth video → inverse depth: their luma, every bit of it."""

from __future__ import annotations

import re

import numpy as np
import torch
from av import VideoFrame
from av.video.plane import VideoPlane
from av.video.reformatter import ColorRange, VideoReformatter
from numpy.typing import NDArray
from torch import Tensor

from inference.colour import EXACT, WHITE

LUMA_FIRST = re.compile(r"gray(?!f)|yuv[aj]?4")
"""Pixel formats whose first plane is luma and nothing else, in whole low bits."""
FLOATS = "grayf32"
"""The format whose samples are floats, 0 black and 1 white; swscale squeezes them."""
BLACK_8, WHITE_8 = 16, 235
"""Of limited range, in steps of 255 (ITU-R BT.709, 4.6); more bits only refine them."""


class GreyReader:
    """Reads the frames of one depth video; it keeps swscale's tables."""

    def __init__(self, *, is_full_range: bool) -> None:
        self._is_full = is_full_range
        self._reformatter = VideoReformatter()

    def luma(self, frame: VideoFrame) -> Tensor:
        """[1, 1, H, W] in [0, 1], float32: 0 is black, 1 is white."""
        name, bits = frame.format.name, frame.format.components[0].bits
        order = ">" if frame.format.is_big_endian else "<"
        if name.startswith(FLOATS):
            return _unit(_samples(frame.planes[0], f"{order}f4"), 0, 1)
        if not LUMA_FIRST.match(name):
            return _unit(_samples(self._grey(frame).planes[0], "<u2"), 0, WHITE)
        samples = _samples(frame.planes[0], "u1" if bits <= 8 else f"{order}u2")
        if self._is_full:
            return _unit(samples, 0, 2**bits - 1)
        step = 2 ** (bits - 8)
        return _unit(samples, BLACK_8 * step, WHITE_8 * step)

    def _grey(self, frame: VideoFrame) -> VideoFrame:
        return self._reformatter.reformat(
            frame,
            format="gray16le",
            interpolation=EXACT,
            src_color_range=ColorRange.JPEG if self._is_full else ColorRange.MPEG,
            dst_color_range=ColorRange.JPEG,
        )


def _samples(plane: VideoPlane, kind: str) -> NDArray[np.number]:
    """[H, W] of a plane, without the padding at the ends of its rows."""
    samples = np.frombuffer(memoryview(plane), kind)
    rows = samples.reshape(-1, plane.line_size // samples.itemsize)
    return rows[: plane.height, : plane.width]


def _unit(samples: NDArray[np.number], black: int, white: int) -> Tensor:
    grey = (samples.astype(np.float32) - black) / (white - black)
    return torch.from_numpy(grey.clip(0.0, 1.0))[None, None]
