from __future__ import annotations

import pytest
import torch

from benchmarks.quality import figures
from benchmarks.quality.__main__ import BEGIN, END, main
from benchmarks.quality.films import Film, rendered
from benchmarks.quality.measuring import CONTEXT, measured
from contract.modes import Engine, StereoSettings
from inference.colour import sixteen_bits
from inference.engines import pipeline_for
from inference.pipeline import Pipeline
from inference.stages.fill.push_pull import push_pull

SETTINGS = StereoSettings()
SIZE = (160, 90)


@pytest.fixture
def film():
    """[T, 3, H, W]: a pattern that drifts to the left."""
    dice = torch.Generator().manual_seed(0)
    cells = torch.rand(1, 3, 24, 48, generator=dice)
    wide = torch.nn.functional.interpolate(cells, (96, 192), mode="bicubic").clamp(0, 1)
    return torch.cat([wide[..., n : n + 160] for n in range(6)])


ONE_SHOT = [True, *[False] * 5]


def test_a_perfect_right_eye_has_perfect_figures(film):
    assert figures.psnr(film, film) == pytest.approx(100.0)
    assert figures.ssim(film, film) == pytest.approx(1.0)
    assert figures.flicker(film, film, ONE_SHOT) == 0.0
    assert figures.vertical(film, film, 3) == pytest.approx(0.0, abs=0.05)
    assert figures.seam(film[:, :1], film[:, :1], 3) == 0.0


def test_psnr_is_that_of_the_textbook(film):
    assert figures.psnr(film * 0 + 0.6, film * 0 + 0.5) == pytest.approx(20.0, abs=1e-3)


def test_only_what_lies_in_occlusions_counts_there(film):
    occluded = torch.zeros_like(film[:, :1])
    occluded[..., 40:60] = 1.0
    wrong = film.clone()
    wrong[..., :40] += 0.1

    assert figures.psnr(wrong, film, occluded) == pytest.approx(100.0)
    assert figures.psnr(wrong, film) < 30.0
    assert figures.ssim(wrong, film, occluded) > figures.ssim(wrong, film)


def test_a_blur_costs_similarity_more_than_a_change_of_brightness(film):
    blurred = torch.nn.functional.avg_pool2d(film, 9, stride=1, padding=4)
    brighter = film + (blurred - film).square().mean().sqrt()

    assert figures.psnr(blurred, film) == pytest.approx(figures.psnr(brighter, film))
    assert figures.ssim(blurred, film) < figures.ssim(brighter, film) - 0.1


def test_an_error_that_comes_and_goes_flickers_and_one_that_stays_does_not(film):
    pulse = torch.tensor([0.0, 0.1] * 3)[:, None, None, None]

    assert figures.flicker(film + 0.1, film, ONE_SHOT) == pytest.approx(0.0, abs=1e-4)
    assert figures.flicker(film + pulse, film, ONE_SHOT) == pytest.approx(
        25.5, rel=1e-3
    )


def test_an_error_that_changes_at_a_cut_does_not_flicker(film):
    step = torch.tensor([0.0] * 3 + [0.1] * 3)[:, None, None, None]
    cut = [True, False, False, True, False, False]

    assert figures.flicker(film + step, film, cut) == pytest.approx(0.0, abs=1e-4)
    assert figures.flicker(film + step, film, ONE_SHOT) > 5.0


def test_without_truth_a_right_eye_that_pulses_is_restless(film):
    pulse = torch.tensor([0.0, 0.1] * 3)[:, None, None, None]
    right = film.roll(2, dims=-1)

    assert figures.unrest(right, film, ONE_SHOT) == pytest.approx(0.0, abs=0.05)
    assert figures.unrest(right + pulse, film, ONE_SHOT) > 5.0


@pytest.mark.parametrize("rows", [-1, 1, 2, 3])
def test_a_right_eye_that_hangs_has_vertical_disparity(film, rows):
    right = film.roll((rows, -2), dims=(-2, -1))

    assert figures.vertical(film, right, 3) == pytest.approx(abs(rows), abs=0.2)


def test_disparity_across_alone_is_no_vertical_disparity(film):
    down, across = torch.meshgrid(torch.arange(96), torch.arange(160), indexing="ij")
    slanted = 0.3 * film + 0.35 + 0.35 * torch.sin((down + across) / 5.0)

    assert figures.vertical(slanted, slanted.roll(-2, dims=-1), 3) < 0.05


def test_a_segment_whose_depth_is_of_another_scale_jumps_at_the_seam(film):
    disparity = film[:, :1]
    parts = disparity.clone()
    parts[3:] += 0.25

    assert figures.seam(disparity, parts, 3) == pytest.approx(0.25)


class Forgetful:
    """Depth by the number of a frame in its segment: as bad as it gets at a seam."""

    def __call__(self, frames, *, own, seed):
        for number, frame in enumerate(frames):
            if number in own:
                size = (1, 1, *frame.planes.shape[-2:])
                yield torch.full(size, number / 40)


def test_an_engine_that_forgets_between_segments_is_found_out():
    film = rendered("glide", SIZE, 2 * (CONTEXT + 3), SETTINGS)

    forgetful = Pipeline(depth=Forgetful(), fill=push_pull, version="forgetful")

    found = measured(film, forgetful, SETTINGS)

    # The second segment counts from 3 frames on, each 1 / 40 of 2 % of the width.
    assert found.seam == pytest.approx(3 / 40 * 0.02 * SIZE[0], rel=1e-3)


@pytest.mark.parametrize("name", ["glide", "close-up", "dolly"])
def test_a_rendered_film_holds_its_truth(name):
    film = rendered(name, SIZE, 2, SETTINGS)

    assert torch.equal(sixteen_bits(film.left[:1]), film.pictures[0])
    assert film.begins_shot == [True, False]
    assert 0.0 < film.truth.occluded.mean() < 0.05


def renew(page, *, size: str, frames: int):
    options = {"engines": "preview", "size": size, "frames": frames, "write": page}
    main([f"--{name}={value}" for name, value in options.items()])


def test_the_table_is_printed_and_written_between_its_markers(tmp_path, capsys):
    page = tmp_path / "quality.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")

    renew(page, size="96x54", frames=4)

    text = page.read_text()
    rows = [line for line in text.splitlines() if line.startswith("| ")][1:]
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert len(rows) == 9
    assert all(row in capsys.readouterr().out for row in rows[:1])
    vertical = {row.split("|")[-2].strip() for row in rows}
    assert vertical == {"0.0"}


def test_a_page_without_markers_is_left_alone(tmp_path):
    page = tmp_path / "quality.md"
    page.write_text("nothing to renew")

    with pytest.raises(ValueError, match="in the page"):
        renew(page, size="64x36", frames=2)

    assert page.read_text() == "nothing to renew"


@pytest.mark.parametrize(("count", "size"), [(1, (64, 48)), (6, (8, 8))])
def test_a_clip_of_one_frame_or_of_few_pixels_is_measured_too(count, size):
    width, height = size
    grey = torch.rand(3, height, width, generator=torch.Generator().manual_seed(0))
    pictures = tuple(sixteen_bits(grey[None]) for _ in range(count))
    film = Film("clip", pictures, [True, *[False] * (count - 1)])

    found = measured(film, pipeline_for(Engine.PREVIEW), SETTINGS)

    assert (found.seam is None) == (count == 1)
    assert found.flicker < 1.0
