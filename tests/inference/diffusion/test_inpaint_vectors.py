"""Tiny networks draw what they drew when the vectors were made.

`python -m tests.inference.diffusion.test_inpaint_vectors` makes them anew: only when the
picture was meant to change.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from inference.diffusion.networks import Networks
from inference.diffusion.noise import seeded
from inference.stages.fill.inpaint import inpainted, tiles_of
from inference.stages.fill.recipe import DEFAULT, REFERENCE, Recipe
from inference.stages.fill.stereocrafter import StereoCrafter
from tests.inference.diffusion.drawing import views
from tests.inference.diffusion.tiny import BASE, STEREO, save_networks

STEP = 1.0 / 255.0
"""That rounding to 8 bits, as published, makes of the last bit of a float."""

VECTORS = Path(__file__).parents[1] / "vectors" / "inpaint.npz"

RECIPES = {
    "ours": replace(DEFAULT, steps=3, chunk=4, overlap=1, tail=4, tiles=2),
    "published": replace(REFERENCE, steps=3, chunk=4, overlap=1, tail=3, tiles=1),
}


@torch.inference_mode()
def drawn(networks: Networks, recipe: Recipe) -> Tensor:
    """All that the network makes of a chunk of two frames."""
    shown = list(views(2, 90, 200))
    warped, occluded = (torch.cat([view[part] for view in shown]) for part in (0, 1))
    tiles = tiles_of(90, 200, recipe, largest=recipe.tile_pixels)
    return inpainted(
        networks,
        warped,
        occluded,
        tiles=tiles,
        draw=lambda tile: seeded(3, tile),
        recipe=recipe,
    )[..., ::4, ::4]


@torch.inference_mode()
def film(networks: Networks, recipe: Recipe) -> Tensor:
    """The midst of six right eyes, of two chunks; the holes are there."""
    rights = StereoCrafter(networks, recipe)(views(6, 70, 130), seed=3)
    return torch.cat(list(rights))[..., 30:45, 60:75]


MAKERS = {"drawn": drawn, "film": film}


@pytest.mark.parametrize("what", MAKERS)
@pytest.mark.parametrize("recipe", RECIPES)
def test_the_picture_is_what_it_was(inpainting_networks, what, recipe):
    with np.load(VECTORS) as stored:
        expected = torch.from_numpy(stored[f"{what}_{recipe}"]).float()

    found = MAKERS[what](inpainting_networks, RECIPES[recipe])

    torch.testing.assert_close(found, expected, atol=STEP + 1e-3, rtol=0.0)
    assert (found - expected).abs().mean() < 3e-4


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder)
        save_networks(weights)
        networks = Networks.load(weights / BASE, weights / STEREO)
        made = {
            f"{what}_{name}": make(networks, recipe).numpy().astype(np.float16)
            for what, make in MAKERS.items()
            for name, recipe in RECIPES.items()
        }
    np.savez_compressed(VECTORS, **made)


if __name__ == "__main__":
    main()
