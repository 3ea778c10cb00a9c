from __future__ import annotations

import pytest
import torch

from contract.modes import StereoSettings
from inference.colour import sixteen_bits
from inference.scene import views
from inference.scenes import close_up
from inference.shots import in_shots
from inference.stages.depth import motion
from inference.stages.depth.preview import Preview
from inference.stages.depth.refine import refine

SETTINGS = StereoSettings()


@pytest.fixture(scope="module")
def scene():
    """Half a second of the sample scene, [20, 3, 180, 320], and its inverse depth."""
    seen = [views(2 + n / 24, 320, 180, SETTINGS) for n in range(20)]
    return torch.stack([left for left, _, _ in seen]), torch.stack(
        [depth for _, _, depth in seen]
    )


def estimated(pictures, own):
    """Inverse depth [N, 1, h, w] of the own ones of pictures [T, 3, H, W]."""
    frames = in_shots(sixteen_bits(picture[None]) for picture in pictures)
    return torch.cat([*Preview()(frames, own=own, seed=0)])


def correlation(a, b):
    return float(torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1])


def test_flow_follows_a_picture_that_moves_as_one(scene):
    left, _ = scene
    luma = left[:1].mean(dim=1, keepdim=True)

    flow = motion.flow(luma[..., 6:-6], luma[..., 4:-8])

    inner = flow[0, 0, 60:150, 20:-20]
    assert inner.median() == pytest.approx(2.0, abs=0.1)
    assert flow[0, 1, 60:150, 20:-20].median() == pytest.approx(0.0, abs=0.1)


def test_what_passes_the_camera_faster_is_nearer(scene):
    left, truth = scene

    estimate = refine(estimated(left, range(10, 11)), left[10:11])

    assert correlation(estimate, truth[10:11]) > 0.85
    without_motion = refine(estimated(left[10:11], range(1)), left[10:11])
    assert correlation(estimate, truth[10:11]) > correlation(
        without_motion, truth[10:11]
    )


def test_a_head_is_nearer_than_its_wall_while_the_camera_rolls_and_zooms():
    seen = [close_up(0.1 + n / 24, 192, 108, SETTINGS) for n in range(11)]
    pictures = torch.stack([left for left, _, _ in seen])

    estimate = estimated(pictures, range(5, 6))

    small = Preview().look(seen[5][2].expand(1, 3, -1, -1))[:, :1]
    assert estimate[small > 0.66].mean() > estimate[small < 0.15].mean() + 0.15


def test_the_sky_lies_behind_what_stands_before_it_down_to_the_lower_edge():
    sky = torch.tensor([0.45, 0.70, 0.85])[:, None, None].expand(3, 180, 320)
    picture = sky.clone()
    picture[:, :, 140:180] = torch.tensor([0.55, 0.30, 0.20])[:, None, None]

    estimate = estimated(picture[None], range(1))

    height, width = estimate.shape[-2:]
    rows = estimate[0, 0, height // 3 :]
    assert (rows[:, width // 2] > rows[:, width // 8] + 0.1).all()
    assert rows[:, width // 8].max() < 0.4


def test_inverse_depth_lies_between_0_and_1(scene):
    left, _ = scene

    estimate = refine(estimated(left, range(len(left))), left)

    assert estimate.shape == (20, 1, 180, 320)
    assert estimate.min() >= 0.0
    assert estimate.max() <= 1.0


@pytest.mark.parametrize("first", [0, 3, 9, 18])
def test_an_estimate_depends_on_nothing_beyond_its_context(scene, first):
    left, _ = scene
    context = Preview().context
    whole = estimated(left, range(20))

    last = first + 2
    before = max(0, first - context)
    near = left[before : last + context]
    part = estimated(near, range(first - before, last - before))

    torch.testing.assert_close(part, whole[first:last], atol=1e-5, rtol=0)


def test_context_fits_the_overlap_that_chunk_gives_a_segment():
    assert Preview().context <= 12


def test_a_shot_is_not_mixed_with_the_one_before_it(scene):
    left, _ = scene
    other = left.flip(-1).roll(1, dims=1) * 0.6
    after = estimated(left[:10], range(10))

    joined = estimated(torch.cat([other[:10], left[:10]]), range(10, 20))

    torch.testing.assert_close(joined, after, atol=1e-5, rtol=0)


def test_what_stands_still_does_not_flicker_under_noise():
    left, _, _ = views(2.0, 320, 180, SETTINGS)
    dice = torch.Generator().manual_seed(0)
    noise = torch.randn(14, *left.shape, generator=dice) * 0.02

    estimate = estimated((left + noise).clamp(0, 1), range(6, 8 + 1))

    assert estimate.diff(dim=0).abs().mean() < 0.004


def test_the_estimate_moves_smoothly_with_the_scene(scene):
    left, truth = scene

    estimate = estimated(left, range(6, 14))

    moved = Preview().look(truth.expand(-1, 3, -1, -1))[6:-6, :1]
    assert estimate.diff(dim=0).abs().mean() < 1.5 * moved.diff(dim=0).abs().mean()


def test_edges_of_depth_lie_on_edges_of_the_picture():
    left = torch.full((1, 3, 96, 128), 0.2)
    left[..., 50:] = 0.8
    blurred = torch.full((1, 1, 24, 32), 0.1)
    blurred[..., 12:] = 0.9  # from column 48 on, two too early

    depth = refine(blurred, left)[0, 0, 48]

    assert (depth[51] - depth[48]) > 0.5 * (depth[100] - depth[20])


def test_one_frame_alone_has_depth_too():
    left = torch.rand(1, 3, 36, 64)

    assert refine(estimated(left, range(1)), left).isfinite().all()


@pytest.mark.parametrize("size", [(16, 16), (10, 400), (400, 10)])
def test_odd_shapes_have_depth_too(size):
    left = torch.rand(3, 3, *size)

    assert refine(estimated(left, range(3)), left).isfinite().all()
