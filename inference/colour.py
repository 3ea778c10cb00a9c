"""Pictures of a film ↔ planes of R, G, B with 16 bits, by the film's own matrix."""

from __future__ import annotations

import numpy as np
import torch
from av import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from numpy.typing import NDArray
from torch import Tensor

from contract.frames import Picture

Planes = NDArray[np.uint16]
"""[3, H, W]: R, G, B, all 16 bits used, so that 10 bits come and go unharmed."""

MATRICES = {
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    5: Colorspace.ITU601,
    6: Colorspace.ITU601,
    7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020,
    10: Colorspace.BT2020,
}
"""Code points of ISO/IEC 23091-2 that swscale knows a matrix for."""

FULL_RANGE = 2
HD = 720
"""Rows from which an untagged picture is taken as BT.709, as players do; else BT.601."""

EXACT = Interpolation.BICUBIC | Interpolation.ACCURATE_RND
RGB16 = "gbrp16le"
PLANES_OF_RGB = (2, 0, 1)
"""Where R, G and B lie in an RGB16 frame."""


WHITE = 65535

BLOCK = 2**17
"""Samples at a time on a CPU: few enough for all steps to find them in a cache."""


def unit(frame: Tensor) -> Tensor:
    """[1, 3, H, W] in [0, 1], float32, of planes [3, H, W] of 16 bits."""
    return frame.to(torch.float32).div_(WHITE)[None]


def sixteen_bits(picture: Tensor) -> Tensor:
    """Planes [3, H, W] of 16 bits, on the CPU, of a picture [1, 3, H, W] in [0, 1]."""
    planes = torch.empty(picture.shape[1:], dtype=torch.uint16, device=picture.device)
    made, values = planes.flatten(), picture[0].flatten()
    size = len(made) if picture.is_cuda else BLOCK
    for first in range(0, len(made), size):
        some = slice(first, first + size)
        made[some] = values[some].clamp(0.0, 1.0).mul_(WHITE).round_()
    return planes.cpu()


class Colours:
    """Converts the frames of one film both ways; each way keeps its own tables."""

    def __init__(self, picture: Picture) -> None:
        guess = Colorspace.ITU709 if picture.eye_height >= HD else Colorspace.ITU601
        self._matrix = MATRICES.get(picture.color_space, guess)
        self._is_full = picture.color_range == FULL_RANGE
        self._pixel_format = picture.pixel_format
        self._inward, self._outward = VideoReformatter(), VideoReformatter()

    def planes(self, frame: VideoFrame) -> Planes:
        """R, G and B of a decoded frame, full range."""
        is_full = self._is_full or frame.color_range == FULL_RANGE
        rgb = self._inward.reformat(
            frame,
            format=RGB16,
            interpolation=EXACT,
            src_colorspace=self._matrix,
            dst_colorspace=self._matrix,
            src_color_range=ColorRange.JPEG if is_full else ColorRange.MPEG,
            dst_color_range=ColorRange.JPEG,
        )
        return np.stack([_rows(rgb, number) for number in PLANES_OF_RGB])

    def frame(self, planes: Planes) -> VideoFrame:
        """A frame in the film's pixel format, ready to encode."""
        _, height, width = planes.shape
        rgb = VideoFrame(width, height, RGB16)
        for number, plane in zip(PLANES_OF_RGB, planes, strict=True):
            _rows(rgb, number)[:] = plane
        return self._outward.reformat(
            rgb,
            format=self._pixel_format,
            interpolation=EXACT,
            src_colorspace=self._matrix,
            dst_colorspace=self._matrix,
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.JPEG if self._is_full else ColorRange.MPEG,
        )


def _rows(frame: VideoFrame, number: int) -> Planes:
    """A plane of an RGB16 frame, without the padding at the ends of its rows."""
    plane = frame.planes[number]
    samples: Planes = np.frombuffer(memoryview(plane), np.uint16)
    return samples.reshape(-1, plane.line_size // 2)[: frame.height, : frame.width]
