"""A segment's frames in, stereo pictures out: depth → warp → fill → compose.

Every stage takes a stream and gives one, and looks ahead only as far as it must. What
waits between them is all of a film that is ever in memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from contract.modes import StereoMode, StereoSettings
from inference.colour import unit
from inference.shots import Frame, in_shots
from inference.stages.compose import compose
from inference.stages.depth import DepthEstimator
from inference.stages.depth.refine import refine
from inference.stages.fill import Filler, View
from inference.stages.warp.splat import splat


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A depth estimator and a filler, and the way of a frame through both."""

    depth: DepthEstimator
    fill: Filler
    version: str
    """Of everything that shapes the picture: the same version makes the same picture."""
    refine: Callable[[Tensor, Tensor], Tensor] = refine
    splat: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] = splat
    device: str = "cpu"

    @torch.inference_mode()
    def __call__(
        self,
        pictures: Iterable[Tensor],
        *,
        own: range,
        mode: StereoMode,
        settings: StereoSettings,
        seed: int,
    ) -> Iterator[Tensor]:
        """Stereo pictures [1, 3, H', W'] in [0, 1], one for each own frame.

        `pictures` [3, H, W] of 16 bits are a segment's frames with those of its
        neighbours; `own` are the numbers of its own. The same seed gives the same film.
        """
        lefts: deque[Tensor] = deque()
        views = self._views(pictures, lefts, own=own, settings=settings, seed=seed)
        for right in self.fill(views, seed=seed):
            yield compose(lefts.popleft(), right, mode)

    def _views(
        self,
        pictures: Iterable[Tensor],
        lefts: deque[Tensor],
        *,
        own: range,
        settings: StereoSettings,
        seed: int,
    ) -> Iterator[View]:
        """What is known of the right eye of each own frame; its left eye joins `lefts`."""
        waiting: deque[Frame] = deque()
        frames = _kept(waiting, in_shots(pictures), own)
        for depth in self.depth(frames, own=own, seed=seed):
            frame = waiting.popleft()
            left = unit(frame.planes.to(self.device))
            inverse_depth = self.refine(depth, left)
            right, occluded = self.splat(
                left, disparity_px(inverse_depth, settings, left.shape[-1])
            )
            lefts.append(left)
            yield View(right, occluded, frame.begins_shot)


def _kept(
    waiting: deque[Frame], frames: Iterable[Frame], own: range
) -> Iterator[Frame]:
    """The frames as they are; the own ones wait for what is made of them."""
    for number, frame in enumerate(frames):
        if number in own:
            waiting.append(frame)
        yield frame


def disparity_px(inverse_depth: Tensor, settings: StereoSettings, width: int) -> Tensor:
    """Shift between the eyes in pixels, positive in front of the screen plane.

    From 0 to 1 of inverse depth the shift grows by `max_disparity` percent of the width;
    `convergence` says which inverse depth lies in the screen plane. So no shift is ever
    larger than `max_disparity`, wherever that plane is put.
    """
    largest = settings.max_disparity / 100.0 * width
    return (inverse_depth - settings.convergence) * largest
