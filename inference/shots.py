"""Where one shot ends and the next begins: nothing is carried over a cut."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import count
from typing import NamedTuple

from torch import Tensor
from torch.nn import functional

from inference.colour import unit

THUMBNAIL = (18, 32)
"""Rows and columns of what is left of a frame to tell shots apart by."""

UNLIKE = 0.08
"""Mean difference of two thumbnails, of 1, from which they are of different shots."""


FLASH = 2
"""Frames in a row that may look different, lit by a flash or damaged, within one shot."""


class Frame(NamedTuple):
    planes: Tensor
    """[3, H, W] uint16, on the CPU: as decoded, half the size of floats."""
    begins_shot: bool
    place: int
    """In the film, whichever segment it is seen in; no other frame has the same."""


def in_shots(
    pictures: Iterable[Tensor], places: Iterable[int] | None = None
) -> Iterator[Frame]:
    """Pictures [3, H, W] of 16 bits as frames that know where a shot begins.

    `places` are those of the pictures; None: they are the whole film.

    A shot begins where none of the FLASH + 1 frames from here on looks like any of as
    many before. Reads FLASH frames ahead.
    """
    before: deque[Tensor] = deque(maxlen=FLASH + 1)
    waiting: deque[tuple[Tensor, Tensor, int]] = deque()

    def oldest() -> Frame:
        begins_shot = _apart(before, [thumbnail for _, thumbnail, _ in waiting])
        planes, thumbnail, place = waiting.popleft()
        before.append(thumbnail)
        return Frame(planes, begins_shot, place)

    for planes, place in zip(pictures, places or count(), strict=False):
        waiting.append((planes, _thumbnail(planes), place))
        if len(waiting) > FLASH:
            yield oldest()
    while waiting:
        yield oldest()


def _apart(before: deque[Tensor], after: list[Tensor]) -> bool:
    """Whether no thumbnail of the first is like one of the second, nearest first."""
    return all(_unlike(a, b) > UNLIKE for a in reversed(before) for b in after)


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
