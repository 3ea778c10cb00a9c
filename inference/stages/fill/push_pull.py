"""Fill from the background around an occlusion, frame by frame, without weights."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from torch import Tensor

from inference.stages.fill import View
from inference.stages.fill.extend import extended
from inference.stages.fill.spread import background, looked_up, spread

REACH = 0.02
"""Of the width: so far the background's lines are drawn on; twice as far all is a blur."""


class PushPull:
    """A filler; without chance in it, so the seed is not needed."""

    lead = 0

    def __call__(self, views: Iterable[View], *, seed: int) -> Iterator[Tensor]:
        for view in views:
            _fill(view.right, view.occluded)  # what it holds there is nobody's
            yield view.right


push_pull = PushPull()


def filled(right: Tensor, occluded: Tensor) -> Tensor:
    """The right eye [T, 3, H, W] in [0, 1], the background drawn on where it was uncovered.

    `right` [T, 3, H, W] in [0, 1], whatever it holds where `occluded` [T, 1, H, W] is 1;
    where that is 0 it stays as it is. Lines are drawn on next to the background, and fade
    into its spread colours farther in. A frame is filled from itself alone, without
    search or chance: what is steady in the film stays steady.
    """
    whole = right.clone()
    for number in range(len(whole)):
        one = slice(number, number + 1)
        _fill(whole[one], occluded[one])
    return whole


def _fill(right: Tensor, occluded: Tensor) -> None:
    """`filled`, of one frame, in its place."""
    is_open = occluded[0, 0] > 0
    pixels = is_open.flatten().nonzero()[:, 0]
    if len(pixels):
        width = is_open.shape[1]
        down, across = pixels.div(width, rounding_mode="floor"), pixels % width
        right[0, :, down, across] = _colours(right, occluded, is_open, pixels)


def _colours(
    right: Tensor, occluded: Tensor, is_open: Tensor, pixels: Tensor
) -> Tensor:
    """[3, N] in [0, 1] of the open pixels of one frame, whose numbers are `pixels`."""
    colours, far_in = extended(right[0], is_open, pixels)
    reach = REACH * right.shape[-1]
    blurred = (far_in / reach - 1.0).clamp_(0.0, 1.0)
    if blurred.any():
        soft = looked_up(spread(right, background(occluded))[0], is_open)
        colours = colours.lerp(soft, blurred)
    return colours.clamp_(0.0, 1.0)
