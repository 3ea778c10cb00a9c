"""A row of the picture is taken as a thin elastic band: neighbouring pixels hold together
while the surface they lie on is merely slanted, and tear where depth jumps. So slanted
surfaces stretch without cracks, and what a tear uncovers is left open. Where several
pieces of the band land on one pixel, the nearest alone is seen. Weights that grow with
nearness, the usual way, blend the layers instead: ghosts at small disparities, overflow
at large ones. Here nothing is weighed, so no disparity is too large.
"""

from __future__ import annotations

import torch
from torch import Tensor

MAX_DROP = 1.0
"""Pixels of disparity by which a surface may fall from one column to the next.

At 1 a surface is stretched to twice its width. The whole range of disparity (2 % of the
width) would then be used up within 2 % of the width: that is an edge, not a slant.
"""

NOWHERE = -1.0
"""Source column of a pixel on which nothing landed."""


def splat(left: Tensor, disparity: Tensor) -> tuple[Tensor, Tensor]:
    """The right eye's view of what the left eye saw, and where it saw nothing."""
    columns = _source_columns(disparity)
    occluded = columns < 0
    right = _sample(left, columns.clamp_(min=0.0)).masked_fill_(occluded, 0.0)
    return right, occluded.to(left.dtype)


def _source_columns(disparity: Tensor) -> Tensor:
    """The column of the left eye that each pixel of the right eye shows, or NOWHERE.

    Of two source columns that land on one pixel, the nearer one came further, from the
    right: `source = target + disparity`. So the greatest source column is the nearest,
    and one maximum, which no order of execution can change, is the whole z-test.
    """
    width = disparity.shape[-1]
    source = torch.arange(width, device=disparity.device, dtype=disparity.dtype)
    # Beyond ± width everything has left the picture; the bound keeps indices small.
    target = source - disparity.clamp(-2.0 * width, 2.0 * width)
    stretch = target.diff(dim=-1)  # room from each pixel to its right neighbour
    holds = (stretch > 0) & (stretch <= 1.0 + MAX_DROP)
    torn = stretch > 1.0 + MAX_DROP
    # A pixel between two tears lies on the blur of an edge, on neither surface. Alone in
    # the open it would be a speck, so it is left out.
    speck = torch.zeros_like(target, dtype=torch.bool)
    speck[..., 1:-1] = torn[..., :-1] & torn[..., 1:]

    first = target.ceil()
    ahead = first - target  # from where the pixel lands to the first whole column
    pace = torch.ones_like(target)
    pace[..., :-1] = torch.where(holds, stretch, pace[..., :-1])
    holds_right = _shifted(holds, before=0)
    holds_left = _shifted(holds, before=1)

    columns = torch.full_like(disparity, NOWHERE)
    reach = torch.where(holds_right, pace, 0.5)  # a torn end covers half a pixel
    lands = (ahead <= reach) & ~speck
    _land(
        columns, lands, first, torch.where(holds_right, source + ahead / pace, source)
    )
    lands = holds_right & (ahead + 1.0 <= pace)
    _land(columns, lands, first + 1.0, source + (ahead + 1.0) / pace)
    lands = ~holds_left & ~speck & (ahead >= 0.5)
    _land(columns, lands, first - 1.0, source.expand_as(target))
    return columns


def _shifted(links: Tensor, *, before: int) -> Tensor:
    """Links between W pixels, W - 1 of them, as one flag per pixel; the ends have none."""
    return torch.nn.functional.pad(links, (before, 1 - before))


def _land(columns: Tensor, lands: Tensor, at: Tensor, source: Tensor) -> None:
    """Note the source column at each place where it lands, unless a nearer one is there."""
    width = columns.shape[-1]
    index = at.clamp(0, width - 1).to(torch.int64)
    seen = source.masked_fill(~lands | (at < 0) | (at >= width), NOWHERE)
    columns.scatter_reduce_(-1, index, seen, "amax")


def _sample(left: Tensor, columns: Tensor) -> Tensor:
    """The left eye at fractional columns of its rows, linearly between neighbours."""
    floor = columns.floor()
    share = columns - floor
    index = floor.to(torch.int64)
    beyond = (index + 1).clamp_(max=left.shape[-1] - 1)
    shape = left.shape
    here = left.gather(-1, index.expand(shape))
    return here.lerp_(left.gather(-1, beyond.expand(shape)), share)
