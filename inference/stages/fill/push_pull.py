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
            yield filled(view.right, view.occluded)


push_pull = PushPull()


def filled(right: Tensor, occluded: Tensor) -> Tensor:
    """The right eye [T, 3, H, W] in [0, 1], the background drawn on where it was uncovered.

    `right` [T, 3, H, W] in [0, 1], whatever it holds where `occluded` [T, 1, H, W] is 1;
    where that is 0 it stays as it is. Lines are drawn on next to the background, and fade
    into its spread colours farther in. A frame is filled from itself alone, without
    search or chance: what is steady in the film stays steady.
    """
    if not occluded.any():
        return right
    whole = right.clone()
    for number, is_open in enumerate(occluded[:, 0] > 0):
        if is_open.any():
            one = slice(number, number + 1)
            whole[number, :, is_open] = _colours(right[one], occluded[one], is_open)
    return whole


def _colours(right: Tensor, occluded: Tensor, is_open: Tensor) -> Tensor:
    """[3, N] in [0, 1] of the open pixels of one frame."""
    colours, far_in = extended(right[0], is_open)
    reach = REACH * right.shape[-1]
    blurred = (far_in / reach - 1.0).clamp_(0.0, 1.0)
    if blurred.any():
        soft = looked_up(spread(right, background(occluded))[0], is_open)
        colours = colours.lerp(soft, blurred)
    return colours.clamp_(0.0, 1.0)
