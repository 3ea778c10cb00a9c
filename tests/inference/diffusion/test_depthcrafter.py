"""Depth of a stream of frames: shots, seeds, sizes and what is kept of a film."""

from __future__ import annotations

import weakref
from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from contract.errors import ErrorCode, StereoSpotError
from inference.diffusion.noise import seeded
from inference.shots import Frame
from inference.stages.depth.depthcrafter import (
    DepthCrafter,
    look,
    restored,
    seen_size,
    whole_clip,
)
from inference.stages.depth.recipe import DEFAULT, REFERENCE, Recipe
from tests.inference.diffusion.told import SMALL, Told


def film(frames, *, cuts=(), height=48, width=64, read=None):
    """Frames of grain that drifts; another grain after each cut."""
    for number in range(frames):
        shot = sum(cut <= number for cut in cuts)
        dice = torch.Generator().manual_seed(shot)
        grain = torch.rand(3, height // 8, width // 8 + 40, generator=dice)
        grain = grain[:, :, number % 40 : number % 40 + width // 8]
        large = functional.interpolate(grain[None], (height, width), mode="bilinear")
        planes = (large[0] * 65535).to(torch.uint16)
        if read is not None:
            read.append(weakref.ref(planes))
        yield Frame(planes, number == 0 or number in cuts)


@torch.inference_mode()
def estimated(networks, frames, *, recipe=SMALL, own=None, seed=1, **options):
    stream = film(frames, **options)
    chosen = range(frames) if own is None else own
    return list(DepthCrafter(networks, recipe)(stream, own=chosen, seed=seed))


@pytest.mark.parametrize("frames", [1, 2, 4, 5, 10, 11, 16, 17, 23])
def test_every_length_gives_one_depth_for_each_frame(depth_networks, frames):
    made = estimated(depth_networks, frames)
    assert len(made) == frames
    for depth in made:
        assert depth.shape == (1, 1, 48, 64)
        assert depth.min() >= 0
        assert depth.max() <= 1


def test_a_shot_is_a_film_of_its_own(depth_networks):
    """Depth after a cut is that of the film that begins there, save for its noise."""

    def by_kind(seed, shot, kind):
        return seeded(seed, kind)

    both = DepthCrafter(depth_networks, SMALL, noise=by_kind)
    with torch.inference_mode():
        whole = list(both(film(26, cuts=(13,)), own=range(26), seed=1))
        tail = list(film(26, cuts=(13,)))[13:]
        alone = list(both(tail, own=range(13), seed=1))
    for one, other in zip(whole[13:], alone, strict=True):
        assert torch.equal(one, other)


def test_shots_have_noise_of_their_own(depth_networks):
    asked = []

    def noted(*key):
        asked.append(key)
        return seeded(*key)

    crafter = DepthCrafter(depth_networks, SMALL, noise=noted)
    with torch.inference_mode():
        list(crafter(film(6, cuts=(2, 4)), own=range(6), seed=9))
    assert len(set(asked)) == 6
    assert {key[:2] for key in asked} == {(9, 0), (9, 1), (9, 2)}


def test_the_same_seed_gives_the_same_film_and_another_does_not(depth_networks):
    first, again, other = (
        torch.cat(estimated(depth_networks, 12, seed=seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.allclose(first, other, atol=1e-3)


def test_only_own_frames_come_out(depth_networks):
    whole = estimated(depth_networks, 20)
    own = estimated(depth_networks, 20, own=range(3, 17))
    assert torch.equal(torch.cat(own), torch.cat(whole[3:17]))


@torch.inference_mode()
def test_frames_are_read_no_earlier_than_a_window_and_its_range_need(depth_networks):
    read = []
    made = DepthCrafter(Told(depth_networks, []), SMALL)(
        film(60, read=read), own=range(60), seed=1
    )
    most = kept = 0
    for number, _ in enumerate(made):
        most = max(most, len(read) - number)
        kept = max(kept, sum(frame() is not None for frame in read))
    # A window; what it settles of the next one's overlap; 12 frames on for the range.
    assert most <= SMALL.window + SMALL.decode_frames + 12
    assert kept <= 3


def test_a_recipe_may_not_see_cuts(depth_networks):
    told = Told(depth_networks, [])
    recipe = replace(SMALL, resets_at_cuts=False, is_whole_clip=True)
    estimated(told, 16, cuts=(3, 9), recipe=recipe)
    assert [len(window[0]) for window in told.windows] == [10, 10]


def test_the_whole_clip_reaches_from_0_to_1_at_full_size(depth_networks):
    recipe = replace(REFERENCE, window=10, overlap=4, steps=1)
    made = torch.cat(estimated(depth_networks, 12, recipe=recipe, height=40, width=72))
    assert made.shape == (12, 1, 40, 72)
    assert float(made.min()) == 0
    assert float(made.max()) == 1


def test_a_clip_at_one_distance_has_no_holes_in_its_depth():
    made = torch.cat(list(whole_clip([(torch.full((1, 1, 4, 4), 0.3), True)])))
    assert torch.equal(made, torch.zeros(1, 1, 4, 4))


@pytest.mark.parametrize(
    ("film_size", "ours", "published"),
    [
        ((1080, 1920), (576, 1024), (576, 1024)),
        ((544, 960), (544, 960), (512, 960)),
        ((800, 1920), (427, 1024), (448, 1024)),
        ((480, 640), (480, 640), (512, 640)),
        ((1920, 1080), (1024, 576), (1024, 576)),
        ((20, 30), (20, 30), (64, 64)),
        ((4, 4000), (1, 1024), (64, 1024)),
    ],
)
def test_sizes(film_size, ours, published):
    assert seen_size(*film_size, DEFAULT) == ours
    assert seen_size(*film_size, REFERENCE) == published


@pytest.mark.parametrize("size", [(48, 64), (45, 50), (90, 160), (1, 3), (300, 1100)])
def test_the_shape_of_a_picture_is_kept(size):
    planes = torch.full((3, *size), 40000, dtype=torch.uint16)
    seen = look(planes, DEFAULT)
    assert seen.shape[-2] % 64 == seen.shape[-1] % 64 == 0
    assert torch.allclose(seen, torch.tensor(40000 / 65535), atol=1e-5)
    back = restored(seen[None, :1], *size, DEFAULT)
    assert back.shape[-2:] == seen_size(*size, DEFAULT)


def test_what_does_not_fit_onto_the_card_is_said_so(depth_networks):
    class Full(Told):
        def denoise(self, *args, **told):
            raise torch.OutOfMemoryError("full")

    with pytest.raises(StereoSpotError) as raised:
        estimated(Full(depth_networks, []), 12)
    assert raised.value.code == ErrorCode.OUT_OF_MEMORY


def test_windows_that_overlap_wholly_are_no_recipe():
    with pytest.raises(ValueError, match="overlap"):
        Recipe(window=25, overlap=25)
