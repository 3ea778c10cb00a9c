"""Known values spread into what is open, coarse to fine: the pyramid both fillers use.

The push-pull of Gortler et al. (1996, "The Lumigraph", §3.4): means of the known pixels
are pulled up a pyramid of halvings, and pushed down again into what is open.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

FAINT = 1e-6
"""Weight of the near side of an occlusion: heard only where nothing else is known."""

BREADTH = 3
"""How many times as wide as an occlusion its near side is: the pyramid looks so far."""

RIM = 2
"""Pixels of background next to an occlusion that may still carry the near object's blur."""


def background(occluded: Tensor) -> Tensor:
    """[T, 1, H, W] in [0, 1]: how much each pixel may say about what was uncovered.

    0 in the occlusions [T, 1, H, W], FAINT on their near side, 1 elsewhere. A near object
    lands further left in the right eye and uncovers what lies on its right. So the left
    side of an occlusion is the nearer one, its right the background, except at the
    picture's right edge, where only the left side is there to spread.
    """
    width = occluded.shape[-1]
    column = torch.arange(width, device=occluded.device).expand(occluded.shape)
    is_open = occluded > 0
    opens = _next(column.masked_fill(~is_open, width))  # the next open pixel's column
    closes = _next(column.masked_fill(is_open, width))  # the next known pixel's column
    ends = closes.gather(-1, opens.clamp(max=width - 1))
    is_near = (opens - column <= BREADTH * (ends - opens) + RIM) & (ends < width)
    # The rim on the far side: the pixels up to RIM to the right of an open one.
    rim = functional.max_pool2d(
        functional.pad(occluded, (RIM, 0, 0, 0)), (1, RIM + 1), stride=1
    )
    return torch.where((rim > 0) | is_near, FAINT, 1.0 - occluded).mul_(1.0 - occluded)


def spread(values: Tensor, weight: Tensor) -> Tensor:
    """[T, C, H / 2, W / 2] (rounded up) of `values` [T, C, H, W], everywhere known.

    `weight` [T, 1, H, W] in [0, 1] says how well each pixel is known. Smooth in the
    values, without search or noise: what is steady in the film stays steady.
    """
    return _spread(*_grouped(values * weight, weight))


def looked_up(coarse: Tensor, chosen: Tensor) -> Tensor:
    """[C, N]: what `spread` found [C, H / 2, W / 2], at the N chosen pixels of [H, W]."""
    height, width = chosen.shape
    down, across = chosen.nonzero().T
    # In the units of grid_sample: -1 … 1 from border to border; a group is two pixels.
    x = (across + 0.5) / (2 * ((width + 1) // 2)) * 2.0 - 1.0
    y = (down + 0.5) / (2 * ((height + 1) // 2)) * 2.0 - 1.0
    return functional.grid_sample(
        coarse[None],
        torch.stack([x, y], dim=-1).to(coarse.dtype)[None, None],
        padding_mode="border",
        align_corners=False,
    )[0, :, 0]


def _next(column: Tensor) -> Tensor:
    """The smallest entry at or to the right of each pixel."""
    return column.flip(-1).cummin(-1).values.flip(-1)


def _grouped(values: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Means of groups of 2 × 2 pixels (times their weight), and that weight.

    One known pixel of the four is enough to know the group.
    """
    share = functional.avg_pool2d(weight, 2, ceil_mode=True, count_include_pad=False)
    group = functional.avg_pool2d(values, 2, ceil_mode=True, count_include_pad=False)
    gain = share.clamp(min=FAINT**2).reciprocal_().clamp_(max=4.0)
    return group * gain, share * gain


def _spread(values: Tensor, weight: Tensor) -> Tensor:
    """Known values (times their weight in [0, 1]) and, where that is < 1, coarser ones."""
    height, width = weight.shape[-2:]
    if max(height, width) == 1:
        return values / weight.clamp(min=FAINT**2)
    coarse = _spread(*_grouped(values, weight))
    coarse = functional.interpolate(coarse, size=(height, width), mode="bilinear")
    return coarse.mul_(1.0 - weight).add_(values)
