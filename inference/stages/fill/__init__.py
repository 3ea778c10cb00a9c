"""Stage 3 of 4: inpaint what the right eye sees and the left eye did not.

   views  what is known of the right eye, and where it is not
→  right  [1, 3, H, W] in [0, 1] of each view; untouched where nothing was uncovered
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

from torch import Tensor


class View(NamedTuple):
    right: Tensor
    """[1, 3, H, W] in [0, 1]; what it holds where occluded is ignored."""
    occluded: Tensor
    """[1, 1, H, W]: 1 where nothing landed, else 0."""
    begins_shot: bool
    place: int
    """In the film, whichever segment it is seen in; no other view has the same."""


class Filler(Protocol):
    @property
    def lead(self) -> int:
        """Views that it wants before a segment's own ones: it fills all, the first are
        dropped. So a segment does not begin where what it makes begins."""

    def __call__(self, views: Iterable[View], *, seed: int) -> Iterator[Tensor]:
        """The right eye of each view, in order, read no further ahead than needed."""
