"""Depth against what the published code makes of the same weights and the same noise."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from inference.diffusion.networks import Networks
from inference.stages.depth.depthcrafter import restored, whole_clip
from inference.stages.depth.diffused import (
    Condition,
    conditions,
    depth_latents,
    depths,
    spans,
)
from inference.stages.depth.recipe import REFERENCE, Recipe
from tests.inference.given import again, given

pytestmark = pytest.mark.golden

LATENTS = 5e-5
DEPTH = 3e-6


@dataclass(frozen=True)
class Run:
    """One reference: what went in, what came out, and what we make of it."""

    facts: dict[str, Any]
    arrays: dict[str, Tensor]
    conditions: list[Condition]
    inputs: list[Tensor]
    """What the UNet was given, pass after pass."""
    latents: Tensor
    depth: Tensor


@pytest.fixture(scope="module")
def networks(golden: Path) -> Networks:
    weights = golden / "weights"
    return Networks.load(
        weights / "stable-video-diffusion-img2vid-xt-1-1",
        weights / "DepthCrafter",
    )


@pytest.fixture(scope="module")
def run(golden: Path, golden_code):
    video = golden_code("synth").synth_video

    def run(name: str, networks: Networks) -> Run:
        facts = json.loads((golden / "depth" / f"{name}.json").read_text())
        with np.load(golden / "depth" / f"{name}.npz") as stored:
            arrays = {key: torch.from_numpy(stored[key]) for key in stored.files}
        frames, height, width = facts["T"], facts["H"], facts["W"]
        pixels = torch.from_numpy(video(frames, height, width)).permute(0, 3, 1, 2)
        dice = torch.Generator().manual_seed(facts["seed"])
        grain = torch.randn(frames, 3, height, width, generator=dice)
        # Divided in double precision, as the published code does.
        return _run(facts, arrays, (pixels.double() / 255.0).float(), grain, networks)

    return run


@torch.inference_mode()
def _run(
    facts: dict[str, Any],
    arrays: dict[str, Tensor],
    pixels: Tensor,
    grain: Tensor,
    networks: Networks,
) -> Run:
    recipe = recipe_of(facts)
    inputs: list[Tensor] = []
    hook = networks.unet.register_forward_pre_hook(
        lambda _, args: inputs.append(args[0])
    )
    shown = list(conditions(pixels, networks, recipe, draw=given(grain)))
    noise = again(arrays["init_noise"][0], len(shown))
    latents = list(depth_latents(shown, networks, recipe, draw=noise))
    hook.remove()
    depth = torch.cat(list(depths(latents, networks, recipe)))
    return Run(facts, arrays, shown, inputs, torch.stack(latents), depth[:, 0])


def recipe_of(facts: dict[str, Any]) -> Recipe:
    return replace(
        REFERENCE,
        window=facts["window"],
        overlap=facts["overlap"],
        steps=facts["steps"],
        guidance=facts["guidance"],
    )


def unit(depth: Tensor) -> Tensor:
    """[T, H, W] in [0, 1] over the whole clip."""
    shot = ((frame[None, None], False) for frame in depth)
    return torch.cat(list(whole_clip(shot)))[:, 0]


def apart(ours: Tensor, theirs: Tensor) -> float:
    assert ours.shape == theirs.shape
    return float((ours - theirs).abs().max())


@pytest.mark.parametrize(
    "name",
    ["small_cfg", "small_nocfg", "single_window", "w70_o25_T130", "w110_o25_T150"],
)
def test_latents_and_depth_are_the_published_ones(name, run, networks):
    agrees(run(name, networks))


def test_a_network_that_hears_the_timestep_gives_the_published_depth(
    run, networks, golden_code, tmp_path
):
    golden_code("recipe").unet("depth", "m").save_pretrained(tmp_path)
    agrees(run("m_small_cfg", networks.with_unet(tmp_path)))


def agrees(made: Run) -> None:
    assert apart(made.latents[None], made.arrays["latents_final"]) < LATENTS
    depth = unit(made.depth)
    # The range is stretched to 1, and with it what rounding did.
    near = DEPTH / (made.facts["depth_max"] - made.facts["depth_min"])
    if "depth_norm" in made.arrays:
        assert apart(depth, made.arrays["depth_norm"]) < near
    else:
        chosen = made.arrays["depth_idx"]
        assert apart(depth[chosen], made.arrays["depth_norm_sel"]) < near
    means = depth.mean(dim=(1, 2))
    assert apart(means, made.arrays["depth_mean_per_frame"]) < DEPTH
    assert float(made.depth.min()) == pytest.approx(made.facts["depth_min"], abs=DEPTH)
    assert float(made.depth.max()) == pytest.approx(made.facts["depth_max"], abs=DEPTH)


def test_every_step_on_the_way_is_the_published_one(run, networks):
    made = run("small_cfg", networks)
    stored = made.arrays
    embeddings = torch.stack([shown.embedding for shown in made.conditions])
    assert apart(embeddings, stored["clip_embeds"]) < DEPTH
    encoded = torch.stack([shown.latents for shown in made.conditions])
    assert apart(encoded, stored["cond_latents"]) < LATENTS
    passes = 2 * made.facts["steps"]
    assert len(made.inputs) == 3 * passes
    for number, given_to in enumerate(made.inputs[::passes]):
        assert apart(given_to, stored[f"win{number}_unet_in0"]) < LATENTS
    assert apart(made.depth, stored["depth_raw"]) < DEPTH


def test_schedule_is_the_published_one(golden, networks):
    for name in ("small_cfg", "small_nocfg"):
        facts = json.loads((golden / "depth" / f"{name}.json").read_text())
        schedule = networks.schedule(facts["steps"])
        assert schedule.sigmas.tolist() == pytest.approx(facts["sigmas"], rel=1e-7)
        assert schedule.timesteps.tolist() == pytest.approx(
            facts["timesteps"], abs=1e-6
        )
        assert float(schedule.init_noise_sigma) == pytest.approx(
            facts["init_noise_sigma"], rel=1e-7
        )


def test_depth_at_another_size_is_the_published_one(golden, run, networks):
    facts = json.loads((golden / "depth" / "infer_resized.json").read_text())
    with np.load(golden / "depth" / "infer_resized.npz") as stored:
        chosen, expected = (torch.from_numpy(stored[key]) for key in ("idx", "depth"))
    made = run("small_cfg", networks)
    resized = [
        restored(depth[None, None], *facts["out_hw"], REFERENCE)[0, 0]
        for depth in made.depth
    ]
    assert apart(unit(torch.stack(resized))[chosen], expected) < DEPTH


def test_windows_are_the_published_ones(golden):
    for case in json.loads((golden / "depth" / "window_schedule.json").read_text()):
        windows = spans(range(case["T"]), size=case["window"], overlap=case["overlap"])
        assert [len(window) for window in windows] == case["window_lengths"]
