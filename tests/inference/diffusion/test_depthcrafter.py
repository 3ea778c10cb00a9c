"""Depth of a stream of frames: shots, seeds, sizes and what is kept of a film."""

from __future__ import annotations

import weakref
from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from contract.errors import ErrorCode, StereoSpotError
from inference.needs import SIZES
from inference.shots import Frame
from inference.stages.depth.depthcrafter import (
    DepthCrafter,
    look,
    padded_size,
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
        yield Frame(planes, number == 0 or number in cuts, number)


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
    """Depth after a cut is that of the film that begins there."""
    both = DepthCrafter(depth_networks, SMALL)
    with torch.inference_mode():
        whole = list(both(film(26, cuts=(13,)), own=range(26), seed=1))
        tail = list(film(26, cuts=(13,)))[13:]
        alone = list(both(tail, own=range(13), seed=1))
    for one, other in zip(whole[13:], alone, strict=True):
        assert torch.equal(one, other)


def test_a_frame_has_the_same_noise_in_every_segment_and_no_other_frame_has_it(
    depth_networks,
):
    class Watched(Told):
        def encode(self, pixels, *, noise, batch):
            self.grain.append(noise)
            return self.networks.encode(pixels, noise=noise, batch=batch)

    def noise_of(frames):
        networks = Watched(depth_networks, [])
        networks.grain = []
        with torch.inference_mode():
            list(DepthCrafter(networks, SMALL)(frames, own=range(len(frames)), seed=9))
        return torch.cat(networks.grain), torch.cat(
            [
                begun[SMALL.overlap if number else 0 :]
                for number, (begun, *_) in enumerate(networks.windows)
            ]
        )

    shown = list(film(22, cuts=(0,)))

    for whole, part in zip(noise_of(shown), noise_of(shown[5:]), strict=True):
        assert torch.equal(whole[5:], part)
        assert len(torch.unique(whole.flatten(1), dim=0)) == 22


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
    # Those without depth, to be seen again where they do not fit, and what is read of more.
    assert kept <= SMALL.window + SMALL.decode_frames


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


def test_the_whole_clip_waits_off_the_card(monkeypatch):
    moved = []
    to_cpu = torch.Tensor.cpu

    def noted(depth):
        moved.append(depth)
        return to_cpu(depth)

    def depths():
        for number in range(3):
            assert len(moved) == number
            yield torch.full((1, 1, 4, 4), number / 2), number == 0

    monkeypatch.setattr(torch.Tensor, "cpu", noted)

    made = [float(depth.mean()) for depth in whole_clip(depths())]

    assert made == [0, 0.5, 1]


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
        ((1080, 1080), (768, 768), (1024, 1024)),
        ((1536, 2048), (672, 896), (768, 1024)),
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


@pytest.mark.parametrize("size", [(1080, 1920), (1080, 1080), (1920, 800), (64, 4000)])
@pytest.mark.parametrize("pixels", SIZES)
def test_no_more_pixels_are_seen_than_the_recipe_says(size, pixels):
    rows, columns = padded_size(*size, replace(DEFAULT, pixels=pixels))

    assert rows * columns <= max(pixels, 64 * 64)
    assert columns % 64 == rows % 64 == 0


class Cramped(Told):
    """Networks on a card that holds so many pixels of a frame, in each of their steps."""

    def __init__(self, networks, room, *, steps=("encode", "denoise", "decode")):
        super().__init__(networks, [])
        self.room, self.steps, self.tries = room, steps, []

    def fits(self, step, side, pixels):
        self.tries.append((step, pixels * side * side))
        if step in self.steps and pixels * side * side > self.room:
            raise torch.OutOfMemoryError("full")

    def encode(self, pixels, **told):
        self.fits("encode", 1, pixels[0, 0].numel())
        return self.networks.encode(pixels, **told)

    def denoise(self, latents, *shown, **told):
        self.fits("denoise", 8, latents[0, 0].numel())
        return super().denoise(latents, *shown, **told)

    def decode(self, latents, **told):
        self.fits("decode", 8, latents[0, 0].numel())
        return self.networks.decode(latents, **told)


WIDE = {"height": 256, "width": 384}


@pytest.mark.parametrize("step", ["encode", "denoise", "decode"])
def test_a_window_that_does_not_fit_is_seen_smaller(depth_networks, step):
    cramped = Cramped(depth_networks, 192 * 320, steps=(step,))
    recipe = replace(SMALL, pixels=256 * 384)

    made = estimated(cramped, 6, recipe=recipe, **WIDE)

    small = replace(SMALL, pixels=192 * 320)
    expected = estimated(Told(depth_networks, []), 6, recipe=small, **WIDE)
    assert torch.equal(torch.cat(made), torch.cat(expected))


def test_windows_and_shots_after_one_that_did_not_fit_begin_smaller(depth_networks):
    cramped = Cramped(depth_networks, 192 * 320)
    recipe = replace(SMALL, pixels=256 * 384)

    made = estimated(cramped, 18, cuts=(14,), recipe=recipe, **WIDE)

    assert len(made) == 18
    assert [pixels for _, pixels in cramped.tries].count(256 * 384) == 1


def test_where_a_later_window_does_not_fit_every_frame_still_has_one_depth(
    depth_networks,
):
    class Filling(Cramped):
        def fits(self, step, side, pixels):
            self.room = 256 * 384 if len(self.windows) < 2 else 192 * 320
            super().fits(step, side, pixels)

    filling = Filling(depth_networks, 0)
    recipe = replace(SMALL, pixels=256 * 384)

    made = estimated(filling, 20, recipe=recipe, **WIDE)

    widths = [depth.shape[-1] for depth in made]
    assert len(made) == 20
    assert widths == sorted(widths, reverse=True)
    assert set(widths) == {384, 256}


def test_a_film_that_cannot_be_read_does_not_end_early(depth_networks):
    def ends():
        yield from film(5)
        raise MemoryError

    with pytest.raises(MemoryError), torch.inference_mode():
        list(
            DepthCrafter(Told(depth_networks, []), SMALL)(ends(), own=range(9), seed=1)
        )


@pytest.mark.parametrize(
    "recipe", [SMALL, replace(SMALL, pixels=None)], ids=["ours", "given"]
)
def test_what_does_not_fit_at_any_size_is_said_so(depth_networks, recipe):
    with pytest.raises(StereoSpotError, match="10 frames of 64 × 64") as raised:
        estimated(Cramped(depth_networks, 0), 12, recipe=recipe)
    assert raised.value.code == ErrorCode.OUT_OF_MEMORY


def test_windows_that_overlap_wholly_are_no_recipe():
    with pytest.raises(ValueError, match="overlap"):
        Recipe(window=25, overlap=25)
