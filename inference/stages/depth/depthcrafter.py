"""Inverse depth by DepthCrafter (Hu et al. 2024, "DepthCrafter: Generating Consistent Long
Depth Sequences for Open-world Videos"): steady over long shots, fine in detail, slow.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby, islice

from torch import Tensor
from torch.nn import functional

from inference.colour import unit
from inference.diffusion.networks import Networks
from inference.diffusion.noise import (
    LATENTS,
    PIXELS,
    Draw,
    Noise,
    next_frames,
    seeded,
)
from inference.diffusion.tiles import fitted
from inference.memory import is_out_of_memory
from inference.needs import smaller
from inference.shots import Frame
from inference.stages.depth.diffused import conditions, depth_latents, depths
from inference.stages.depth.ranges import settled
from inference.stages.depth.recipe import DEFAULT, Recipe

log = logging.getLogger(__name__)

MULTIPLE = 64
"""Pixels: the VAE makes one latent of 8, and the UNet halves those thrice."""

FLAT = 0.02
"""Span of depth, of 1, up to which a picture is flat: what the decoder's grain makes of
a blank one would be stretched to a landscape.
"""


@dataclass(frozen=True, slots=True)
class DepthCrafter:
    """A depth estimator that sees a window of frames at once.

    The first depth comes when a window is read, 110 frames, or all of a shorter shot;
    then those of 85 come at once. A frame is kept until its depth comes: 131 at most, at
    1080p with 16 bits 12.4 MB each, 1.6 GB together; the pipeline keeps the same ones.
    Beside each lie 0.15 MB, and the depth of the 25 around the next one, 2.4 MB each.
    """

    networks: Networks
    recipe: Recipe = DEFAULT
    noise: Noise = seeded

    def __call__(
        self, frames: Iterable[Frame], *, own: range, seed: int
    ) -> Iterator[Tensor]:
        """Inverse depth [1, 1, h, w] of the own frames, of up to `longest_side` pixels.

        A whole-clip recipe reads all frames first, and gives the film's size.
        A window that does not fit onto the card is tried again with fewer pixels, and so
        are those after it. StereoSpotError, of `Hardware.too_small`, where the fewest do
        not fit, or the recipe says how many there are.
        """
        raw = self._raw(frames, seed)
        if self.recipe.is_whole_clip:
            return islice(whole_clip(raw), own.start, own.stop)
        # Cut off, so that nothing is computed for what follows the last own frame's range.
        return islice(settled(raw, own=own, flat=FLAT), len(own))

    def _raw(self, frames: Iterable[Frame], seed: int) -> Iterator[tuple[Tensor, bool]]:
        """Depth of each frame, and whether it begins a shot."""
        number = -1

        def shot_of(frame: Frame) -> int:
            nonlocal number
            if frame.begins_shot and (self.recipe.resets_at_cuts or number < 0):
                number += 1
            return number

        recipe = self.recipe
        for _, group in groupby(frames, shot_of):
            recipe = yield from self._of_shot(Waiting(group), seed, recipe)

    def _of_shot(
        self, frames: Waiting, seed: int, recipe: Recipe
    ) -> Generator[tuple[Tensor, bool], None, Recipe]:
        """Likewise of one shot, and the recipe that fits onto the card.

        Where a window does not fit, the frames without depth are seen smaller, as a shot
        of their own: their depth is of another scale.
        """
        while True:
            begins_shot = True
            try:
                for depth in self._tried(frames, seed, recipe):
                    frames.done()
                    yield depth, begins_shot
                    begins_shot = False
                return recipe
            except Exception as error:
                if frames.is_broken or not is_out_of_memory(error):
                    raise
                recipe = self._smaller(recipe, frames, error)
            # Only here: the error held what was on the card.
            self.networks.hardware.forget()

    def _tried(
        self, frames: Iterable[Frame], seed: int, recipe: Recipe
    ) -> Iterator[Tensor]:
        networks = self.networks
        grain: deque[Draw] = deque()
        noise: deque[Draw] = deque()
        film: tuple[int, int] = (0, 0)

        def seen(frame: Frame) -> Tensor:
            nonlocal film
            film = (frame.planes.shape[-2], frame.planes.shape[-1])
            grain.append(self.noise(seed, PIXELS, frame.place))
            noise.append(self.noise(seed, LATENTS, frame.place))
            return look(frame.planes.to(networks.device), recipe)

        looks = map(seen, frames)
        shown = conditions(looks, networks, recipe, draw=next_frames(grain))
        latents = depth_latents(shown, networks, recipe, draw=next_frames(noise))
        for depth in depths(latents, networks, recipe):
            yield restored(depth, *film, recipe)

    def _smaller(self, recipe: Recipe, frames: Waiting, error: Exception) -> Recipe:
        """With fewer pixels. StereoSpotError where no fewer may be."""
        planes = frames.oldest.planes
        rows, columns = padded_size(planes.shape[-2], planes.shape[-1], recipe)
        pixels = None if recipe.pixels is None else smaller(rows * columns)
        if pixels is None:
            raise self.networks.hardware.too_small(
                f"the depth of {recipe.window} frames of {columns} × {rows} pixels at once"
            ) from error
        log.warning(
            "%d × %d pixels of %d frames do not fit: from here on at most %d pixels",
            columns, rows, recipe.window, pixels,
        )  # fmt: skip
        return replace(recipe, pixels=pixels)


class Waiting:
    """A shot's frames, which are read again from the oldest one without depth.

    They are kept until then, as the pipeline keeps them: the same tensors.
    """

    def __init__(self, frames: Iterator[Frame]) -> None:
        self._unread = frames
        self._kept: deque[Frame] = deque()
        self.is_broken = False
        """Whether reading failed: what comes after it is not the shot's end."""

    def __iter__(self) -> Iterator[Frame]:
        yield from tuple(self._kept)
        while (frame := self._next()) is not None:
            self._kept.append(frame)
            yield frame

    def _next(self) -> Frame | None:
        try:
            return next(self._unread, None)
        except Exception:
            self.is_broken = True
            raise

    @property
    def oldest(self) -> Frame:
        return self._kept[0]

    def done(self) -> None:
        self._kept.popleft()


def look(planes: Tensor, recipe: Recipe) -> Tensor:
    """What the network sees of planes [3, H, W] of 16 bits: [3, h, w] in [0, 1]."""
    film = (planes.shape[-2], planes.shape[-1])
    height, width = seen_size(*film, recipe)
    small = functional.interpolate(
        unit(planes), (height, width), mode="bicubic", antialias=True
    )
    return fitted(small.clamp_(0.0, 1.0), *padded_size(*film, recipe))[0]


def seen_size(height: int, width: int, recipe: Recipe) -> tuple[int, int]:
    """Rows and columns that are left of a film's picture before it is padded."""
    longest = min(recipe.longest_side, max(height, width))
    if not recipe.keeps_shape:
        return _published_size(height, width, longest)
    while True:
        scale = longest / max(height, width)
        rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
        fits = recipe.pixels is None or _up(rows) * _up(columns) <= recipe.pixels
        if fits or longest <= MULTIPLE:
            return rows, columns
        longest = _up(longest) - MULTIPLE


def padded_size(height: int, width: int, recipe: Recipe) -> tuple[int, int]:
    """Rows and columns of what the network is shown of a film's picture."""
    rows, columns = seen_size(height, width, recipe)
    return _up(rows), _up(columns)


def _published_size(height: int, width: int, longest: int) -> tuple[int, int]:
    """Rounded first, and made smaller only where that is too large."""
    scale = longest / max(height, width)
    rows, columns = (_rounded(side) for side in (height, width))
    if max(rows, columns) > longest:
        rows, columns = (_rounded(side * scale) for side in (height, width))
    return rows, columns


def _up(side: int) -> int:
    return -(-side // MULTIPLE) * MULTIPLE


def restored(depth: Tensor, height: int, width: int, recipe: Recipe) -> Tensor:
    """Depth [1, 1, h, w] of the picture alone, at the film's size if the recipe says so."""
    rows, columns = seen_size(height, width, recipe)
    depth = depth[..., :rows, :columns]
    if not recipe.is_whole_clip:
        return depth
    return functional.interpolate(depth, (height, width), mode="bilinear")


def whole_clip(depths: Iterable[tuple[Tensor, bool]]) -> Iterator[Tensor]:
    """Inverse depth, 0 at the least and 1 at the greatest value of all frames.

    They wait in the CPU's memory, each once: a card would soon be full of them.
    """
    waiting = deque((depth.cpu(), depth.device) for depth, _ in depths)
    least = min(float(depth.min()) for depth, _ in waiting)
    span = max(max(float(depth.max()) for depth, _ in waiting) - least, 1e-6)
    while waiting:
        depth, device = waiting.popleft()
        yield ((depth - least) / span).to(device)


def _rounded(side: float) -> int:
    return max(1, round(side / MULTIPLE)) * MULTIPLE
