"""Inverse depth by DepthCrafter (Hu et al. 2024, "DepthCrafter: Generating Consistent Long
Depth Sequences for Open-world Videos"): steady over long shots, fine in detail, slow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, groupby, islice

import torch
from torch import Tensor
from torch.nn import functional

from contract.errors import ErrorCode, StereoSpotError
from inference.colour import unit
from inference.diffusion.networks import Networks
from inference.diffusion.noise import Draw, seeded
from inference.diffusion.tiles import fitted
from inference.shots import Frame
from inference.stages.depth.diffused import conditions, depth_latents, depths
from inference.stages.depth.ranges import settled
from inference.stages.depth.recipe import DEFAULT, Recipe

MULTIPLE = 64
"""Pixels: the VAE makes one latent of 8, and the UNet halves those thrice."""

FLAT = 0.02
"""Span of depth, of 1, up to which a picture is flat: what the decoder's grain makes of
a blank one would be stretched to a landscape.
"""

Noise = Callable[[int, int, int], Draw]
"""Where noise comes from, by seed, number of shot, and PIXELS or LATENTS."""

PIXELS, LATENTS = 0, 1


@dataclass(frozen=True, slots=True)
class DepthCrafter:
    """A depth estimator that sees a window of frames at once.

    The first depth comes when a window is read, 110 frames, or all of a shorter shot;
    then those of 85 come at once. Whoever keeps frames until their depth comes keeps 131
    at most: at 1080p, with 16 bits, 12.4 MB each, 1.6 GB together. Kept here of a frame
    that waits are 0.15 MB, and the depth of the 25 around the next one, 2.4 MB each.
    """

    networks: Networks
    recipe: Recipe = DEFAULT
    noise: Noise = seeded

    def __call__(
        self, frames: Iterable[Frame], *, own: range, seed: int
    ) -> Iterator[Tensor]:
        """Inverse depth [1, 1, h, w] of the own frames, of up to `longest_side` pixels.

        A whole-clip recipe reads all frames first, and gives the film's size.
        StereoSpotError(OUT_OF_MEMORY) where a window does not fit onto the card.
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

        for shot, group in groupby(frames, shot_of):
            begins_shot = True
            for depth in self._of_shot(group, seed, shot):
                yield depth, begins_shot
                begins_shot = False

    def _of_shot(
        self, frames: Iterator[Frame], seed: int, shot: int
    ) -> Iterator[Tensor]:
        networks, recipe = self.networks, self.recipe
        first = next(frames).planes
        film = (first.shape[-2], first.shape[-1])
        looks = chain(
            [look(first.to(networks.device), recipe)],
            (look(frame.planes.to(networks.device), recipe) for frame in frames),
        )
        del first  # a full frame, which would wait here for the end of the shot
        shown = conditions(looks, networks, recipe, draw=self.noise(seed, shot, PIXELS))
        latents = depth_latents(
            shown, networks, recipe, draw=self.noise(seed, shot, LATENTS)
        )
        try:
            for depth in depths(latents, networks, recipe):
                yield restored(depth, *film, recipe)
        except torch.OutOfMemoryError as error:
            raise StereoSpotError(
                ErrorCode.OUT_OF_MEMORY,
                f"The card's memory is too small for the depth of {recipe.window} frames "
                "at once.",
            ) from error


def look(planes: Tensor, recipe: Recipe) -> Tensor:
    """What the network sees of planes [3, H, W] of 16 bits: [3, h, w] in [0, 1]."""
    height, width = seen_size(planes.shape[-2], planes.shape[-1], recipe)
    small = functional.interpolate(
        unit(planes), (height, width), mode="bicubic", antialias=True
    )
    rows, columns = (-(-side // MULTIPLE) * MULTIPLE for side in (height, width))
    return fitted(small.clamp_(0.0, 1.0), rows, columns)[0]


def seen_size(height: int, width: int, recipe: Recipe) -> tuple[int, int]:
    """Rows and columns that are left of a film's picture before it is padded."""
    scale = min(1.0, recipe.longest_side / max(height, width))
    if recipe.keeps_shape:
        return max(1, round(height * scale)), max(1, round(width * scale))
    # As published: rounded first, and made smaller only where that is too large.
    rows, columns = (_rounded(side) for side in (height, width))
    if max(rows, columns) > recipe.longest_side:
        rows, columns = (_rounded(side * scale) for side in (height, width))
    return rows, columns


def restored(depth: Tensor, height: int, width: int, recipe: Recipe) -> Tensor:
    """Depth [1, 1, h, w] of the picture alone, at the film's size if the recipe says so."""
    rows, columns = seen_size(height, width, recipe)
    depth = depth[..., :rows, :columns]
    if not recipe.is_whole_clip:
        return depth
    return functional.interpolate(depth, (height, width), mode="bilinear")


def whole_clip(depths: Iterable[tuple[Tensor, bool]]) -> Iterator[Tensor]:
    """Inverse depth, 0 at the least and 1 at the greatest value of all frames."""
    whole = torch.cat([depth for depth, _ in depths])
    least, greatest = whole.min(), whole.max()
    unit_range = (whole - least) / (greatest - least).clamp(min=1e-6)
    yield from torch.split(unit_range, 1)


def _rounded(side: float) -> int:
    return max(1, round(side / MULTIPLE)) * MULTIPLE
