"""Tiles, and how they are blended, against the published code."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from inference.diffusion.networks import Networks
from inference.diffusion.tiles import LATENT, tiling
from inference.stages.fill.inpaint import inpainted, tiles_of
from inference.stages.fill.recipe import REFERENCE
from tests.inference.given import given
from tests.inference.golden.published import (
    Watched,
    arrays,
    eight_bits,
    warped_and_occluded,
)

pytestmark = pytest.mark.golden


@pytest.mark.parametrize(
    ("tiles", "size"), [(1, (128, 128)), (2, (256, 384)), (3, (512, 512))]
)
def test_tiles_are_blended_as_published(golden, tiles, size):
    stored = arrays(golden / "tiling", f"blend_n{tiles}")
    parts = [stored[f"tile{number}"] / 32.0 for number in range(tiles**2)]
    chosen = tiling(*size, tiles=tiles, multiple=LATENT)

    joined = chosen.joined(parts, torch.zeros_like(stored["result"]), scale=LATENT)

    torch.testing.assert_close(joined, stored["result"], atol=1e-6, rtol=0.0)


def test_a_chunk_in_four_tiles_agrees(golden, golden_code):
    stored = arrays(golden / "tiling", "pipeline_n2")
    weights = golden / "weights"
    networks = Watched(
        Networks.load(
            weights / "stable-video-diffusion-img2vid-xt-1-1",
            weights / "StereoCrafter" / "unet_diffusers",
        )
    )
    recipe = replace(REFERENCE, tiles=2)

    pixels = inpainted(
        networks,
        *warped_and_occluded(golden_code("synth"), 2, 256, 256),
        tiles=tiles_of(256, 256, recipe, largest=0),
        draw=lambda tile: given(stored[f"init_noise_tile{tile}"][0]),
        recipe=recipe,
    )

    torch.testing.assert_close(
        networks.decoded[0], stored["latents"], atol=5e-5, rtol=0.0
    )
    every_other = eight_bits(pixels)[0, ::2, ::2].permute(2, 0, 1)
    expected = stored["frame0_u8"].float()
    torch.testing.assert_close(every_other, expected, atol=1.0, rtol=0.0)
