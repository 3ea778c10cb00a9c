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


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendering:
    """The way of a frame and its depth: for films that bring theirs, all there is to load."""

    fill: Filler
    version: str
    """Of everything that shapes the picture: the same version makes the same picture."""
    refine: Callable[[Tensor, Tensor], Tensor] = refine
    splat: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] = splat
    device: str = "cpu"

    def with_depth(
        self, depth: DepthEstimator, refine: Callable[[Tensor, Tensor], Tensor]
    ) -> Pipeline:
        return Pipeline(
            depth=depth,
            fill=self.fill,
            version=self.version,
            refine=refine,
            splat=self.splat,
            device=self.device,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline(Rendering):
    """A depth estimator and a filler, and the way of a frame through both."""

    depth: DepthEstimator

    @torch.inference_mode()
    def __call__(
        self,
        pictures: Iterable[Tensor],
        *,
        own: range,
        mode: StereoMode,
        settings: StereoSettings,
        seed: int,
        places: Iterable[int] | None = None,
    ) -> Iterator[Tensor]:
        """Stereo pictures [1, 3, H', W'] in [0, 1], one for each own frame.

        `pictures` [3, H, W] of 16 bits are a segment's frames with those of its
        neighbours; `own` are the numbers of its own. `places` are theirs in the film;
        None: these are the whole film. The same seed gives the same noise.
        """
        lefts: deque[Tensor] = deque()
        shown = range(max(0, own.start - self.fill.lead), own.stop)
        frames = in_shots(pictures, places)
        views = self._views(frames, lefts, own=shown, settings=settings, seed=seed)
        for number, right in enumerate(self.fill(views, seed=seed), shown.start):
            left = lefts.popleft()
            if number in own:
                yield compose(left, right, mode)

    def _views(
        self,
        frames: Iterable[Frame],
        lefts: deque[Tensor],
        *,
        own: range,
        settings: StereoSettings,
        seed: int,
    ) -> Iterator[View]:
        """What is known of the right eye of each own frame; its left eye joins `lefts`."""
        waiting: deque[Frame] = deque()
        kept = _kept(waiting, frames, own)
        for depth in self.depth(kept, own=own, seed=seed):
            frame = waiting.popleft()
            left = unit(frame.planes.to(self.device))
            inverse_depth = self.refine(depth, left)
            right, occluded = self.splat(
                left, disparity_px(inverse_depth, settings, left.shape[-1])
            )
            lefts.append(left)
            yield View(right, occluded, frame.begins_shot, frame.place)


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
