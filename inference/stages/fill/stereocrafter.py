"""Inpainting by StereoCrafter's network, chunk after chunk of a film (Zhao et al. 2024)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from contract.errors import ErrorCode, StereoSpotError
from inference.diffusion.chunks import Chunk, chunks
from inference.diffusion.networks import Networks
from inference.diffusion.noise import Draw, seeded
from inference.diffusion.tiles import Tiling
from inference.stages.fill import View
from inference.stages.fill.blend import blended
from inference.stages.fill.inpaint import inpainted, tiles_of
from inference.stages.fill.recipe import DEFAULT, Recipe


@dataclass(frozen=True, slots=True)
class StereoCrafter:
    """A filler that holds one chunk of views, and as many finished right eyes.

    While a chunk is drawn these are about 1500 bytes for each pixel of the film, 3 GB at
    1080p, beside what the networks need.
    """

    networks: Networks
    recipe: Recipe = DEFAULT
    noise: Callable[..., Draw] = seeded
    """Of a tile, by seed and number of shot, chunk and tile."""

    def __call__(self, views: Iterable[View], *, seed: int) -> Iterator[Tensor]:
        """The right eye of each view, a chunk at a time; nothing reaches over a cut.

        A chunk that does not fit into the card's memory is tried again with smaller
        tiles, and so are those after it. StereoSpotError(OUT_OF_MEMORY) where the smallest
        do not fit, or the recipe says how many there are.
        """
        recipe = self.recipe
        finished: deque[View] = deque(maxlen=recipe.tail)
        largest = recipe.tile_pixels
        for chunk in chunks(
            views, size=recipe.chunk, overlap=recipe.overlap, tail=recipe.tail
        ):
            # Never of the shot before: a first chunk reuses none, others fewer than it had.
            reused = list(finished)[len(finished) - chunk.reused :]
            drawn, largest = self._drawn(chunk, reused, seed, largest)
            for generated, view in zip(torch.split(drawn, 1), chunk.fresh, strict=True):
                right = self._right(generated, view)
                finished.append(view._replace(right=right))
                yield right

    def _drawn(
        self, chunk: Chunk[View], reused: list[View], seed: int, largest: int
    ) -> tuple[Tensor, int]:
        """The fresh frames as the network makes them, and the largest tile that fits."""
        recipe = self.recipe
        warped, occluded = _shown(chunk, reused, recipe)
        height, width = warped.shape[-2:]
        tiles = tiles_of(height, width, recipe, largest=largest)
        draw = partial(self.noise, seed, chunk.shot, chunk.number)
        while (drawn := self._tried(warped, occluded, tiles, draw)) is None:
            torch.cuda.empty_cache()
            largest = tiles.area - 1
            smaller = tiles_of(height, width, recipe, largest=largest)
            if smaller.area >= tiles.area:
                raise StereoSpotError(
                    ErrorCode.OUT_OF_MEMORY,
                    f"The card's memory is too small to inpaint {width} × {height} "
                    f"pixels, even in tiles of {tiles.across.tile} × {tiles.down.tile}.",
                )
            tiles = smaller
        return drawn[len(reused) :], largest

    def _tried(
        self,
        warped: Tensor,
        occluded: Tensor,
        tiles: Tiling,
        draw: Callable[[int], Draw],
    ) -> Tensor | None:
        """The chunk, or None where a tile does not fit into memory."""
        with suppress(torch.OutOfMemoryError):
            return inpainted(
                self.networks,
                warped,
                occluded,
                tiles=tiles,
                draw=draw,
                recipe=self.recipe,
            )
        return None

    def _right(self, generated: Tensor, view: View) -> Tensor:
        """One finished right eye, of the size of the view."""
        height = min(generated.shape[-2], view.right.shape[-2])
        width = min(generated.shape[-1], view.right.shape[-1])
        generated = generated[..., :height, :width].to(view.right.device)
        if self.recipe.rounds:
            generated = (generated * 255.0).round() / 255.0
        if self.recipe.keeps_source:
            return blended(generated, view.right, view.occluded)
        right = view.right.clone()
        right[..., :height, :width] = generated
        return right


def _shown(
    chunk: Chunk[View], reused: list[View], recipe: Recipe
) -> tuple[Tensor, Tensor]:
    """Right eyes [T, 3, H, W] and what is occluded of them [T, 1, H, W], reused first.

    Occlusions are black, which is how the network was trained to see them.
    """
    black = [view.right.masked_fill(view.occluded == 1, 0.0) for view in chunk.fresh]
    known = [
        torch.zeros_like(view.occluded) if recipe.clears_reused else view.occluded
        for view in reused
    ]
    warped = torch.cat([view.right for view in reused] + black)
    occluded = torch.cat(known + [view.occluded for view in chunk.fresh])
    return warped, occluded
