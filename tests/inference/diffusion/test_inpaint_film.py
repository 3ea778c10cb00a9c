"""A film through the filler: chunk after chunk, shot after shot."""

from __future__ import annotations

import weakref
from dataclasses import replace

import pytest
import torch
from torch.multiprocessing.reductions import StorageWeakRef

from contract.errors import ErrorCode, StereoSpotError
from inference.diffusion.noise import TILES
from inference.stages.fill import View, stereocrafter
from inference.stages.fill.blend import FEATHER
from inference.stages.fill.inpaint import inpainted
from inference.stages.fill.recipe import DEFAULT, REFERENCE, Recipe
from inference.stages.fill.stereocrafter import StereoCrafter
from tests.inference.diffusion.drawing import INVENTED, Drawing, views

DRIFT = 0.05

BRIEF = replace(DEFAULT, chunk=4, overlap=1, tail=4)


def film(drawing, shown, *, seed=1, recipe: Recipe = DEFAULT):
    return list(StereoCrafter(drawing, recipe)(shown, seed=seed))


def whole(drawing, *args, **options):
    return torch.cat(film(drawing, *args, **options))


def touched(view: View):
    """What blending may change: occlusions and a feather around them."""
    side = 4 * FEATHER + 1
    return (
        torch.nn.functional.max_pool2d(
            view.occluded, side, stride=1, padding=2 * FEATHER
        )
        > 0
    )


@pytest.mark.parametrize("length", range(1, 71))
def test_a_film_of_any_length_gives_every_frame_once(length):
    rights = film(Drawing(), views(length))

    assert len(rights) == length
    for right, view in zip(rights, views(length), strict=True):
        known = ~touched(view).expand_as(right)
        assert torch.equal(right[known], view.right[known])


def test_source_pixels_stay_bit_for_bit_whatever_the_network_makes_of_them():
    rights = film(Drawing(drift=lambda run: 0.1), views(30, 90, 160))

    for right, view in zip(rights, views(30, 90, 160), strict=True):
        known = ~touched(view).expand_as(right)
        assert torch.equal(right[known], view.right[known])


def test_the_published_recipe_keeps_no_source_pixel():
    shown = list(views(3, 128, 128))

    rights = whole(Drawing(drift=lambda run: 0.1), shown, recipe=REFERENCE)

    source = torch.cat([view.right for view in shown])
    assert not torch.isclose(rights, source, atol=0.05).any()


@pytest.mark.parametrize(
    "drift",
    [lambda run: DRIFT, lambda run: DRIFT * (-1) ** run],
    ids=["steady", "pulsing"],
)
def test_a_drift_of_the_network_leaves_no_drift_in_the_film(drift):
    shown = list(views(60, 128, 128))
    clean = whole(Drawing(), shown)

    ours = whole(Drawing(drift), shown)
    theirs = whole(Drawing(drift), shown, recipe=replace(REFERENCE, tiles=1))

    reference = whole(Drawing(), shown, recipe=replace(REFERENCE, tiles=1))
    hole = torch.cat([view.occluded for view in shown]).expand_as(ours) > 0
    assert (ours - clean)[hole].abs().mean() < 0.1 * DRIFT
    assert (ours - clean).abs().mean() < 0.001 * DRIFT
    assert (theirs - reference).abs().mean() > 0.9 * DRIFT


def test_the_next_chunk_is_shown_the_finished_frames_as_known():
    drawing = Drawing()

    rights = whole(drawing, views(30, 64, 64))

    first, second = drawing.shown
    assert len(first) == len(second) == 23
    torch.testing.assert_close(second[:16], rights[7:23])
    assert not drawing.masks[1][:16].any()
    assert drawing.masks[1][16:].flatten(1).any(dim=1).all()


def test_the_published_recipe_shows_them_rounded_and_as_occluded():
    drawing = Drawing(drift=lambda run: 0.0012)

    whole(drawing, views(30, 128, 128), recipe=replace(REFERENCE, tiles=1))

    second = drawing.shown[1]
    levels = second[:13] * 255.0
    assert len(second) == 20
    torch.testing.assert_close(levels, levels.round(), atol=1e-4, rtol=0.0)
    assert drawing.masks[1].flatten(1).any(dim=1).all()


def test_occlusions_are_shown_black_whatever_the_view_holds_there():
    drawing = Drawing()
    shown = [view._replace(right=view.right + view.occluded) for view in views(2)]

    film(drawing, shown)

    black = torch.cat([view.right for view in views(2)])
    assert torch.equal(drawing.shown[0][..., :32, :48], black)


@pytest.mark.parametrize("length", [1, 4, 23, 30])
def test_a_shot_is_drawn_as_if_none_had_been_before(length):
    alone, after = Drawing(), Drawing()
    shown = list(views(25 + length, cuts=(0, 25)))

    film(alone, shown[25:])
    film(after, shown)

    assert len(after.shown) == len(alone.shown) + 2
    for expected, found in zip(alone.shown, after.shown[2:], strict=True):
        assert torch.equal(expected, found)


def test_a_film_without_occlusion_costs_no_run_of_the_network():
    drawing = Drawing(drift=lambda run: 0.1)
    shown = [
        view._replace(occluded=torch.zeros_like(view.occluded)) for view in views(30)
    ]

    rights = film(drawing, shown)

    assert drawing.shown == []
    assert all(torch.equal(a, b.right) for a, b in zip(rights, shown, strict=True))


def test_the_same_seed_gives_the_same_film_and_another_one_another():
    def made(seed):
        return whole(Drawing(noise=0.1), views(30), seed=seed)

    assert torch.equal(made(1), made(1))
    assert not torch.equal(made(1), made(2))


def test_every_frame_and_tile_has_noise_of_its_own_whatever_the_chunk():
    asked = []

    def noise(*key):
        asked.append(key)
        return torch.zeros

    fill = StereoCrafter(Drawing(), replace(DEFAULT, tiles=2), noise=noise)
    list(fill(views(30, 128, 256), seed=5))

    seeds, tiles, places = (set(numbers) for numbers in zip(*asked, strict=True))
    assert (seeds, places) == ({5}, set(range(30)))
    assert min(tiles) == TILES
    assert len(set(asked)) == 30 * len(tiles)


class ByNoise(Drawing):
    """What it invents is as bright as the noise, of a frame or of those around it."""

    def __init__(self, reach=0):
        super().__init__()
        self.reach = reach

    def denoise(self, latents, condition, embeddings, **options):
        number = torch.arange(len(latents))
        near = (number[:, None] - number).abs() <= self.reach
        share = near / near.sum(dim=1, keepdim=True).sqrt()
        tone = torch.einsum("ij,jchw->ichw", share, latents[:, :1])
        known, mask = condition[:, :-1], condition[:, -1:]
        return torch.where(mask > 0, INVENTED + 0.1 * tone, known)


def holed(count):
    """Views of one picture that is almost all hole."""
    occluded = torch.zeros(1, 1, 64, 64)
    occluded[..., 8:56, 8:56] = 1.0
    for number in range(count):
        right = 0.3 * (1.0 - occluded).expand(1, 3, -1, -1)
        yield View(right, occluded, number == 0, number)


def test_a_frame_is_filled_from_the_same_noise_in_every_segment():
    shown = list(holed(60))

    in_one, in_two = whole(ByNoise(), shown), whole(ByNoise(), shown[37:])

    assert torch.equal(in_one[37:], in_two)


def test_frames_before_the_own_ones_make_the_step_at_a_seam_smaller():
    shown = list(holed(60))

    def step(at, lead):
        before = film(ByNoise(reach=8), shown[:at])[-1]
        after = film(ByNoise(reach=8), shown[at - lead :])[lead]
        return float((after - before)[..., 8:56, 8:56].abs().mean())

    seams = (30, 37, 44)
    with_lead = sum(step(at, DEFAULT.lead) for at in seams)
    assert with_lead < 0.75 * sum(step(at, 0) for at in seams)


def test_the_published_recipe_reuses_frames_over_a_cut():
    ours, theirs = Drawing(), Drawing()
    shown = list(views(30, 128, 128, cuts=(0, 23)))

    film(ours, shown)
    film(theirs, shown, recipe=replace(REFERENCE, tiles=1))

    assert [len(part) for part in ours.shown] == [23, 7]
    assert [len(part) for part in theirs.shown] == [23, 20]


def test_what_comes_first_comes_before_more_than_a_chunk_was_read():
    read = []

    def reading():
        for view in views(100):
            read.append(view)
            yield view

    fill = StereoCrafter(Drawing())(reading(), seed=1)

    for made, _ in enumerate(fill):
        assert len(read) <= made + DEFAULT.chunk


def test_a_film_ten_times_as_long_keeps_no_more_of_it():
    def most_kept(length):
        alive: weakref.WeakSet[torch.Tensor] = weakref.WeakSet()
        most = 0

        def reading():
            nonlocal most
            for view in views(length):
                alive.add(view.occluded)
                most = max(most, len(alive))
                yield view
                del view

        for right in StereoCrafter(Drawing())(reading(), seed=1):
            del right
        return most

    assert most_kept(450) == most_kept(70) <= 2 * DEFAULT.chunk + 1


def test_what_was_drawn_does_not_wait_while_the_next_chunk_is_read(monkeypatch):
    drawn = []

    def watched(*args, **options):
        made = inpainted(*args, **options)
        drawn.append(StorageWeakRef(made.untyped_storage()))
        return made

    def reading():
        for number, view in enumerate(views(40)):
            if number >= DEFAULT.chunk:
                assert drawn[0].expired()
            yield view

    monkeypatch.setattr(stereocrafter, "inpainted", watched)

    for right in StereoCrafter(Drawing())(reading(), seed=1):
        del right


def test_a_chunk_too_large_for_the_card_is_tried_again_in_smaller_tiles():
    drawing = Drawing(room=192 * 192)

    rights = film(drawing, views(6, 250, 250), recipe=BRIEF)

    sizes = {tuple(part.shape[-2:]) for part in drawing.shown}
    assert len(rights) == 6
    assert sizes == {(192, 192)}
    assert all(
        (right[view.occluded.expand_as(right) > 0] - INVENTED).abs().max() < 0.3
        for right, view in zip(rights, views(6, 250, 250), strict=True)
    )


def test_chunks_after_one_that_was_too_large_begin_with_the_smaller_tiles():
    tries = []

    class Counting(Drawing):
        def encode(self, pixels, *, noise=None):
            tries.append(pixels.shape[-1])
            return super().encode(pixels)

    film(Counting(room=192 * 192), views(10, 250, 250), recipe=BRIEF)

    assert tries.count(256) == 1


@pytest.mark.parametrize(
    "recipe", [DEFAULT, replace(DEFAULT, tiles=2)], ids=["ours", "given"]
)
def test_a_picture_that_no_tile_is_small_enough_for_is_a_clear_error(recipe):
    with pytest.raises(StereoSpotError) as raised:
        film(Drawing(room=64 * 64), views(3, 250, 330), recipe=recipe)

    assert raised.value.code == ErrorCode.OUT_OF_MEMORY
    assert "330 × 250" in str(raised.value)


@pytest.mark.parametrize("size", [(150, 140), (90, 160), (300, 200)])
@pytest.mark.parametrize("recipe", [DEFAULT, REFERENCE], ids=["ours", "published"])
def test_a_right_eye_is_as_large_as_its_view(size, recipe):
    rights = film(Drawing(), views(2, *size), recipe=recipe)

    assert [right.shape for right in rights] == [(1, 3, *size)] * 2
