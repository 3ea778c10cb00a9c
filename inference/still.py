"""One picture of a film in 3D, to look at before hours go into the whole of it.

Depth is estimated once. Another strength, screen plane or mode then takes the rest of the
way only: warp, fill, compose.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from contract.modes import StereoMode, StereoSettings
from inference.colour import unit
from inference.pipeline import Pipeline, Rendering, disparity_px
from inference.shots import Frame
from inference.stages.compose import compose
from inference.stages.fill import View


def planes_of(rgb: NDArray[np.uint8]) -> Tensor:
    """[3, H, W] of 16 bits, of a picture [H, W, 3] of 8."""
    return torch.from_numpy(rgb.transpose(2, 0, 1).astype(np.uint16) * 257)


@dataclass(frozen=True, slots=True)
class Still:
    left: Tensor
    """[1, 3, H, W] in [0, 1]."""
    inverse_depth: Tensor
    """[1, 1, H, W] in [0, 1]."""
    rendering: Rendering

    @classmethod
    @torch.inference_mode()
    def of(cls, planes: Tensor, pipeline: Pipeline) -> Still:
        """Look at one picture [3, H, W] of 16 bits, H and W even."""
        frame = Frame(planes, begins_shot=True, place=0)
        [depth] = pipeline.depth([frame], own=range(1), seed=0)
        left = unit(planes.to(pipeline.device))
        return cls(left, pipeline.refine(depth, left), pipeline)

    @torch.inference_mode()
    def stereo(self, mode: StereoMode, settings: StereoSettings) -> Tensor:
        """Both eyes [1, 3, H', W'] in [0, 1], as a film of this one picture has them."""
        width = self.left.shape[-1]
        disparity = disparity_px(self.inverse_depth, settings, width)
        view = View(*self.rendering.splat(self.left, disparity), True, 0)
        [right] = self.rendering.fill([view], seed=0)
        return compose(self.left, right, mode)
