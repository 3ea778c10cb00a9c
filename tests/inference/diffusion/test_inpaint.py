"""One chunk through the network."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from inference.diffusion.noise import seeded
from inference.stages.fill.inpaint import cropped, inpainted, latent_mask, tiles_of
from inference.stages.fill.recipe import DEFAULT, REFERENCE
from tests.inference.diffusion.drawing import Drawing, views


def chunk(frames, height, width):
    shown = list(views(frames, height, width))
    return (torch.cat([view[part] for view in shown]) for part in (0, 1))


def run(networks, warped, occluded, recipe=DEFAULT):
    tiles = tiles_of(*warped.shape[-2:], recipe, largest=recipe.tile_pixels)
    return inpainted(
        networks,
        warped,
        occluded,
        tiles=tiles,
        draw=lambda tile: seeded(7, tile),
        recipe=recipe,
    )


class Recorded:
    """A network's UNet, and what it was given."""

    def __init__(self, networks):
        self.calls = []
        self.networks = replace(networks, unet=self)
        self.unet = networks.unet

    def __call__(self, *args, **options):
        self.calls.append(args)
        return self.unet(*args, **options)


def test_the_network_sees_noise_and_the_warped_frames_and_what_is_occluded(
    inpainting_networks,
):
    warped, occluded = chunk(2, 64, 64)
    unet = Recorded(inpainting_networks)

    run(unet.networks, warped, occluded)

    sample, _, tokens, ids = unet.calls[0]
    assert sample.shape == (1, 2, 9, 8, 8)
    noise = seeded(7, 0)((2, 4, 8, 8))
    torch.testing.assert_close(sample[0, :, :4], noise, atol=1e-5, rtol=1e-5)
    latents = inpainting_networks.encode(warped)
    torch.testing.assert_close(sample[0, :, 4:8], latents)
    assert torch.equal(sample[0, :, 8:], latent_mask(occluded, DEFAULT))
    torch.testing.assert_close(tokens[0], inpainting_networks.embed(warped[:1]))
    assert ids.tolist() == [[6.0, 127.0, 0.0]]


@pytest.mark.parametrize(("recipe", "passes"), [(DEFAULT, 1), (REFERENCE, 2)])
def test_only_the_published_recipe_computes_two_passes_a_step_and_at_once(
    inpainting_networks, recipe, passes
):
    warped, occluded = chunk(1, 64, 64)
    unet = Recorded(inpainting_networks)

    run(unet.networks, warped, occluded, recipe)

    assert [len(sample) for sample, *_ in unet.calls] == [passes] * recipe.steps


def test_guidance_grows_from_the_first_frame_to_the_last():
    warped, occluded = chunk(5, 64, 64)
    drawing = Drawing()

    run(drawing, warped, occluded, replace(DEFAULT, guidance=(1.0, 3.0)))

    assert drawing.guidance[0].tolist() == [1.0, 1.5, 2.0, 2.5, 3.0]


def test_a_thin_hole_is_seen_by_default_and_missed_as_published():
    occluded = torch.zeros(1, 1, 64, 64)
    occluded[..., 5] = 1.0

    assert latent_mask(occluded, DEFAULT)[..., 0].all()
    assert not latent_mask(occluded, REFERENCE).any()


@pytest.mark.parametrize("tiles", range(1, 6))
@pytest.mark.parametrize("size", [(150, 140), (90, 160), (330, 270), (10, 10)])
def test_pictures_of_any_size_in_any_number_of_tiles_come_back_whole(size, tiles):
    warped, occluded = chunk(2, *size)

    drawn = run(Drawing(), warped, occluded, replace(DEFAULT, tiles=tiles))

    known = (occluded == 0).expand_as(warped)
    block = torch.nn.functional.max_pool2d(occluded, 17, stride=1, padding=8)
    far = (block == 0).expand_as(warped)
    assert drawn.shape == warped.shape
    torch.testing.assert_close(drawn[far], warped[far])
    assert (drawn[~known] - 0.5).abs().max() < 1e-6


def test_tiles_of_tiny_networks_come_back_whole(inpainting_networks):
    warped, occluded = chunk(1, 150, 200)

    drawn = run(
        inpainting_networks, warped, occluded, replace(DEFAULT, tiles=2, steps=1)
    )

    assert drawn.shape == warped.shape
    assert drawn.isfinite().all()


def test_tiles_without_occlusion_cost_nothing_and_stay_as_they_were():
    warped, occluded = chunk(2, 256, 256)
    occluded[:] = 0.0
    occluded[..., 20:30, 20:30] = 1.0
    drawing = Drawing(drift=lambda run: 0.1)

    drawn = run(drawing, warped, occluded, replace(DEFAULT, tiles=2))

    assert len(drawing.shown) == 1
    assert torch.equal(drawn[..., 192:, :], warped[..., 192:, :])
    assert torch.equal(drawn[..., 192:], warped[..., 192:])


def test_an_occlusion_where_two_tiles_overlap_runs_both():
    warped, occluded = chunk(1, 64, 256)
    drawing = Drawing()

    run(drawing, warped, occluded, replace(DEFAULT, tiles=2))

    assert len(drawing.shown) == 2


def test_each_tile_draws_noise_by_its_own_number():
    warped, occluded = chunk(1, 64, 256)
    asked = []

    def draw(tile):
        asked.append(tile)
        return seeded(tile)

    tiles = tiles_of(64, 256, replace(DEFAULT, tiles=2), largest=1)
    inpainted(Drawing(), warped, occluded, tiles=tiles, draw=draw, recipe=DEFAULT)

    assert asked == [0, 1]


def test_four_tiles_are_enough_for_1080p_and_one_for_what_svd_was_trained_on():
    def tiles(*size):
        chosen = tiles_of(*size, DEFAULT, largest=DEFAULT.tile_pixels)
        return chosen.down.count * chosen.across.count

    assert tiles(1080, 1920) == 4
    assert tiles(576, 1024) == 1


@pytest.mark.parametrize(
    ("size", "left"), [((1080, 1920), (1024, 1920)), ((90, 150), (90, 128))]
)
def test_only_the_published_recipe_crops(size, left):
    assert cropped(*size, REFERENCE) == left
    assert cropped(*size, DEFAULT) == size


def test_noise_is_laid_on_the_networks_input_where_the_recipe_asks_for_it():
    warped, occluded = chunk(1, 64, 64)
    asked = []

    class Noisy(Drawing):
        def encode(self, pixels, *, noise=None):
            asked.append(noise)
            return super().encode(pixels)

    run(Noisy(), warped, occluded, replace(DEFAULT, augmentation=0.02))

    torch.testing.assert_close(asked[0], 0.02 * seeded(7, 0)((1, 3, 64, 64)))
