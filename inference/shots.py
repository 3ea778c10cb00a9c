"""Where one shot ends and the next begins: nothing is carried over a cut."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from torch import Tensor
from torch.nn import functional

from inference.colour import unit

THUMBNAIL = (18, 32)
"""Rows and columns of what is left of a frame to tell shots apart by."""

UNLIKE = 0.08
"""Mean difference of two thumbnails, of 1, from which they are of different shots."""


class Frame(NamedTuple):
    planes: Tensor
    """[3, H, W] uint16, on the CPU: as decoded, half the size of floats."""
    begins_shot: bool


def in_shots(pictures: Iterable[Tensor]) -> Iterator[Frame]:
    """Pictures [3, H, W] of 16 bits as frames that know where a shot begins."""
    before: Tensor | None = None
    for planes in pictures:
        now = _thumbnail(planes)
        yield Frame(planes, before is None or _unlike(before, now) > UNLIKE)
        before = now


def _thumbnail(planes: Tensor) -> Tensor:
    height, width = planes.shape[-2:]
    down, across = max(1, height // 144), max(1, width // 256)
    return functional.adaptive_avg_pool2d(unit(planes[:, ::down, ::across]), THUMBNAIL)


def _unlike(before: Tensor, after: Tensor) -> float:
    """Mean difference of thumbnails [1, 3, 18, 32], each cell of the first compared with
    the most alike of the cells around it in the second: fast motion is no cut.
    """
    padded = functional.pad(after, (1, 1, 1, 1), mode="replicate")
    around = functional.unfold(padded, 3).view(3, 9, *THUMBNAIL)
    apart = (around - before.transpose(0, 1)).abs().mean(dim=0).amin(dim=0)
    return float(apart.mean())
