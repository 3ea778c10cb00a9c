"""Small maps of depth onto the edges of the full picture."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from inference.stages.depth import motion
from inference.stages.depth.motion import luma_of

FLAT = 8e-3
"""Variance of luma up to which a neighbourhood is one surface, whatever its texture."""


def refine(inverse_depth: Tensor, left: Tensor) -> Tensor:
    """Bring [T, 1, h, w] to the size of `left` [T, 3, H, W], its edges onto the picture's.

    The fast guided filter (He and Sun 2015): within each neighbourhood inverse depth is
    taken as linear in luma; the slope and offset are small pictures, luma is a full one.
    """
    guide = luma_of(left)
    size = inverse_depth.shape[-2:]
    small = functional.interpolate(guide, size, mode="area")
    slope, offset = _linear_in(small, inverse_depth)
    slope = functional.interpolate(slope, guide.shape[-2:], mode="bilinear")
    offset = functional.interpolate(offset, guide.shape[-2:], mode="bilinear")
    return widened(slope.mul_(guide).add_(offset).clamp_(0.0, 1.0))


def enlarged(inverse_depth: Tensor, left: Tensor) -> Tensor:
    """As published: to the picture's size, and nothing more."""
    size = (left.shape[-2], left.shape[-1])
    return functional.interpolate(inverse_depth, size, mode="bilinear")


def widened(inverse_depth: Tensor) -> Tensor:
    """Near things wider by an edge's blur, so that it moves with them and leaves no line.

    That blur is a pixel or so at 640 columns, and grows with the size of the picture.
    """
    grown = inverse_depth.clone()
    for by in range(1, 2 + inverse_depth.shape[-1] // 1000):
        right, left = grown[..., by:], grown[..., :-by]
        torch.maximum(right, inverse_depth[..., :-by], out=right)
        torch.maximum(left, inverse_depth[..., by:], out=left)
    return grown


def _linear_in(guide: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    mean, level = motion.blur(guide), motion.blur(values)
    variance = motion.blur(guide * guide) - mean * mean
    slope = (motion.blur(guide * values) - mean * level) / (variance + FLAT)
    return motion.blur(slope), motion.blur(level - slope * mean)
