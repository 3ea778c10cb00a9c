"""How pixels move from one frame to the next: what depth by parallax is read from.

   luma  [T, 1, h, w]      in [0, 1], small frames, a few hundred pixels wide
→  flow  [T - 1, 2, h, w]  in pixels, (x, y): where a pixel of frame t is in frame t + 1
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

LEVELS = 4
"""Halvings of the frame; the coarsest sees motions of about 2**LEVELS pixels."""

STEPS = 2
"""Newton steps on each level."""

NOISE = 2e-4
"""Squared gradient of luma that is only noise; below it a pixel says nothing."""


FEW = 8
"""Pictures that are too few to fill what a CPU adds at a time."""

LUMA = (0.299, 0.587, 0.114)
"""Of R, G, B (BT.601). Depth only compares it, so any film's matrix would do."""


def luma_of(picture: Tensor) -> Tensor:
    """[T, 1, H, W] of R, G, B pictures [T, 3, H, W]."""
    weights = torch.tensor(LUMA, dtype=picture.dtype, device=picture.device)
    return torch.einsum("c,tchw->thw", weights, picture)[:, None]


def flow(luma: Tensor, following: Tensor) -> Tensor:
    """Dense optical flow after Lucas and Kanade (1981), coarse to fine (Bouguet 2001)."""
    pyramid = [(luma, following)]
    while len(pyramid) < LEVELS and min(pyramid[-1][0].shape[-2:]) >= 16:
        a, b = pyramid[-1]
        pyramid.append((functional.avg_pool2d(a, 2), functional.avg_pool2d(b, 2)))
    motion = torch.zeros_like(pyramid[-1][0]).repeat(1, 2, 1, 1)
    for a, b in reversed(pyramid):
        scale = a.shape[-1] / motion.shape[-1]
        motion = functional.interpolate(motion, a.shape[-2:], mode="bilinear") * scale
        motion = _refined(motion, a, b)
    return motion


def _refined(motion: Tensor, a: Tensor, b: Tensor) -> Tensor:
    gx, gy = _gradient(a)
    xx, xy, yy = blur(gx * gx) + NOISE, blur(gx * gy), blur(gy * gy) + NOISE
    determinant = xx * yy - xy * xy
    for _ in range(STEPS):
        change = moved(b, motion) - a
        bx, by = blur(gx * change), blur(gy * change)
        step = torch.cat([xy * by - yy * bx, xy * bx - xx * by], dim=1) / determinant
        # Beyond about a pixel the linear picture of the neighbourhood is wrong.
        motion = blur(motion + step.clamp(-1.0, 1.0), radius=1)
    return motion


def _gradient(luma: Tensor) -> tuple[Tensor, Tensor]:
    padded = functional.pad(luma, (1, 1, 1, 1), mode="replicate")
    gx = (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) / 2
    gy = (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) / 2
    return gx, gy


def texture(luma: Tensor) -> Tensor:
    """How sure a flow can be: 0 on a plain surface, towards 1 where there is detail."""
    gx, gy = _gradient(luma)
    energy = blur(gx * gx + gy * gy)
    return energy / (energy + 4 * NOISE)


def moved(picture: Tensor, motion: Tensor) -> Tensor:
    """`picture` [N, C, h, w] looked up at each pixel plus `motion` [N, 2, h, w] pixels."""
    height, width = picture.shape[-2:]
    x = torch.arange(width, device=motion.device, dtype=motion.dtype)
    y = torch.arange(height, device=motion.device, dtype=motion.dtype)[:, None]
    # In the units of grid_sample: the picture spans -1 … 1 from border to border.
    place = motion.new_empty(len(motion), height, width, 2)
    torch.add(motion[:, 0], x, out=place[..., 0])
    torch.add(motion[:, 1], y, out=place[..., 1])
    place.add_(0.5).mul_(motion.new_tensor([2.0 / width, 2.0 / height])).sub_(1.0)
    return functional.grid_sample(
        picture, place, padding_mode="border", align_corners=False
    )


def blur(picture: Tensor, radius: int = 3) -> Tensor:
    """Mean over a square, smaller at the borders of the picture."""
    if picture.is_cuda or len(picture) < FEW:
        return _means(picture, radius)
    # A CPU takes many pictures at a time, where they lie beside each other pixel by
    # pixel: the same sums, three times as fast.
    aside = picture.reshape(1, -1, *picture.shape[-2:])
    aside = aside.contiguous(memory_format=torch.channels_last)
    return _means(aside, radius).contiguous().view(picture.shape)


def _means(picture: Tensor, radius: int) -> Tensor:
    return functional.avg_pool2d(
        picture, 2 * radius + 1, stride=1, padding=radius, count_include_pad=False
    )
