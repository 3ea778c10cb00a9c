from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.stages.warp import splat as splat_module
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


def seen_by_hand(*disparity: float):
    """The source column each pixel of a row shows, None for none: the band, link by link."""
    target = [column - shift for column, shift in enumerate(disparity)]
    gaps = [None, *(b - a for a, b in itertools.pairwise(target)), None]

    def holds(gap):
        return gap is not None and 0 < gap <= 2

    def covers(column, at):
        before, after = gaps[column], gaps[column + 1]
        beyond = at - target[column]
        if holds(after) and 0 <= beyond <= after:
            return column + beyond / after
        if before is not None and before > 2 and after is not None and after > 2:
            return None
        if not holds(after) and 0 <= beyond <= 0.5:
            return column
        if not holds(before) and -0.5 <= beyond < 0:
            return column
        return None

    columns = range(len(disparity))
    seen = [[covers(column, at) for column in columns] for at in columns]
    return [
        max((one for one in some if one is not None), default=None) for some in seen
    ]


@given(
    quarters=st.lists(st.integers(-40, 40), min_size=12, max_size=12),
    smooth=st.lists(st.integers(-3, 3), min_size=12, max_size=12),
    mixed=st.integers(0, 12),
)
@settings(max_examples=200, deadline=None)
def test_each_pixel_shows_the_nearest_of_the_links_that_cover_it(
    quarters, smooth, mixed
):
    slanted = [number / 4 for number in itertools.accumulate(smooth)]
    disparity = [*slanted[:mixed], *(number / 4 for number in quarters[mixed:])]

    right, occluded = splat(torch.arange(12.0).view(1, 1, 1, -1), row(*disparity))

    expected = seen_by_hand(*disparity)
    assert occluded.flatten().tolist() == [column is None for column in expected]
    assert right.flatten().tolist() == pytest.approx(
        [column or 0.0 for column in expected]
    )


@pytest.mark.parametrize("slope", [-0.95, -0.5, -0.1, 0.0, 0.1, 0.5, 0.9])
def test_a_surface_covers_the_width_it_is_stretched_to(slope):
    disparity = torch.full((64,), 1000.0)  # out of the picture, all but 20 columns
    disparity[22:42] = slope * (torch.arange(20.0) - 9.5)

    _, occluded = splat(torch.rand(1, 3, 1, 64), row(*disparity.tolist()))

    assert abs((1 - occluded).sum().item() - (19 * (1 - slope) + 1)) <= 1.0


def test_a_row_comes_out_the_same_whatever_is_warped_with_it(monkeypatch):
    chance = torch.Generator().manual_seed(5)
    left = torch.rand(3, 3, 7, 16, generator=chance)
    disparity = torch.randn(3, 1, 7, 16, generator=chance) * 12
    monkeypatch.setattr(splat_module, "BLOCK", 2 * 16 + 1)

    together = splat(left, disparity)

    for frame, line in itertools.product(range(3), range(7)):
        one = slice(frame, frame + 1), slice(None), slice(line, line + 1)
        alone = splat(left[one], disparity[one])
        assert all(torch.equal(a[one], b) for a, b in zip(together, alone, strict=True))


@pytest.mark.parametrize("size", [(1, 1), (1, 2), (3, 1), (2, 5)])
def test_pictures_may_be_as_small_as_a_pixel(size):
    left = torch.rand(1, 3, *size)

    for shift, is_open in (0.0, False), (10.0, True), (-10.0, True):
        right, occluded = splat(left, torch.full((1, 1, *size), shift))
        assert torch.equal(right, torch.zeros_like(left) if is_open else left)
        assert occluded.eq(is_open).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_a_picture_keeps_its_float_dtype_and_its_values(left, dtype):
    left = left.to(dtype)

    right, occluded = splat(left, flat(2.0).to(dtype))

    assert right.dtype == occluded.dtype == dtype
    assert torch.equal(right[..., :-2], left[..., 2:].float().to(dtype))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16])
def test_a_picture_of_whole_numbers_is_rounded_to_them(dtype):
    white = torch.iinfo(dtype).max
    left = torch.tensor([0, 1, 3, white, white, 7]).to(dtype).expand(1, 3, 2, 6)

    same, _ = splat(left, torch.zeros(1, 1, 2, 6))
    between, occluded = splat(left, torch.full((1, 1, 2, 6), 0.5))

    assert torch.equal(same, left)
    assert between.dtype == occluded.dtype == dtype
    assert between[0, 0, 0, :4].tolist() == [1, 2, (3 + white) // 2, white]


def test_what_was_given_stays_as_it_was(left):
    disparity = flat(1.5)
    before = left.clone(), disparity.clone()

    splat(left, disparity)

    assert torch.equal(left, before[0])
    assert torch.equal(disparity, before[1])


def test_the_ends_of_rows_are_not_next_to_one_another():
    left = torch.rand(1, 3, 2, 8)
    disparity = torch.zeros(1, 1, 2, 8)
    disparity[..., 0, -1] = 30.0  # far left of the next row's first pixel,
    disparity[..., 1, 1:] = -5.0  # which tears from its neighbour

    right, _ = splat(left, disparity)

    assert torch.equal(right[..., 1, 0], left[..., 1, 0])
