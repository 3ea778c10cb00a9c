"""One window, 2D in and stereo out: depth → warp → fill → compose."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from contract.modes import StereoMode, StereoSettings
from inference.stages.compose import compose
from inference.stages.depth import DepthEstimator, sharpen
from inference.stages.fill import Filler
from inference.stages.warp import splat


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A depth estimator and a filler, and the way of a frame through both."""

    depth: DepthEstimator
    fill: Filler
    version: str
    """Of everything that shapes the picture: the same version makes the same picture."""

    @torch.inference_mode()
    def __call__(
        self,
        left: Iterable[Tensor],
        looks: Tensor,
        *,
        own: range,
        mode: StereoMode,
        settings: StereoSettings,
    ) -> Iterator[Tensor]:
        """Stereo pictures of frames [1, 3, H, W] in [0, 1], one at a time.

        `looks` [L, C, h, w] are what the depth estimator keeps of the frames and their
        neighbours; `own` are the numbers of the frames' own.
        """
        depths = self.depth(looks, own)
        for frame, depth in zip(left, depths, strict=True):
            inverse_depth = sharpen(depth[None], frame)
            disparity = disparity_px(inverse_depth, settings, frame.shape[-1])
            right, occluded = splat(frame, disparity)
            right = self.fill(right, occluded)
            yield compose(frame, right, mode)


def disparity_px(inverse_depth: Tensor, settings: StereoSettings, width: int) -> Tensor:
    """Shift between the eyes in pixels, positive in front of the screen plane.

    From 0 to 1 of inverse depth the shift grows by `max_disparity` percent of the width;
    `convergence` says which inverse depth lies in the screen plane. So no shift is ever
    larger than `max_disparity`, wherever that plane is put.
    """
    largest = settings.max_disparity / 100.0 * width
    return (inverse_depth - settings.convergence) * largest
