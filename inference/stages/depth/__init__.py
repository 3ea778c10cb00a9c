"""Stage 1 of 4: inverse depth, 1 is nearest.

   frames         of a segment, those of its neighbours included
→  inverse depth  [1, 1, h, w] in [0, 1] of each own frame, refined to [1, 1, H, W]
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from torch import Tensor

from inference.shots import Frame


class DepthEstimator(Protocol):
    def __call__(
        self, frames: Iterable[Frame], *, own: range, seed: int
    ) -> Iterator[Tensor]:
        """Inverse depth [1, 1, h, w] of the frames whose number is in `own`, in order.

        Reads no further ahead than it needs: what it has read and not yet answered is
        all that is kept of a film.
        """
