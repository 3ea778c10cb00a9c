from __future__ import annotations

import pytest
import torch

from inference.stages.depth.ranges import REACH, settled

FLAT = 1e-3


def picture(seed=0, *, least=1.0, span=4.0):
    """Raw depth [1, 1, 24, 32]: a ramp with things on it."""
    dice = torch.Generator().manual_seed(seed)
    ramp = torch.linspace(0.0, 0.8, 24)[:, None].expand(24, 32)
    return least + span * (ramp + 0.2 * torch.rand(24, 32, generator=dice))[None, None]


def in_range(raws, cuts=(0,), own=None, **how):
    own = own or range(len(raws))
    frames = [(raw, number in cuts) for number, raw in enumerate(raws)]
    return torch.cat([*settled(frames, own=own, flat=FLAT, **how)])


def near(a, b, atol=1e-5):
    torch.testing.assert_close(a, b, atol=atol, rtol=0)


def growing(count):
    """A near thing enters, and the range with it."""
    raws = [picture(seed) for seed in range(count)]
    for number, raw in enumerate(raws):
        raw[..., 4:16, : number // 3] = 6.0
    return raws


def test_the_farthest_is_near_0_and_the_nearest_near_1():
    depth = in_range([picture()] * 3)

    assert 0.0 <= depth.min() < 0.08
    assert 0.92 < depth.max() <= 1.0


def test_nearer_stays_nearer_even_beyond_the_range():
    raw = picture()
    raw[..., 5, 5], raw[..., 5, 6] = 8.0, 9.0

    depth = in_range([raw])[0, 0]

    assert depth[5, 6] > depth[5, 5] > depth[20, 20]


def test_scale_and_offset_of_a_run_do_not_show():
    raws = growing(40)

    other = in_range([30.0 * raw - 7.0 for raw in raws])

    near(other, in_range(raws), atol=1e-4)


@pytest.mark.parametrize("seam", [5, 13, 20, 37])
def test_two_segments_agree_whatever_scale_and_offset_each_run_has(seam):
    raws = growing(40)
    whole = in_range(raws)

    end, start = min(40, seam + REACH), max(0, seam - REACH)
    first = in_range([0.2 * raw + 3.0 for raw in raws[:end]], own=range(seam))
    second = in_range(
        [5.0 * raw - 1.0 for raw in raws[start:]],
        cuts=(0,) if start == 0 else (),
        own=range(seam - start, 40 - start),
    )

    near(torch.cat([first, second]), whole, atol=1e-4)


def test_a_cut_resets_the_range():
    before, after = (
        [picture(seed) for seed in range(20)],
        [picture(seed, least=-50.0, span=0.5) for seed in range(20, 40)],
    )

    joined = in_range(before + after, cuts=(0, 20))

    near(joined, torch.cat([in_range(before), in_range(after)]))


def test_two_frames_that_fail_do_not_rescale_the_shot():
    raws = [picture()] * 30
    calm = in_range(raws)
    raws[14], raws[15] = picture() * 100.0, picture() * -40.0

    depth = in_range(raws)

    near(depth[:14], calm[:14])
    near(depth[16:], calm[16:])


def test_the_range_moves_little_by_little():
    raws = [picture()] * 20 + [picture(span=8.0)] * 20

    depth = in_range(raws)

    place = depth[:, 0, 12, 8]
    steps = torch.cat([place[:20].diff(), place[20:].diff()]).abs()
    assert (place[0] - place[19]).abs() > 0.05
    assert steps.max() < 0.12 * steps.sum()


@pytest.mark.parametrize("noise", [0.0, 1e-5])
def test_a_blank_picture_lies_in_the_middle_and_its_noise_stays_small(noise):
    dice = torch.Generator().manual_seed(0)
    raws = [0.3 + noise * torch.randn(1, 1, 24, 32, generator=dice) for _ in range(5)]

    depth = in_range(raws)

    assert (depth - 0.5).abs().max() < 0.05


def test_a_fade_from_black_does_not_blow_up_what_is_barely_there():
    shown = [min(1.0, number / 12) for number in range(30)]
    raws = [1.0 + light * (picture() - 1.0) for light in shown]

    depth = in_range(raws)

    relief = depth.amax(dim=(1, 2, 3)) - depth.amin(dim=(1, 2, 3))
    assert relief[0] == 0.0
    assert (relief.diff() > -0.02).all()


@pytest.mark.parametrize("count", [40, 400])
def test_no_more_is_read_ahead_than_the_reach(count):
    read = 0

    def counted():
        nonlocal read
        for number in range(count):
            read += 1
            yield picture(), number == 0

    ahead = [
        read - number
        for number, _ in enumerate(settled(counted(), own=range(count), flat=FLAT))
    ]

    assert max(ahead) == REACH + 1


def test_one_frame_of_one_pixel_has_depth_too():
    assert in_range([torch.ones(1, 1, 1, 1)]).item() == 0.5
