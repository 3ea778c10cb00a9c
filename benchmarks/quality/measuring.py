"""A film through a pipeline, and what comes of it in figures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from benchmarks.quality import figures
from benchmarks.quality.films import Film
from contract.modes import StereoMode, StereoSettings
from inference.pipeline import Pipeline
from inference.shots import Frame

CONTEXT = 12
"""Frames of its neighbours that a segment brings."""

COMPARED = 8
"""One frame of so many is searched for vertical disparity."""


@dataclass(frozen=True, slots=True)
class Figures:
    """None where it cannot be told."""

    psnr: float | None
    psnr_in_occlusions: float | None
    ssim: float | None
    ssim_in_occlusions: float | None
    holes: float
    flicker: float
    seam: float | None
    fill_seam: float | None
    vertical: float | None


class Flat:
    """No depth at all: both eyes alike. What an engine must beat."""

    def __call__(
        self, frames: Iterable[Frame], *, own: range, seed: int
    ) -> Iterator[Tensor]:
        for number, frame in enumerate(frames):
            if number in own:
                yield torch.full((1, 1, *frame.planes.shape[-2:]), 0.5)


@dataclass
class Made:
    right: list[Tensor] = field(default_factory=list)
    disparity: list[Tensor] = field(default_factory=list)
    occluded: list[Tensor] = field(default_factory=list)


def measured(film: Film, pipeline: Pipeline, settings: StereoSettings) -> Figures:
    """Convert the film whole, and in two segments if it has frames for two."""
    count, at = len(film.pictures), len(film.pictures) // 2
    whole = _converted(film, pipeline, range(count), settings)
    reach = max(1, round(settings.max_disparity / 100 * film.left.shape[-1]))
    jumps = (None, None) if count < 2 else _jumps(film, pipeline, settings, whole, at)
    return _figures(film, whole, jumps, reach)


Jumps = tuple[float | None, float | None]


def _jumps(
    film: Film, pipeline: Pipeline, settings: StereoSettings, whole: Made, at: int
) -> Jumps:
    """Over the seam before frame `at`: of disparity, and of colours that are filled in."""
    first = _converted(film, pipeline, range(at), settings)
    second = _converted(film, pipeline, range(at, len(film.pictures)), settings)
    disparity = torch.cat(first.disparity + second.disparity)
    right = torch.cat(first.right + second.right)
    filled = figures.seam(torch.cat(whole.right), right, at, torch.cat(whole.occluded))
    return figures.seam(torch.cat(whole.disparity), disparity, at), (
        filled * figures.LEVELS
    )


def _figures(film: Film, made: Made, jumps: Jumps, reach: int) -> Figures:
    right, left = torch.cat(made.right), film.left
    some = slice(None, None, COMPARED)
    holes = float(torch.cat(made.occluded).mean())
    upright = figures.vertical(left[some], right[some], reach)
    if film.truth is None:
        unrest = figures.unrest(right, left, film.begins_shot)
        return Figures(None, None, None, None, holes, unrest, *jumps, upright)
    true, uncovered = film.truth.right, film.truth.occluded
    return Figures(
        figures.psnr(right, true),
        figures.psnr(right, true, uncovered),
        figures.ssim(right, true),
        figures.ssim(right, true, uncovered),
        holes,
        figures.flicker(right, true, film.begins_shot),
        *jumps,
        upright,
    )


def _converted(
    film: Film, pipeline: Pipeline, own: range, settings: StereoSettings
) -> Made:
    """The frames in `own`, as a segment of them and CONTEXT neighbours on either side."""
    made = Made()

    def watched(left: Tensor, disparity: Tensor) -> tuple[Tensor, Tensor]:
        right, occluded = pipeline.splat(left, disparity)
        made.disparity.append(disparity.cpu())
        made.occluded.append(occluded.cpu())
        return right, occluded

    first = max(0, own.start - CONTEXT)
    lead = min(pipeline.fill.lead, own.start - first)
    stereo = replace(pipeline, splat=watched)(
        film.pictures[first : own.stop + CONTEXT],
        own=range(own.start - first, own.stop - first),
        mode=StereoMode.SBS,
        settings=settings,
        seed=0,
        places=range(first, len(film.pictures)),
    )
    for picture in stereo:
        made.right.append(picture[..., picture.shape[-1] // 2 :].float().cpu())
    return Made(made.right, made.disparity[lead:], made.occluded[lead:])
