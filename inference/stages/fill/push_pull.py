"""Fill from the background around an occlusion, frame by frame, without weights."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor
from torch.nn import functional

from inference.stages.fill import View

FAINT = 1e-6
"""Weight of the near side of an occlusion: heard only where nothing else is known."""

BREADTH = 3
"""How many times as wide as an occlusion its near side is: the pyramid looks so far."""

RIM = 2
"""Pixels of background next to an occlusion that may still carry the near object's blur."""


def push_pull(views: Iterable[View], *, seed: int) -> Iterator[Tensor]:
    """A filler; without chance in it, so the seed is not needed."""
    for view in views:
        yield filled(view.right, view.occluded)


def filled(right: Tensor, occluded: Tensor) -> Tensor:
    """Spread the background over what was uncovered, coarse to fine.

    Averages of the known pixels are pulled up a pyramid, the near side of every
    occlusion almost silent in them, and pushed down again into what is open. A frame is
    filled from itself alone by a smooth function of its pixels, without search or noise:
    what is steady in the film stays steady.
    """
    if not occluded.any():
        return right
    known = torch.where(_near_side(occluded), FAINT, 1.0 - occluded)
    spread = _spread(*_grouped(right * known, known))
    whole = right.clone()
    for frame, coarse, is_open in zip(whole, spread, occluded[:, 0] > 0, strict=True):
        frame[:, is_open] = _looked_up(coarse, is_open)
    return whole


def _looked_up(coarse: Tensor, is_open: Tensor) -> Tensor:
    """[3, N]: colours at the N open pixels of [H, W], from [3, H / 2, W / 2]."""
    height, width = is_open.shape
    down, across = is_open.nonzero().T
    # In the units of grid_sample: -1 … 1 from border to border; a group is two pixels.
    x = (across + 0.5) / (2 * ((width + 1) // 2)) * 2.0 - 1.0
    y = (down + 0.5) / (2 * ((height + 1) // 2)) * 2.0 - 1.0
    colours = functional.grid_sample(
        coarse[None],
        torch.stack([x, y], dim=-1).to(coarse.dtype)[None, None],
        padding_mode="border",
        align_corners=False,
    )
    return colours[0, :, 0].clamp_(0.0, 1.0)


def _near_side(occluded: Tensor) -> Tensor:
    """Known pixels to the left of an occlusion, and its rim on the right.

    A near object lands further left in the right eye and uncovers what lies on its
    right. So the left side of an occlusion is the nearer one, its right the background,
    except at the picture's right edge, where only the left side is there to spread.
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
    return ((rim > 0) | is_near) & ~is_open


def _next(column: Tensor) -> Tensor:
    """The smallest entry at or to the right of each pixel."""
    return column.flip(-1).cummin(-1).values.flip(-1)


def _grouped(colour: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Mean colours of groups of 2 × 2 pixels (times their weight), and that weight.

    One known pixel of the four is enough to know the group.
    """
    share = functional.avg_pool2d(weight, 2, ceil_mode=True, count_include_pad=False)
    group = functional.avg_pool2d(colour, 2, ceil_mode=True, count_include_pad=False)
    gain = share.clamp(min=FAINT**2).reciprocal_().clamp_(max=4.0)
    return group * gain, share * gain


def _spread(colour: Tensor, weight: Tensor) -> Tensor:
    """Known colours (times their weight in [0, 1]) and, where that is < 1, coarser ones."""
    height, width = weight.shape[-2:]
    if max(height, width) == 1:
        return colour / weight.clamp(min=FAINT**2)
    coarse = _spread(*_grouped(colour, weight))
    coarse = functional.interpolate(coarse, size=(height, width), mode="bilinear")
    return coarse.mul_(1.0 - weight).add_(colour)
