"""Inpainting by StereoCrafter's network, chunk after chunk of a film (Zhao et al. 2024)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from inference.diffusion.chunks import Chunk, chunks
from inference.diffusion.networks import Networks
from inference.diffusion.noise import TILES, Draw, Noise, of_frames, seeded
from inference.diffusion.tiles import Tiling
from inference.memory import is_out_of_memory
from inference.stages.fill import View
from inference.stages.fill.blend import blended
from inference.stages.fill.inpaint import inpainted, tiles_of
from inference.stages.fill.recipe import DEFAULT, Recipe


@dataclass(frozen=True, slots=True)
class StereoCrafter:
    """A filler that holds one chunk of views, and as many finished right eyes.

    While a chunk is drawn these, with the left eyes that wait, are about 1900 bytes for
    each pixel of the film, 3.9 GB at 1080p, beside what the networks need.
    """

    networks: Networks
    recipe: Recipe = DEFAULT
    noise: Noise = seeded

    @property
    def lead(self) -> int:
        return self.recipe.lead

    def __call__(self, views: Iterable[View], *, seed: int) -> Iterator[Tensor]:
        """The right eye of each view, a chunk at a time; nothing reaches over a cut.

        A chunk that does not fit into the card's memory is tried again with smaller
        tiles, and so are those after it. StereoSpotError, of `Hardware.too_small`, where
        the smallest do not fit, or the recipe says how many there are.
        """
        recipe = self.recipe
        finished: deque[View] = deque(maxlen=recipe.tail)
        largest = recipe.tile_pixels
        if not recipe.resets_at_cuts:
            views = (view._replace(begins_shot=False) for view in views)
        for chunk in chunks(
            views, size=recipe.chunk, overlap=recipe.overlap, tail=recipe.tail
        ):
            # Never of the shot before: a first chunk reuses none, others fewer than it had.
            reused = list(finished)[len(finished) - chunk.reused :]
            drawn, largest = self._drawn(chunk, reused, seed, largest)
            yield from self._finished(drawn, chunk, finished)
            # Or all of it would wait while the next chunk's views come.
            del drawn, chunk, reused

    def _finished(
        self, drawn: Tensor, chunk: Chunk[View], finished: deque[View]
    ) -> Iterator[Tensor]:
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
        places = [view.place for view in (*reused, *chunk.fresh)]

        def draw(tile: int) -> Draw:
            return of_frames([self.noise(seed, TILES + tile, at) for at in places])

        while (drawn := self._tried(warped, occluded, tiles, draw)) is None:
            self.networks.hardware.forget()
            largest = tiles.area - 1
            smaller = tiles_of(height, width, recipe, largest=largest)
            if smaller.area >= tiles.area:
                raise self.networks.hardware.too_small(
                    f"inpainting {width} × {height} pixels, even in tiles of "
                    f"{tiles.across.tile} × {tiles.down.tile}"
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
        try:
            return inpainted(
                self.networks,
                warped,
                occluded,
                tiles=tiles,
                draw=draw,
                recipe=self.recipe,
            )
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        # Only here: the error held what was on the card.
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
    views = (*reused, *chunk.fresh)
    right, hole = views[0].right, views[0].occluded
    warped = right.new_empty(len(views), *right.shape[1:])
    occluded = hole.new_zeros(len(views), *hole.shape[1:])
    for number, view in enumerate(views):
        is_fresh = number >= len(reused)
        warped[number] = view.right[0]
        if is_fresh:
            warped[number].masked_fill_(view.occluded[0] == 1, 0.0)
        if is_fresh or not recipe.clears_reused:
            occluded[number] = view.occluded[0]
    return warped, occluded
