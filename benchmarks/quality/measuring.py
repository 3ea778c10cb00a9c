"""A film through a pipeline, and what comes of it in figures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from benchmarks.quality import figures
from benchmarks.quality.films import Film, TrueDepth
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
    vertical: float


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
    """Convert the film whole, and in two segments where depth is estimated."""
    count, at = len(film.pictures), len(film.pictures) // 2
    whole = _converted(film, pipeline, range(count), settings)
    right, left = torch.cat(whole.right), film.left
    reach = max(1, round(settings.max_disparity / 100 * left.shape[-1]))
    jump = None
    if not isinstance(pipeline.depth, TrueDepth | Flat):
        parts = [
            _converted(film, pipeline, own, settings)
            for own in (range(at), range(at, count))
        ]
        disparity = torch.cat([one for part in parts for one in part.disparity])
        jump = figures.seam(torch.cat(whole.disparity), disparity, at)
    return _figures(film, right, left, whole, jump, reach)


def _figures(
    film: Film, right: Tensor, left: Tensor, made: Made, jump: float | None, reach: int
) -> Figures:
    some = slice(None, None, COMPARED)
    holes = float(torch.cat(made.occluded).mean())
    upright = figures.vertical(left[some], right[some], reach)
    if film.truth is None:
        unrest = figures.unrest(right, left, film.begins_shot)
        return Figures(None, None, None, None, holes, unrest, jump, upright)
    true, uncovered = film.truth.right, film.truth.occluded
    return Figures(
        figures.psnr(right, true),
        figures.psnr(right, true, uncovered),
        figures.ssim(right, true),
        figures.ssim(right, true, uncovered),
        holes,
        figures.flicker(right, true, film.begins_shot),
        jump,
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
    stereo = replace(pipeline, splat=watched)(
        film.pictures[first : own.stop + CONTEXT],
        own=range(own.start - first, own.stop - first),
        mode=StereoMode.SBS,
        settings=settings,
        seed=0,
    )
    for picture in stereo:
        made.right.append(picture[..., picture.shape[-1] // 2 :].float().cpu())
    return made
