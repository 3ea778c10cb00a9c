"""The splat as published for StereoCrafter, to compare by: weights instead of a z-test.

A pixel lands between two columns, and its weight grows with its disparity, a soft z-test
(Niklaus and Liu 2020, "Softmax Splatting", §3.2). Its faults are kept: close layers blend,
stretched surfaces have cracks, the last row and the last column stay empty.
"""

from __future__ import annotations

import torch
from torch import Tensor

BASE = 1.414
"""By which the weight grows with each pixel of disparity, as published."""


def published_splat(left: Tensor, disparity: Tensor) -> tuple[Tensor, Tensor]:
    """The right eye's view of what the left eye saw, and where it saw nothing.

    `left` [T, C, H, W] and `disparity` [T, 1, H, W] in pixels, float, on the same device.
    Back come the right eye, 0 where nothing landed, and the occlusion mask [T, 1, H, W]
    in [0, 1], fractional where little landed, both of left's dtype.

    As published, weights are relative to the least disparity of a batch, and their sum is
    at least 1e-6. Here they are relative to none, which cancels, and no least sum darkens
    what lands on a pixel by less than a millionth. Weights are of float32: good for
    disparities up to ± 200 pixels. Sums on a GPU differ from run to run by rounding.
    """
    frames, channels, height, width = left.shape
    column = torch.arange(width, device=left.device, dtype=torch.float32)
    landing = column - disparity.float()
    first = landing.floor()
    lands = (first >= 0) & (first + 1 < width)
    lands[..., -1, :] = False
    row = torch.arange(frames * height, device=left.device).view(frames, 1, height, 1)
    place = (row * width + first.long())[lands]
    share = (landing - first)[lands][:, None]
    weight = BASE ** disparity.float()[lands][:, None]
    colour = left.float().permute(0, 2, 3, 1)[lands[:, 0]]

    parts = torch.cat([colour * weight, weight, torch.ones_like(weight)], dim=1)
    sums = parts.new_zeros(frames * height * width, channels + 2)
    sums.index_add_(0, place, parts * (1.0 - share)).index_add_(
        0, place + 1, parts * share
    )
    colours, weights, cover = torch.split(sums, [channels, 1, 1], dim=1)
    right = torch.where(weights > 0, colours / weights, 0.0)
    occluded = 1.0 - cover.clamp(0.0, 1.0)
    return (
        right.view(frames, height, width, channels).permute(0, 3, 1, 2).to(left.dtype),
        occluded.view(frames, 1, height, width).to(left.dtype),
    )
