from __future__ import annotations

import pytest
import torch

from inference.stages.fill.push_pull import filled


@pytest.fixture
def right():
    return torch.rand(2, 3, 24, 40, generator=torch.Generator().manual_seed(0))


def opened(right, rows: slice, columns: slice):
    occluded = torch.zeros_like(right[:, :1])
    occluded[..., rows, columns] = 1.0
    return torch.where(occluded > 0, 0.0, right), occluded


def test_pixels_that_landed_stay_exactly_as_they_are(right):
    holed, occluded = opened(right, slice(5, 20), slice(10, 18))

    whole = filled(holed, occluded)

    landed = (occluded == 0).expand_as(right)
    assert torch.equal(whole[landed], right[landed])


def test_a_picture_without_occlusions_is_returned_as_it_is(right):
    assert torch.equal(filled(right, torch.zeros_like(right[:, :1])), right)


def test_a_plain_wall_is_filled_with_its_own_colour():
    wall = torch.full((1, 3, 24, 40), 0.3)
    holed, occluded = opened(wall, slice(3, 21), slice(12, 20))

    torch.testing.assert_close(filled(holed, occluded), wall)


def test_what_a_near_object_uncovers_is_filled_from_the_far_side_on_its_right():
    scene = torch.full((1, 3, 24, 64), 0.2)
    scene[..., :24] = 1.0  # the near object, white, left of what it uncovered
    holed, occluded = opened(scene, slice(None), slice(24, 32))

    whole = filled(holed, occluded)

    torch.testing.assert_close(
        whole[..., 24:32], torch.full((1, 3, 24, 8), 0.2), atol=0.02, rtol=0
    )


def test_an_edge_of_the_picture_is_filled_from_the_only_side_there_is():
    scene = torch.full((1, 3, 24, 40), 0.7)
    holed, occluded = opened(scene, slice(None), slice(32, 40))

    torch.testing.assert_close(filled(holed, occluded), scene)


def stripes(height: int, width: int, slope: float):
    """[1, 3, H, W]: soft stripes that fall by `slope` rows to a column."""
    down, across = torch.meshgrid(
        torch.arange(height), torch.arange(width), indexing="ij"
    )
    return (0.5 + 0.3 * torch.sin((down - slope * across) / 3.0)).expand(1, 3, -1, -1)


@pytest.mark.parametrize("slope", [-0.3, 0.0, 0.3])
@pytest.mark.parametrize("columns", [slice(190, 196), slice(394, 400)])
def test_lines_go_straight_on_also_at_the_picture_s_right_edge(slope, columns):
    scene = stripes(60, 400, slope)
    holed, occluded = opened(scene, slice(10, 50), columns)

    whole = filled(holed, occluded)

    error = (whole - scene)[..., 10:50, columns].abs()
    level = (scene[..., [columns.start - 3]] - scene)[..., 10:50, columns].abs()
    assert error.mean() < (0.01 if slope == 0.0 else 0.4 * level.mean())


def test_an_almost_upright_line_beside_an_occlusion_is_not_bent_into_it():
    down, across = torch.meshgrid(torch.arange(40), torch.arange(400), indexing="ij")
    line = (1.5 - (across - 205 - down / 10).abs()).clamp(0.0, 1.0)
    sky = (0.7 - 0.01 * down).expand(1, 3, -1, -1)
    scene = sky - 0.1 * line
    holed, occluded = opened(scene, slice(None), slice(192, 200))

    inner = (..., slice(8, 32), slice(192, 200))
    torch.testing.assert_close(
        filled(holed, occluded)[inner], sky[inner], atol=0.01, rtol=0
    )


def test_what_the_picture_holds_where_it_is_open_does_not_matter(right):
    holed, occluded = opened(right, slice(5, 20), slice(10, 18))
    occluded[..., 7, 20:23] = 1.0

    whole = filled(torch.where(occluded > 0, 0.0, holed), occluded)

    other = filled(torch.where(occluded > 0, 0.7, holed), occluded)
    assert torch.equal(whole, other)


def test_the_rim_that_carries_the_near_object_s_blur_is_not_drawn_out():
    scene = torch.full((1, 3, 40, 400), 0.2)
    scene[..., :192] = 0.9
    scene[..., 200:202] = 0.4  # blur of the near object's edge
    holed, occluded = opened(scene, slice(None), slice(192, 200))

    torch.testing.assert_close(
        filled(holed, occluded)[..., 192:200], torch.full((1, 3, 40, 8), 0.2)
    )


def test_grain_is_not_drawn_out_into_streaks():
    dice = torch.Generator().manual_seed(0)
    scene = 0.5 + 0.05 * torch.randn(1, 3, 200, 400, generator=dice)
    holed, occluded = opened(scene, slice(None), slice(100, 108))

    hole = filled(holed, occluded)[..., 100:108]

    assert hole.std() < 0.45 * scene.std()


def test_farther_in_than_a_person_would_take_for_texture_all_is_soft():
    dice = torch.Generator().manual_seed(0)
    scene = torch.rand(1, 3, 200, 400, generator=dice)
    holed, occluded = opened(scene, slice(None), slice(100, 140))

    whole = filled(holed, occluded)

    near, far = whole[..., 136:140], whole[..., 100:110]
    assert far.diff(dim=-2).abs().mean() < 0.2 * near.diff(dim=-2).abs().mean()


def test_a_row_that_is_all_open_takes_its_neighbours_colours():
    wall = torch.full((1, 3, 24, 40), 0.3)
    holed, occluded = opened(wall, slice(8, 10), slice(None))

    torch.testing.assert_close(filled(holed, occluded), wall)


def test_nothing_known_is_black_not_nan():
    whole = filled(torch.zeros(1, 3, 6, 8), torch.ones(1, 1, 6, 8))

    assert torch.equal(whole, torch.zeros(1, 3, 6, 8))


def test_each_frame_is_filled_from_itself_alone(right):
    holed, occluded = opened(right, slice(5, 20), slice(10, 18))

    together = filled(holed, occluded)

    alone = filled(holed[1:], occluded[1:])
    torch.testing.assert_close(together[1:], alone, atol=1e-6, rtol=0)
