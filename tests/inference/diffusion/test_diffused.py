"""Depth of one shot, step by step: windows, noise, and where one window fades over."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from inference.diffusion.noise import seeded
from inference.stages.depth.diffused import (
    Condition,
    conditions,
    depth_latents,
    depths,
    spans,
)
from inference.stages.depth.recipe import DEFAULT, Recipe
from tests.inference.diffusion.told import SMALL, Told
from tests.inference.given import again, given


@pytest.mark.parametrize(("size", "overlap"), [(70, 25), (110, 25), (10, 4), (6, 5)])
def test_windows_are_cut_as_published_whatever_the_length(size, overlap):
    for length in range(1, 201):
        expected = []
        if length <= size:
            expected = [(0, length)]
        else:
            start = 0
            while start < length - overlap:
                expected.append((start, min(start + size, length)))
                start += size - overlap
        made = list(spans(range(length), size=size, overlap=overlap))
        assert [(part[0], part[-1] + 1) for part in made] == expected
        assert all(part == tuple(range(part[0], part[-1] + 1)) for part in made)


def test_windows_share_the_noise_of_the_frames_they_share(depth_networks):
    told = Told(depth_networks, [])
    noise = torch.randn(19, 4, 2, 2, generator=torch.Generator().manual_seed(1))
    shown = [Condition(torch.zeros(4, 2, 2), torch.zeros(32)) for _ in range(19)]
    list(depth_latents(shown, told, SMALL, draw=given(noise)))
    first, second, third = (window[0] for window in told.windows)
    assert [len(first), len(second), len(third)] == [10, 10, 7]
    assert torch.allclose(first, noise[:10] * 700.0007, rtol=1e-6)
    # Begun where the window before ended, under the noise that its frames had there.
    shared = first[6:] + noise[6:10] * 700
    assert torch.allclose(second[:4], shared, rtol=1e-6)
    assert torch.allclose(second[4:], noise[10:16] * 700.0007, rtol=1e-6)
    assert torch.allclose(third[4:], noise[16:] * 700.0007, rtol=1e-6)


def test_a_window_fades_over_from_the_one_before(depth_networks):
    class Counting(Told):
        def denoise(self, latents, *_, **__):
            self.windows.append(1)
            return torch.full_like(latents, float(len(self.windows)))

    shown = [Condition(torch.zeros(4, 2, 2), torch.zeros(32)) for _ in range(16)]
    networks = Counting(depth_networks, [])
    draw = seeded(1)
    made = [
        float(one.mean()) for one in depth_latents(shown, networks, SMALL, draw=draw)
    ]
    assert made == pytest.approx([1.0] * 6 + [1, 4 / 3, 5 / 3, 2] + [2.0] * 6)


def test_the_network_is_told_the_published_numbers(depth_networks):
    told = Told(depth_networks, [])
    shown = [Condition(torch.zeros(4, 2, 2), torch.zeros(32))]
    list(depth_latents(shown, told, DEFAULT, draw=seeded(1)))
    facts = told.windows[0][3]
    assert facts["time_ids"] == (7, 127, 0.02)
    assert facts["guidance"] == 1.0
    assert facts["steps"] == 5


def at_once(networks, pixels, grain, noise, recipe):
    """The published algorithm over all frames at once, as plainly as it can be written."""
    frames = len(pixels)
    size = min(recipe.window, frames)
    shared = recipe.overlap if size < frames else 0
    schedule = networks.schedule(recipe.steps)
    batch = recipe.encode_frames
    shown = networks.encode(pixels, noise=recipe.augmentation * grain, batch=batch)
    embedded = networks.embed(pixels, batch=batch)
    rolled = noise * schedule.init_noise_sigma
    out = torch.empty(0, 4, *shown.shape[-2:])
    for start in range(0, frames - shared, size - shared):
        stop = min(start + size, frames)
        begun = rolled[: stop - start].clone()
        rolled = torch.cat([rolled[size - shared :], rolled[: size - shared]])
        if start:
            begun[:shared] = (
                out[-shared:] + begun[:shared] / schedule.init_noise_sigma * 700.0
            )
        made = networks.denoise(
            begun,
            shown[start:stop],
            embedded[start:stop],
            time_ids=(7.0, 127.0, recipe.augmentation),
            steps=recipe.steps,
            guidance=recipe.guidance,
        )
        if start:
            share = torch.linspace(0, 1, shared)[:, None, None, None]
            out[-shared:] = made[:shared] * share + out[-shared:] * (1 - share)
            made = made[shared:]
        out = torch.cat([out, made])
    return networks.decode(out, chunk=recipe.decode_frames).mean(dim=1, keepdim=True)


@torch.inference_mode()
@pytest.mark.parametrize(
    ("frames", "guidance"), [(1, 1.0), (7, 1.2), (10, 1.0), (11, 1.0), (23, 1.2)]
)
def test_a_stream_gives_what_the_whole_gives(depth_networks, frames, guidance):
    recipe = replace(SMALL, guidance=guidance, decode_context=0)
    dice = torch.Generator().manual_seed(frames)
    pixels = torch.rand(frames, 3, 64, 64, generator=dice)
    grain = torch.randn(frames, 3, 64, 64, generator=dice)
    noise = torch.randn(min(frames, 10), 4, 8, 8, generator=dice)
    shown = conditions(iter(pixels), depth_networks, recipe, draw=given(grain))
    latents = depth_latents(shown, depth_networks, recipe, draw=again(noise, frames))
    streamed = torch.cat(list(depths(latents, depth_networks, recipe)))
    whole = at_once(depth_networks, pixels, grain, noise, recipe)
    assert torch.allclose(streamed, whole, atol=1e-5)


@torch.inference_mode()
def test_a_still_picture_does_not_jump_where_the_decoder_begins_again(depth_networks):
    """Equal latents come out equal but near the ends, of lots as of the whole film."""
    dice = torch.Generator().manual_seed(1)
    still = [torch.randn(4, 8, 8, generator=dice)] * 24

    def largest_step(context):
        recipe = Recipe(decode_frames=8, decode_context=context)
        made = torch.cat(list(depths(still, depth_networks, recipe)))[4:20]
        return float(made.diff(dim=0).abs().mean(dim=(1, 2, 3)).max())

    assert largest_step(2) < 0.5 * largest_step(0)


@torch.inference_mode()
def test_a_frame_that_waits_holds_no_other_frames(depth_networks):
    pixels = torch.zeros(5, 3, 64, 64)
    shown = list(conditions(pixels, depth_networks, SMALL, draw=seeded(1)))
    for kept in (part for condition in shown for part in condition):
        assert kept.untyped_storage().nbytes() == kept.numel() * kept.element_size()
