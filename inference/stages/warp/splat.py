"""A row of the picture is taken as a thin elastic band: neighbouring pixels hold together
while the surface they lie on is merely slanted, and tear where depth jumps. So slanted
surfaces stretch without cracks, and what a tear uncovers is left open. Where several
pieces of the band land on one pixel, the nearest alone is seen. Weights that grow with
nearness, the usual way, blend the layers instead: ghosts at small disparities, overflow
at large ones. Here nothing is weighed, so no disparity is too large.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec

import torch
from torch import Tensor
from torch.nn import functional

from inference.memory import is_out_of_memory

log = logging.getLogger(__name__)

MAX_DROP = 1.0
"""Pixels of disparity by which a surface may fall from one column to the next.

At 1 a surface is stretched to twice its width. The whole range of disparity (2 % of the
width) would then be used up within 2 % of the width: that is an edge, not a slant.
"""

NOWHERE = -1.0
"""Source column of a pixel on which nothing landed."""

BESIDE = 4.0
"""Columns beside the picture that are told apart: enough to see which links hold."""

MARGIN = 5
"""Columns of scratch on either side, for what lands beside the picture."""

TORN = 1e-30
"""Stretch noted for a link that does not hold."""

BLOCK = 2**17
"""Pixels warped at a time on a CPU: few enough for all their planes to stay in a cache."""


def splat(left: Tensor, disparity: Tensor) -> tuple[Tensor, Tensor]:
    """The right eye's view of what the left eye saw, and where it saw nothing.

    `left` [T, C, H, W] of any float dtype, or of 8 or 16 bits; `disparity` [T, 1, H, W]
    in pixels, of any float dtype, on the same device. Back come the right eye, 0 where
    nothing landed, and the occlusion mask [T, 1, H, W], 1 there and else 0, both of
    left's dtype; reckoned in float32. Rows are warped each by itself.
    """
    if left.is_cuda and (kernel := _kernel(left.device)):
        return kernel(left, disparity)
    right, occluded = torch.empty_like(left), torch.empty_like(left[:, :1])
    height, width = left.shape[-2:]
    rows = height if left.is_cuda else max(1, BLOCK // width)
    for frame in range(left.shape[0]):
        for top in range(0, height, rows):
            block = slice(top, top + rows)
            columns = _source_columns(disparity[frame, 0, block].float())
            is_open = columns.clamp(max=0.0).abs_()
            right[frame, :, block] = _sampled(left[frame, :, block], columns, is_open)
            occluded[frame, 0, block] = is_open
    return right, occluded


@cache
def _kernel(
    device: torch.device,
) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] | None:
    """The same in one launch, where Triton is here, as with torch for CUDA, and works.

    Tried on one pixel first: Triton has a C compiler build what launches the kernel, and
    not every machine has one.
    """
    if find_spec("triton") is None:
        return None
    from inference.stages.warp import kernel

    pixel = torch.zeros(1, 1, 1, 1, device=device)
    try:
        kernel.splat(pixel, pixel)
    except Exception as error:
        if is_out_of_memory(error):
            raise
        log.warning(
            "Triton does not work on %s, so torch splats there, which is slower (%s)",
            device,
            error,
        )
        return None
    return kernel.splat


def _source_columns(disparity: Tensor) -> Tensor:
    """The column of the left eye that each pixel [H, W] shows, or NOWHERE.

    Of two source columns that land on one pixel, the nearer one came further, from the
    right: `source = target + disparity`. So the greatest source column is the nearest,
    and one maximum, which no order of execution can change, is the whole z-test.
    """
    height, width = disparity.shape
    source = torch.arange(width, device=disparity.device, dtype=disparity.dtype)
    target = (source - disparity).clamp_(-BESIDE, width - 1.0 + BESIDE)
    columns = disparity.new_full((height, width + 2 * MARGIN), NOWHERE)
    first = target.ceil()
    at = (first + MARGIN).long()
    ahead = first.sub_(target)  # from where the pixel lands to the first whole column

    # From each pixel to its right neighbour, with the sign turned: `threshold_` keeps
    # what is above a bound. The last pixel of a row has no such link.
    shrink = torch.full_like(target, -TORN)
    torch.sub(target[:, :-1], target[:, 1:], out=shrink[:, :-1])
    torch.threshold_(shrink, _below(-1.0 - MAX_DROP), -TORN).clamp_(max=-TORN)
    torn = (shrink == -TORN).flatten().nonzero()[:, 0]
    ahead.view(-1)[torn] = 1.0  # too far for a torn link: its ends are landed below

    # A link that holds covers at most two whole columns, the second one further on.
    for _ in range(2):
        share = torch.threshold_(ahead / shrink, _below(-1.0), 2.0 * width)
        columns.scatter_reduce_(-1, at, source - share, "amax")
        ahead += 1.0
        at += 1
    _land_ends(columns, target.view(-1), torn)
    return columns[:, MARGIN:-MARGIN]


def _below(bound: float) -> float:
    """The float32 just below a negative bound."""
    return bound * (1.0 + torch.finfo(torch.float32).eps)


def _land_ends(columns: Tensor, target: Tensor, torn: Tensor) -> None:
    """The pixels on either side of torn links cover half a pixel of their own there.

    `target` [H × W]; `torn` holds the numbers of pixels whose link to the next is torn.
    """
    width = columns.shape[-1] - 2 * MARGIN
    begins = functional.pad(torn[:-1] + 1, (1, 0))  # rows are torn from one another
    for ends, is_left in ((torn, False), (begins, True)):
        ends = ends[~_are_specks(target, ends, width)]
        lands = target[ends]
        first = lands.ceil()
        ahead = first - lands
        at = ends.div(width, rounding_mode="floor")
        at = at * columns.shape[-1] + first.long() + (MARGIN - is_left)
        chosen = ahead >= 0.5 if is_left else ahead <= 0.5
        source = (ends % width).to(columns.dtype)
        columns.view(-1).scatter_reduce_(0, at[chosen], source[chosen], "amax")


def _are_specks(target: Tensor, pixels: Tensor, width: int) -> Tensor:
    """Whether pixels [N] lie between two jumps away from them.

    Such a pixel is on the blur of an edge, on neither surface. Alone in the open it would
    be a speck, so it is left out.
    """
    here, column = target[pixels], pixels % width
    before = here - target[(pixels - 1).clamp_(min=0)]
    after = target[(pixels + 1).clamp_(max=len(target) - 1)] - here
    jumps = torch.minimum(before, after) > 1.0 + MAX_DROP
    return jumps & (column > 0) & (column < width - 1)


def _sampled(left: Tensor, columns: Tensor, is_open: Tensor) -> Tensor:
    """The left eye [C, H, W] at fractional columns, linearly between neighbours."""
    width = left.shape[-1]
    floor = columns.clamp(0.0, max(0.0, width - 2.0)).floor_()
    index = floor.long().expand(left.shape)
    here = left.float()
    beyond = here[..., min(1, width - 1) :].gather(-1, index)
    right = here.gather(-1, index).lerp_(beyond, columns - floor)
    right *= 1.0 - is_open
    return right if left.is_floating_point() else right.add_(0.5).floor_()
