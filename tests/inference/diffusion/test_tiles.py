from __future__ import annotations

import weakref

import pytest
import torch

from inference.diffusion.tiles import (
    LATENT,
    OVERLAP,
    fitted,
    tiling,
    tiling_within,
)

SIZES = [(64, 64), (90, 160), (150, 140), (576, 1024), (1080, 1920), (2160, 3840)]


@pytest.mark.parametrize("tiles", range(1, 6))
@pytest.mark.parametrize("size", SIZES)
def test_tiles_of_every_number_cover_the_picture(size, tiles):
    chosen = tiling(*size, tiles=tiles, multiple=64)

    for length, axis in zip(size, (chosen.down, chosen.across), strict=True):
        assert axis.covered >= length
        assert axis.covered - axis.stride < length or axis.count == 1
        assert axis.tile % 64 == 0
        assert axis.count <= tiles


@pytest.mark.parametrize("tiles", range(1, 6))
@pytest.mark.parametrize("scale", [1, LATENT])
def test_tiles_that_were_cut_join_to_the_same_picture(tiles, scale):
    chosen = tiling(500, 420, tiles=tiles, multiple=64)
    height, width = (length // scale for length in chosen.size)
    picture = torch.rand(1, 2, height, width, generator=torch.manual_seed(1))

    joined = chosen.joined(
        chosen.cut(picture, scale=scale), torch.zeros_like(picture), scale=scale
    )

    torch.testing.assert_close(joined, picture)


def test_tiles_that_differ_are_faded_into_one_another_over_all_they_share():
    chosen = tiling(64, 256, tiles=2, multiple=64)
    left, right = (
        torch.full_like(t, v) for t, v in zip(cuts(chosen), (0, 1), strict=True)
    )

    joined = chosen.joined([left, right], torch.zeros(1, 1, 64, 256))

    ramp = torch.arange(OVERLAP) / OVERLAP
    expected = torch.cat([torch.zeros(64), ramp, torch.ones(64)])
    torch.testing.assert_close(joined, expected.expand(1, 1, 64, 256))


def test_where_no_tile_is_the_picture_beneath_shows_and_nothing_is_blended():
    chosen = tiling(64, 256, tiles=2, multiple=64)
    _, right = cuts(chosen)

    beneath = torch.full((1, 1, 64, 256), 0.5)
    joined = chosen.joined([None, torch.ones_like(right)], beneath)

    assert (joined[..., :64] == 0.5).all()
    assert (joined[..., 64:] == 1).all()


def test_tiles_that_are_joined_are_not_kept():
    chosen = tiling(64, 640, tiles=4, multiple=64)
    alive: weakref.WeakSet[torch.Tensor] = weakref.WeakSet()

    def made():
        for part in cuts(chosen):
            assert not alive
            tile = torch.ones_like(part)
            alive.add(tile)
            yield tile
            del tile

    assert chosen.across.count == 4
    assert (chosen.joined(made(), torch.zeros(1, 1, 64, 640)) == 1).all()


def test_a_picture_smaller_than_its_tiles_is_cut_with_its_borders_repeated():
    chosen = tiling(150, 140, tiles=2, multiple=64)
    picture = torch.rand(1, 1, 150, 140, generator=torch.manual_seed(1))

    parts = list(chosen.cut(picture))

    for part, whole in zip(
        parts, chosen.cut(fitted(picture, *chosen.size)), strict=True
    ):
        assert torch.equal(part, whole)
    assert torch.equal(chosen.joined(parts, torch.zeros_like(picture)), picture)


@pytest.mark.parametrize(
    ("size", "tiles", "sides"),
    [((1024, 1920), 2, (576, 1024)), ((512, 512), 3, (256, 256))],
)
def test_sizes_that_the_published_algorithm_takes_are_tiled_as_published(
    size, tiles, sides
):
    chosen = tiling(*size, tiles=tiles, multiple=64)

    assert (chosen.down.tile, chosen.across.tile) == sides
    assert chosen.size == size


@pytest.mark.parametrize("size", SIZES)
def test_no_tile_is_larger_than_allowed_and_one_fewer_would_be(size):
    largest = 640 * 1024

    chosen = tiling_within(*size, largest=largest, multiple=64)

    assert chosen.area <= largest
    fewer = max(chosen.down.count, chosen.across.count) - 1
    if fewer:
        assert tiling(*size, tiles=fewer, multiple=64).area > largest


def test_tiles_end_at_the_smallest_size_that_has_anything_of_its_own():
    chosen = tiling_within(1080, 1920, largest=1, multiple=64)

    assert (chosen.down.tile, chosen.across.tile) == (192, 192)


def test_a_picture_is_padded_by_its_borders_and_cut_where_it_is_too_large():
    picture = torch.rand(1, 3, 5, 7, generator=torch.manual_seed(2))

    fit = fitted(picture, 8, 4)

    assert torch.equal(fit[..., :5, :], picture[..., :4])
    assert torch.equal(fit[..., 5:, :], picture[..., 4:, :4].expand(-1, -1, 3, -1))


def cuts(chosen):
    return chosen.cut(torch.zeros(1, 1, *chosen.size))
