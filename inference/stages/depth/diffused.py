"""Depth of one shot by DepthCrafter's network (Hu et al. 2024), in three steps that stream.

    pixels      [3, h, w]       in [0, 1], of each frame; h and w multiples of 64
 →  conditions  of each frame: its latents, and what CLIP says of it
 →  latents     [4, h/8, w/8]   of each frame's depth
 →  depth       [1, 1, h, w]    in [0, 1], larger is nearer, of a scale of its own

The network sees a window of frames at once. A window shares the noise of the frames it
overlaps with the one before, begins from what that made of them, and fades over from it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from inference.diffusion.networks import Networks
from inference.diffusion.noise import Draw
from inference.stages.depth.recipe import Recipe
from inference.windows import windows

T = TypeVar("T")


class Condition(NamedTuple):
    """All that the UNet is shown of a frame, a hundredth of its pixels."""

    latents: Tensor
    """[4, h/8, w/8]"""
    embedding: Tensor
    """[D]"""


def conditions(
    pixels: Iterable[Tensor], networks: Networks, recipe: Recipe, *, draw: Draw
) -> Iterator[Condition]:
    """The condition of each frame; `draw` gives noise [n, 3, h, w] of the next n frames."""
    for batch in _batches(pixels, recipe.encode_frames):
        frames = torch.stack(batch)
        grain = recipe.augmentation * draw(tuple(frames.shape))
        encoded = networks.encode(frames, noise=grain, batch=recipe.encode_frames)
        for latents, embedding in zip(encoded, networks.embed(frames), strict=True):
            # Copies, so that a frame that waits does not hold its whole batch.
            yield Condition(latents.clone(), embedding.clone())


def depth_latents(
    conditions: Iterable[Condition], networks: Networks, recipe: Recipe, *, draw: Draw
) -> Iterator[Tensor]:
    """The denoised latents of each frame, as soon as no window changes them any more.

    `draw` gives noise [n, 4, h/8, w/8] of the next n frames; windows share that of the
    frames they share.
    """
    schedule = networks.schedule(recipe.steps)
    highest, beginning = float(schedule.sigmas[0]), float(schedule.init_noise_sigma)
    noise = before = torch.empty(0)
    for window in spans(conditions, size=recipe.window, overlap=recipe.overlap):
        frames = len(window)
        shown = torch.stack([condition.latents for condition in window])
        shared = len(before)
        fresh = draw((frames - shared, *shown.shape[1:])).to(shown.device)
        noise = torch.cat([noise[-shared:], fresh]) if shared else fresh
        start = noise * beginning
        if shared:
            start[:shared] = before + start[:shared] / beginning * highest
        made = networks.denoise(
            start,
            shown,
            torch.stack([condition.embedding for condition in window]),
            time_ids=(
                recipe.frames_per_second,
                recipe.motion_bucket,
                recipe.augmentation,
            ),
            steps=recipe.steps,
            guidance=recipe.guidance,
        )
        if shared:
            made[:shared] = _faded(before, made[:shared])
        settled = max(0, frames - recipe.overlap)
        yield from made[:settled].clone()
        before = made[settled:].clone()
    yield from before


def depths(
    latents: Iterable[Tensor], networks: Networks, recipe: Recipe
) -> Iterator[Tensor]:
    """The depth of each frame: as published, the mean of the R, G and B decoded."""
    for window in windows(
        latents,
        own=range(sys.maxsize),
        size=recipe.decode_frames,
        context=recipe.decode_context,
    ):
        pixels = networks.decode(torch.stack(window.items), chunk=len(window.items))
        own = pixels[window.own.start : window.own.stop]
        yield from torch.split(own.mean(dim=1, keepdim=True), 1)


def spans(stream: Iterable[T], *, size: int, overlap: int) -> Iterator[tuple[T, ...]]:
    """Cut a stream into spans of `size` items, each beginning with the last `overlap` ones
    of the span before; the last is as short as the stream leaves it, with one new item or
    more. A stream of up to `size` items is one span.
    """
    near: list[T] = []
    fresh = 0
    for item in stream:
        near.append(item)
        fresh += 1
        if len(near) == size:
            yield tuple(near)
            near = near[size - overlap :]
            fresh = 0
    if fresh:
        yield tuple(near)


def _faded(before: Tensor, after: Tensor) -> Tensor:
    """From the one to the other, linearly; the first frame is all `before`."""
    share = torch.linspace(0.0, 1.0, len(after), device=after.device)[
        :, None, None, None
    ]
    return after * share + before * (1.0 - share)


def _batches(stream: Iterable[T], size: int) -> Iterator[list[T]]:
    items = iter(stream)
    while batch := list(islice(items, size)):
        yield batch
