"""A film of several chunks against the published code."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import NamedTuple

import pytest
import torch

from inference.diffusion.chunks import chunks
from inference.diffusion.networks import Networks
from inference.stages.fill import View
from inference.stages.fill.recipe import REFERENCE
from inference.stages.fill.stereocrafter import StereoCrafter
from tests.inference.golden.published import (
    Watched,
    arrays,
    eight_bits,
    warped_and_occluded,
)

pytestmark = pytest.mark.golden

HALF = 2.0**-11
"""Relative rounding of what is stored in half precision."""


class Item(NamedTuple):
    number: int
    begins_shot: bool


def test_chunks_of_every_length_are_cut_as_published(golden):
    wrong = []
    for case in json.loads((golden / "longloop" / "schedule.json").read_text()):
        length, size, overlap = case["N"], case["chunk"], case["overlap"]
        items = [Item(number, number == 0) for number in range(length)]
        found = [
            [c.fresh[0].number - c.reused, c.reused + len(c.fresh), c.reused]
            for c in chunks(items, size=size, overlap=overlap, tail=size - overlap)
        ]
        # The published loop fails on what is no longer than an overlap.
        if found != case.get("chunks_start_len_reused", [[0, length, 0]]):
            wrong.append((length, size, overlap))

    assert wrong == []


def test_a_film_of_three_chunks_agrees(golden, golden_code):
    """Closely where rounding to 8 bits has not yet turned a last bit into a step.

    What the first chunk hands on differs by one step in a few pixels of a hundred
    thousand, on every machine in others; the network makes them more.
    """
    stored = arrays(golden / "longloop", "n50")
    weights = golden / "weights"
    networks = Watched(
        Networks.load(
            weights / "stable-video-diffusion-img2vid-xt-1-1",
            weights / "StereoCrafter" / "unet_diffusers",
        )
    )
    warped, occluded = warped_and_occluded(golden_code("synth"), 50, 150, 140)
    shown = (
        View(right[None], hole[None], number == 0, number)
        for number, (right, hole) in enumerate(zip(warped, occluded, strict=True))
    )
    fill = StereoCrafter(networks, replace(REFERENCE, tiles=1), PublishedNoise())

    rights = torch.cat(list(fill(shown, seed=0)))[..., :128, :128]

    first, second, third = (
        (latents - stored[f"chunk{number}_latents_f16"].float()).abs()
        for number, latents in enumerate(networks.decoded)
    )
    assert (first - HALF * networks.decoded[0].abs()).max() < 1e-3
    assert second.max() < 1.3e-2
    assert third.mean() < 1.0 / 255.0
    means = rights.mean(dim=(2, 3)).double() * 255.0
    torch.testing.assert_close(means, stored["right_mean_per_frame"], atol=0.02, rtol=0)
    steps = eight_bits(rights[stored["right_sel_idx"]])[:, ::2, ::2]
    off = (steps - stored["right_sel_u8"].float()).abs()
    assert off[:3].max() <= 1.0
    assert off.max() <= 2.0
    reused = eight_bits(networks.encoded[1][:3])[:, ::4, ::4].permute(0, 3, 1, 2)
    assert (reused - stored["chunk1_input_first3_u8"].float()).abs().max() <= 1.0


class PublishedNoise:
    """One stream for the whole film: of each chunk for its pixels first, unused."""

    def __init__(self):
        self.dice = torch.Generator().manual_seed(777)
        self.places, self.drawn = [], None

    def __call__(self, seed, tile, place):
        if self.places and place <= self.places[-1]:  # a chunk that reaches back
            self.places = []
        number = len(self.places)
        self.places.append(place)

        def draw(shape):
            if number == 0:
                frames, (_, height, width) = len(self.places), shape
                torch.randn(frames, 3, height * 8, width * 8, generator=self.dice)
                self.drawn = torch.randn(frames, *shape, generator=self.dice)
            return self.drawn[number]

        return draw
