"""Inverse depth that a person brought: taken as it is, frame by frame."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor
from torch.nn import functional

from contract.frames import DepthFrames
from inference.frames import read_depth
from inference.shots import Frame
from inference.stages.depth.refine import widened


@dataclass(frozen=True, slots=True)
class Given:
    """The depth of a segment out of its depth segment object.

    Nothing is estimated, settled or smoothed: the values are the person's own.
    """

    source: Path
    depth: DepthFrames

    def __call__(
        self, frames: Iterable[Frame], *, own: range, seed: int
    ) -> Iterator[Tensor]:
        """Raises UNREADABLE_SEGMENT when the object lacks the depth of a frame."""
        with closing(read_depth(self.source, self.depth)) as given:
            numbered = enumerate(zip(frames, given, strict=True))
            for number, (_, inverse_depth) in numbered:
                if number in own:
                    yield inverse_depth


def fitted(
    refine: Callable[[Tensor, Tensor], Tensor], *, widens: bool = True
) -> Callable[[Tensor, Tensor], Tensor]:
    """Bring given depth [1, 1, h, w] to the size of the left eye [1, 3, H, W].

    Smaller maps go through `refine`. Depth of the film's own size keeps its values, also
    where the film's odd sizes were padded to even ones. Of both, near things become a
    little wider if `widens`; the published algorithm does not.
    """
    wider = widened if widens else lambda depth: depth

    def fit(inverse_depth: Tensor, left: Tensor) -> Tensor:
        inverse_depth = inverse_depth.to(left.device)
        height, width = left.shape[-2:]
        down = height - inverse_depth.shape[-2]
        right = width - inverse_depth.shape[-1]
        if down in (0, 1) and right in (0, 1):
            beyond = (0, right, 0, down)
            return wider(functional.pad(inverse_depth, beyond, mode="replicate"))
        if down <= 0 and right <= 0:
            return wider(
                functional.interpolate(inverse_depth, (height, width), mode="area")
            )
        return refine(inverse_depth, left)

    return fit
