"""One chunk of inpainting against what the published code makes of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from inference.diffusion.networks import Networks
from inference.stages.fill.inpaint import inpainted, tiles_of
from inference.stages.fill.recipe import REFERENCE
from tests.inference.given import given
from tests.inference.golden.published import Watched, arrays, eight_bits, unit

pytestmark = pytest.mark.golden

LATENTS = 5e-5
FIRST_STEP = 6e-5
"""At a noise level of 286."""
ROUNDING = 2.0**-22
"""Relative, of latents that are brought back from unit variance in float32."""

RECIPE = replace(REFERENCE, tiles=1)


@pytest.fixture(scope="module")
def networks(golden: Path) -> Networks:
    weights = golden / "weights"
    return Networks.load(
        weights / "stable-video-diffusion-img2vid-xt-1-1",
        weights / "StereoCrafter" / "unet_diffusers",
    )


@pytest.fixture(scope="module")
def chunk(golden: Path):
    return arrays(golden / "inpaint", "one_chunk")


def run(networks, chunk, noise, recipe=RECIPE, grain=None):
    """Latents and pixels of the reference's chunk."""
    watched = Watched(networks)
    draws = [given(part) for part in (grain, noise[0]) if part is not None]
    pixels = inpainted(
        watched,
        unit(chunk["warped_u8"].numpy()),
        chunk["mask"],
        tiles=tiles_of(64, 64, recipe, largest=0),
        draw=lambda tile: lambda shape: draws.pop(0)(shape),
        recipe=recipe,
    )
    return watched.decoded[0], pixels


def test_the_first_input_of_the_unet_agrees(networks, chunk):
    inputs = []
    hook = networks.unet.register_forward_pre_hook(lambda _, args: inputs.append(args))
    run(networks, chunk, chunk["init_noise"])
    hook.remove()

    sample, _, tokens, ids = inputs[0]
    agree(sample, chunk["unet_in0"], LATENTS)
    agree(tokens, chunk["encoder_hidden_states"], LATENTS)
    agree(ids, chunk["added_time_ids"], 0.0)


def test_latents_after_the_first_step_agree(networks, chunk):
    scaled = []
    hook = networks.unet.register_forward_pre_hook(
        lambda _, args: scaled.append(args[0][0, :, :4])
    )
    run(networks, chunk, chunk["init_noise"])
    hook.remove()

    sigma = networks.schedule(RECIPE.steps).sigmas[1].item()
    second = scaled[1] * (sigma**2 + 1.0) ** 0.5
    expected = chunk["latents_after_step0"][0]
    torch.testing.assert_close(second, expected, atol=FIRST_STEP, rtol=ROUNDING)


def test_final_latents_and_frames_agree(networks, chunk):
    latents, pixels = run(networks, chunk, chunk["init_noise"])

    agree(latents, chunk["latents_final"][0], LATENTS)
    agree(eight_bits(pixels), chunk["frames_u8"].float(), 1.0)
    agree(pixels[0], (chunk["decoded_f32_frame0"] / 2 + 0.5).clamp(0, 1), 1e-5)


def test_guidance_that_grows_and_noise_on_the_input_agree(golden, networks, chunk):
    other = arrays(golden / "inpaint", "one_chunk_cfg3")
    recipe = replace(RECIPE, guidance=(1.0, 3.0), augmentation=0.02, steps=4)
    grain = torch.randn(5, 3, 64, 64, generator=torch.manual_seed(124))

    latents, _ = run(networks, chunk, other["init_noise"], recipe, grain)

    agree(latents, other["latents_final"][0], LATENTS)


def test_a_network_that_hears_the_timestep_agrees(golden, golden_code, networks, chunk):
    other = arrays(golden / "inpaint", "m_one_chunk")
    hearing = replace(networks, unet=golden_code("recipe").unet("stereo", "m"))

    latents, _ = run(hearing, chunk, other["init_noise"])

    agree(latents, other["latents_final"][0], LATENTS)


def agree(found, expected, tolerance):
    torch.testing.assert_close(found, expected, atol=tolerance, rtol=0.0)
