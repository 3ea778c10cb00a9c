"""One chunk of right eyes through StereoCrafter's network, tile by tile.

As published: the UNet of Stable Video Diffusion with nine channels, which are the noisy
latents (4), the latents of the warped frames with their black occlusions (4) and the
occlusion mask (1). CLIP shows it the first frame. The left eye is no input.

    warped    [T, 3, H, W]  in [0, 1]; black where nothing landed
    occluded  [T, 1, H, W]  1 where the network shall invent, else 0
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from inference.diffusion.networks import Networks
from inference.diffusion.noise import Draw
from inference.diffusion.tiles import LATENT, Tiling, tiling, tiling_within
from inference.heartbeat import beat
from inference.stages.fill.recipe import Recipe


@torch.no_grad()
def inpainted(
    networks: Networks,
    warped: Tensor,
    occluded: Tensor,
    *,
    tiles: Tiling,
    draw: Callable[[int], Draw],
    recipe: Recipe,
) -> Tensor:
    """What the network makes of a chunk, [T, 3, h, w] in [0, 1].

    h and w are the size of the picture, as cut by `recipe.crop`. Where the recipe keeps
    the source, tiles without occlusion are `warped` as it was. `draw` gives the noise of
    the tile with a number, row by row: that for pixels first, if any, then for latents.
    What a tile that is too large raises is for `is_out_of_memory` to tell.
    """
    height, width = cropped(warped.shape[-2], warped.shape[-1], recipe)
    latents = [
        _latents(networks, pixels, hole, draw(number), recipe)
        if not recipe.keeps_source or bool(hole.any())
        else None
        for number, (pixels, hole) in enumerate(
            zip(tiles.cut(warped), tiles.cut(occluded), strict=True)
        )
    ]
    if any(part is not None for part in latents):
        warped = _decoded(networks, latents, warped, tiles, recipe)
    return warped[..., :height, :width]


def tiles_of(height: int, width: int, recipe: Recipe, *, largest: int) -> Tiling:
    """How a picture is cut, into tiles of up to `largest` pixels unless `recipe` says."""
    height, width = cropped(height, width, recipe)
    if recipe.tiles is not None:
        return tiling(height, width, tiles=recipe.tiles, multiple=recipe.multiple)
    return tiling_within(height, width, largest=largest, multiple=recipe.multiple)


def cropped(height: int, width: int, recipe: Recipe) -> tuple[int, int]:
    """Rows and columns that are left of a picture: all of one smaller than `crop`."""
    if recipe.crop is None:
        return height, width
    rows, columns = (side - side % recipe.crop or side for side in (height, width))
    return rows, columns


def latent_mask(occluded: Tensor, recipe: Recipe) -> Tensor:
    """[T, 1, H/8, W/8], 0 or 1, of occlusion masks [T, 1, H, W]."""
    binary = (occluded >= 0.5).to(torch.float32)
    if recipe.masks_whole_blocks:
        return functional.max_pool2d(binary, LATENT)
    return binary[..., ::LATENT, ::LATENT]


def _latents(
    networks: Networks, warped: Tensor, occluded: Tensor, draw: Draw, recipe: Recipe
) -> Tensor:
    """Denoised latents [T, 4, h/8, w/8] of a tile [T, 3, h, w]."""
    beat()
    frames, _, height, width = warped.shape
    grain = None
    if recipe.augmentation:
        grain = recipe.augmentation * draw((frames, 3, height, width))
    condition = torch.cat(
        [
            networks.encode(warped, noise=grain),
            latent_mask(occluded, recipe).to(networks.device),
        ],
        dim=1,
    )
    beginning = networks.schedule(recipe.steps).init_noise_sigma
    return networks.denoise(
        draw((frames, 4, height // LATENT, width // LATENT)) * beginning,
        condition,
        networks.embed(warped[:1]),
        time_ids=(
            recipe.frames_per_second - 1,
            recipe.motion_bucket,
            recipe.augmentation,
        ),
        steps=recipe.steps,
        guidance=torch.linspace(*recipe.guidance, frames),
        at_once=recipe.guides_at_once,
    )


def _decoded(
    networks: Networks,
    latents: Sequence[Tensor | None],
    beneath: Tensor,
    tiles: Tiling,
    recipe: Recipe,
) -> Tensor:
    """Pixels of the tiles' latents, and those `beneath` where a tile has none.

    Latents are blended first: two tiles invent different things where they overlap.
    """
    known = next(part for part in latents if part is not None)
    rows, columns = (side // LATENT for side in tiles.size)
    nothing = known.new_zeros(len(known), known.shape[1], rows, columns)
    joined = tiles.joined(latents, nothing, scale=LATENT)
    if not recipe.decodes_tiles:
        return networks.decode(joined, chunk=recipe.decode_frames)
    # One after the other: a picture of all of them is all that is kept.
    pixels = (
        None if part is None else networks.decode(whole, chunk=recipe.decode_frames)
        for part, whole in zip(latents, tiles.cut(joined, scale=LATENT), strict=True)
    )
    return tiles.joined(pixels, beneath.to(networks.device))
