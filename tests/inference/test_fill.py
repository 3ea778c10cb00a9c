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


def test_nothing_known_is_black_not_nan():
    whole = filled(torch.zeros(1, 3, 6, 8), torch.ones(1, 1, 6, 8))

    assert torch.equal(whole, torch.zeros(1, 3, 6, 8))


def test_each_frame_is_filled_from_itself_alone(right):
    holed, occluded = opened(right, slice(5, 20), slice(10, 18))

    together = filled(holed, occluded)

    alone = filled(holed[1:], occluded[1:])
    torch.testing.assert_close(together[1:], alone, atol=1e-6, rtol=0)
