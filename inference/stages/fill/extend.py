"""The background beside an occlusion drawn on into it, along its own lines.

picture  [3, H, W] in [0, 1], what it holds where open is not looked at
is_open  [H, W]    true where something was uncovered
pixels   [N]       the numbers of those, row by row

They are few, so all that follows goes over them, and not over the picture.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from inference.stages.fill.spread import RIM

PATCH = 6, 2
"""Columns of background, and rows on either side, whose slope is taken as one."""

NOISE = 2e-4
"""Squared gradient that is only noise; below it lines are taken as level."""

COLUMNS = 2
"""Columns of background that are averaged: grain would be drawn out into streaks."""

CONE = (-0.15, 0.0, 0.15)
"""Slopes besides the lines' own that are averaged: sharp at the rim, softer far in."""


class Runs(NamedTuple):
    """Open pixels next to each other in a row: R runs of N pixels in all, in order."""

    row: Tensor
    """[R]"""
    source: Tensor
    """[R]: the known column to draw on from; -1 where the whole row is open."""
    step: Tensor
    """[R]: 1 where the background goes on to the right of that column, -1 to the left."""
    y: Tensor
    """[N]"""
    x: Tensor
    """[N]"""
    of: Tensor
    """[N]: the run of each pixel."""


def extended(picture: Tensor, is_open: Tensor, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Colours [3, N] of the N open pixels, and how many columns [N] in they lie.

    Every pixel continues what lies where the slope of the lines beside its occlusion
    leads. Infinitely far in where the whole row is open.
    """
    runs = _runs(pixels, is_open.shape[1])
    slope = _slope(picture[1], is_open, runs)[runs.of]  # green: most of luma
    source, step = runs.source[runs.of], runs.step[runs.of]
    last = is_open.shape[1] - 1
    total = torch.zeros_like(picture[:, runs.y, runs.x])
    weights = torch.zeros_like(total[0])
    for column in range(COLUMNS):
        x = (source + column * step).clamp(0, last)
        for lean in CONE:
            y = runs.y + slope * (x - runs.x).abs() + lean * (source - runs.x).abs()
            _look_up(picture, is_open, y, x, total, weights)
    colours = torch.where(
        weights > 0.5,
        total / weights.clamp(min=0.5),
        picture[:, runs.y, source.clamp(min=0)],
    )
    far_in = ((source - runs.x).abs() - RIM).clamp_(min=0).to(picture.dtype)
    return colours, far_in.masked_fill_(source < 0, torch.inf)


def _look_up(
    picture: Tensor,
    is_open: Tensor,
    y: Tensor,
    x: Tensor,
    total: Tensor,
    weights: Tensor,
) -> None:
    """Add what is known of the picture between two rows y [N] in columns x [N]."""
    height, width = is_open.shape
    above = y.floor()
    for row, share in ((above, 1.0 - (y - above)), (above + 1.0, y - above)):
        at = row.long().clamp_(0, height - 1) * width + x
        share = share.masked_fill(is_open.view(-1)[at], 0.0)
        total.add_(picture.reshape(3, -1)[:, at] * share)
        weights.add_(share)


def _runs(pixels: Tensor, width: int) -> Runs:
    """Drawn on is what lies right of a run, the background; at the right edge what lies
    left of it. RIM columns are left out, if the background is as broad as that.
    """
    y, x = pixels.div(width, rounding_mode="floor"), pixels % width
    begins = functional.pad((pixels.diff() > 1) | (x[1:] == 0), (1, 0), value=True)
    ends = functional.pad(begins[1:], (0, 1), value=True)
    row, first, after = y[begins], x[begins], x[ends] + 1
    follows = torch.full_like(first, width)
    follows[:-1] = torch.where(row[1:] == row[:-1], first[1:], width)
    right = after + (follows - after - 1).clamp(max=RIM)
    at_edge = after == width
    return Runs(
        row,
        torch.where(at_edge, first - 1, right),
        torch.where(at_edge, -1, 1),
        y,
        x,
        begins.cumsum(0) - 1,
    )


def _slope(luma: Tensor, is_open: Tensor, runs: Runs) -> Tensor:
    """[R]: rows by which the lines beside each run fall per column of `step`, within ± 0.5.

    From the structure tensor (Förstner 1987) of a patch: along a line luma stays, so
    slope × gy = -gx. Least squares over gy alone would make of an upright line, which
    leads nowhere, a steep one; with gx in the divisor its slope goes to 0 instead.
    """
    height, width = is_open.shape
    depth, rows = PATCH
    y = runs.row[:, None] + torch.arange(-rows - 1, rows + 2, device=luma.device)
    ahead = torch.arange(depth + 1, device=luma.device)
    x = runs.source[:, None] + runs.step[:, None] * ahead
    inside = (x >= 0) & (x < width)
    at = y.clamp_(0, height - 1)[:, :, None] * width + x.clamp_(0, width - 1)[:, None]
    patch = luma.reshape(-1)[at]
    known = ~is_open.reshape(-1)[at] & inside[:, None]
    gx = patch[:, 1:-1].diff(dim=2)
    gy = (patch[:, 2:] - patch[:, :-2]) / 2
    gy = (gy[..., 1:] + gy[..., :-1]) / 2
    known = known[:, 2:] & known[:, 1:-1] & known[:, :-2]
    known = known[..., 1:] & known[..., :-1]
    gx, gy = gx * known, gy * known
    energy = gx.square() + gy.square() + NOISE * known
    return -(gx * gy).sum(dim=(1, 2)) / energy.sum(dim=(1, 2)).clamp(min=NOISE)
