from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.stages.warp.splat import splat


@pytest.fixture
def left():
    return torch.rand(2, 3, 4, 16, generator=torch.Generator().manual_seed(0))


def flat(disparity: float):
    return torch.full((2, 1, 4, 16), disparity)


def row(*disparity: float):
    return torch.tensor(disparity).view(1, 1, 1, -1)


def test_no_disparity_changes_nothing_not_even_at_the_last_row_and_column(left):
    right, occluded = splat(left, flat(0.0))

    assert torch.equal(right, left)
    assert occluded.count_nonzero() == 0


def test_a_flat_scene_moves_as_one_and_uncovers_its_right_edge(left):
    right, occluded = splat(left, flat(3.0))

    assert torch.equal(right[..., :-3], left[..., 3:])
    assert (occluded[..., -3:] == 1).all()
    assert (occluded[..., :-3] == 0).all()
    assert (right[..., -3:] == 0).all()


def test_a_scene_behind_the_screen_uncovers_its_left_edge(left):
    right, occluded = splat(left, flat(-3.0))

    assert torch.equal(right[..., 3:], left[..., :-3])
    assert (occluded[..., :3] == 1).all()
    assert (occluded[..., 3:] == 0).all()


def test_half_a_pixel_is_the_mean_of_two(left):
    right, occluded = splat(left, flat(0.5))

    expected = (left[..., :-1] + left[..., 1:]) / 2
    torch.testing.assert_close(right[..., :-1], expected)
    assert (occluded[..., :-1] == 0).all()


def test_the_nearer_pixel_hides_the_farther_one():
    left = torch.zeros(1, 3, 1, 16)
    left[..., 12] = 1.0  # a white pole, 10 px nearer than the black wall
    disparity = torch.zeros(1, 1, 1, 16)
    disparity[..., 12] = 10.0

    right, occluded = splat(left, disparity)

    assert right[0, 0, 0].argmax() == 2
    assert right[0, 0, 0, 2] == 1.0
    assert occluded[0, 0, 0].tolist() == [float(x == 12) for x in range(16)]


def test_layers_a_hair_apart_do_not_blend():
    left = torch.zeros(1, 3, 1, 32)
    left[..., 16:] = 1.0
    disparity = torch.zeros(1, 1, 1, 32)
    disparity[..., 16:] = 3.0

    right, _ = splat(left, disparity)

    assert right[0, 0, 0, :13].eq(0.0).all()
    assert right[0, 0, 0, 13:29].eq(1.0).all()


@pytest.mark.parametrize("slope", [-0.95, -0.5, -0.1, 0.1, 0.5])
def test_a_slanted_surface_has_no_cracks(slope):
    left = torch.linspace(0.0, 1.0, 64).expand(1, 3, 2, 64)
    disparity = (slope * torch.arange(64.0)).expand(1, 1, 2, 64)

    right, occluded = splat(left, disparity)

    landed = occluded[0, 0, 0] == 0
    first, last = landed.nonzero()[[0, -1]].flatten().tolist()
    assert last - first > 10
    assert landed[first : last + 1].all()
    assert (right[0, 0, 0, first : last + 1].diff() >= 0).all()


def test_a_surface_tears_where_depth_jumps_and_the_blur_of_the_edge_leaves_no_specks():
    disparity = row(*[9.0] * 20, 6.0, 3.0, *[0.0] * 20)
    left = torch.ones(1, 3, 1, 42)

    _, occluded = splat(left, disparity)

    opened = occluded[0, 0, 0].nonzero().flatten().tolist()
    assert opened == list(range(11, 22))


@given(
    disparity=st.lists(st.floats(-300, 300, width=32), min_size=24, max_size=24),
    seed=st.integers(0, 2**16),
)
@settings(max_examples=80, deadline=None)
def test_whatever_the_disparity_colours_come_from_the_row_itself(disparity, seed):
    left = torch.rand(1, 3, 1, 24, generator=torch.Generator().manual_seed(seed))

    right, occluded = splat(left, row(*disparity))

    assert right.isfinite().all()
    assert ((occluded == 0) | (occluded == 1)).all()
    assert (right[(occluded == 1).expand_as(right)] == 0).all()
    low, high = left.amin(dim=-1, keepdim=True), left.amax(dim=-1, keepdim=True)
    seen = occluded == 0
    assert ((right >= low - 1e-6) & (right <= high + 1e-6) | ~seen).all()


@given(
    disparity=st.lists(st.floats(-300, 300, width=32), min_size=24, max_size=24),
    pole=st.integers(0, 23),
)
@settings(max_examples=80, deadline=None)
def test_what_is_nearest_of_all_is_seen_where_it_lands(disparity, pole):
    left = torch.zeros(1, 3, 1, 24)
    left[..., pole] = 1.0
    disparity[pole] = float(max(min(pole - 5, 300), max(disparity) + 40))
    landing = round(pole - disparity[pole])

    right, _ = splat(left, row(*disparity))

    if 0 <= landing < 24:
        assert right[0, 0, 0, landing] == 1.0


@given(shift=st.floats(-300, 300, width=32), width=st.integers(4, 40))
@settings(max_examples=80, deadline=None)
def test_a_flat_scene_covers_its_own_width_less_what_left_the_picture(shift, width):
    left = torch.rand(1, 3, 1, width)

    _, occluded = splat(left, torch.full((1, 1, 1, width), shift))

    assert abs(float((1 - occluded).sum()) - max(0.0, width - abs(shift))) <= 1.0
