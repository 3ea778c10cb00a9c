"""What is converted: rendered films whose truth is known, and clips, which have none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import torch
from torch import Tensor

from contract.modes import StereoSettings
from inference.colour import sixteen_bits, unit
from inference.pipeline import disparity_px
from inference.scenes import SCENES
from inference.shots import Frame, in_shots
from inference.stages.depth.refine import refine
from inference.stages.warp.splat import splat

RATE = 24
"""Rendered frames per second."""

STARTS = {"glide": 1.0, "close-up": 0.5, "dolly": 0.55}
"""Seconds into each scene at which its film begins; the dolly's cut falls within."""


@dataclass(frozen=True, slots=True)
class Truth:
    right: Tensor
    """[T, 3, H, W] in [0, 1]"""
    occluded: Tensor
    """[T, 1, H, W]: 1 where the left eye does not see what the right one does."""
    inverse_depth: Tensor
    """[T, 1, H, W] of the left eye."""


@dataclass(frozen=True, slots=True)
class Film:
    name: str
    pictures: tuple[Tensor, ...]
    """[3, H, W] of 16 bits"""
    begins_shot: list[bool]
    truth: Truth | None = None

    @property
    def left(self) -> Tensor:
        """[T, 3, H, W] in [0, 1]"""
        return torch.cat([unit(picture) for picture in self.pictures])


@dataclass(frozen=True, slots=True)
class TrueDepth:
    """The depth estimator that knows, of a film whose places are numbers from 0."""

    inverse_depth: Tensor

    def __call__(
        self, frames: Iterable[Frame], *, own: range, seed: int
    ) -> Iterator[Tensor]:
        for number, frame in enumerate(frames):
            if number in own:
                yield self.inverse_depth[frame.place : frame.place + 1]


def rendered(
    name: str, size: tuple[int, int], frames: int, settings: StereoSettings
) -> Film:
    """So many frames of one of the rendered scenes, of (width, height) pixels."""
    seen = [
        SCENES[name](STARTS[name] + number / RATE, *size, settings)
        for number in range(frames)
    ]
    left, right, inverse_depth = (torch.stack(part) for part in zip(*seen, strict=True))
    _, occluded = splat(
        left, disparity_px(refine(inverse_depth, left), settings, size[0])
    )
    truth = Truth(right, occluded, inverse_depth)
    return _film(name, (sixteen_bits(one[None]) for one in left), truth)


def clip(path: Path, frames: int) -> Film:
    """The first frames of a film from somewhere."""
    with av.open(str(path)) as container:
        pictures = []
        for frame in container.decode(video=0):
            planes = torch.from_numpy(frame.to_ndarray(format="rgb24")).permute(2, 0, 1)
            pictures.append(sixteen_bits(planes[None] / 255.0))
            if len(pictures) == frames:
                break
    return _film(path.stem, pictures, None)


def _film(name: str, pictures: Iterable[Tensor], truth: Truth | None) -> Film:
    shots = list(in_shots(pictures))
    return Film(
        name,
        tuple(frame.planes for frame in shots),
        [frame.begins_shot for frame in shots],
        truth,
    )
