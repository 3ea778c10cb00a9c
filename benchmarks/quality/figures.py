"""The figures themselves: tensors in, numbers out. Each is 0 or best where all is right."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

LEVELS = 255.0
"""Differences of brightness are told in levels of 8 bits."""

ROWS = 3
"""Rows up or down within which blocks of one eye are looked for in the other."""

BLOCK = 24
"""Rows and columns of such a block."""


def psnr(made: Tensor, true: Tensor, where: Tensor | None = None) -> float:
    """Decibels, of pictures [T, 3, H, W] in [0, 1]; only `where` [T, 1, H, W] is 1."""
    error = (made - true).square()
    return float(-10.0 * torch.log10(_mean(error, where).clamp(min=1e-10)))


def ssim(made: Tensor, true: Tensor, where: Tensor | None = None) -> float:
    """Structural similarity of pictures [T, 3, H, W] in [0, 1], mean over R, G, B.

    As published (Wang, Bovik, Sheikh and Simoncelli 2004): a Gaussian window of 11 × 11
    and sigma 1.5, K1 = 0.01, K2 = 0.03. `where` [T, 1, H, W] picks windows by their
    middle.
    """
    c1, c2 = 0.01**2, 0.03**2
    a, b = _windowed(made), _windowed(true)
    aa = _windowed(made * made) - a * a
    bb = _windowed(true * true) - b * b
    ab = _windowed(made * true) - a * b
    alike = (2 * a * b + c1) * (2 * ab + c2)
    return float(_mean(alike / ((a * a + b * b + c1) * (aa + bb + c2)), where))


def flicker(made: Tensor, true: Tensor, begins_shot: list[bool]) -> float:
    """Levels by which the error changes from a frame to the next of its shot, on average.

    The error is made − true, [T, 3, H, W] in [0, 1]: what moves as it should costs
    nothing, nor does an error that stands still.
    """
    inner = _within_shots(begins_shot)
    change = (made - true).diff(dim=0).abs()[inner]
    return float(change.mean()) * LEVELS if inner.any() else 0.0


def unrest(right: Tensor, left: Tensor, begins_shot: list[bool]) -> float:
    """Levels by which the right eye changes more than the left from frame to frame.

    For films without truth. A right eye that only moves with the left is near 0; a
    smooth one may lie below.
    """
    inner = _within_shots(begins_shot)
    if not inner.any():
        return 0.0
    more = right.diff(dim=0).abs()[inner].mean() - left.diff(dim=0).abs()[inner].mean()
    return float(more) * LEVELS


def seam(whole: Tensor, parts: Tensor, at: int, where: Tensor | None = None) -> float:
    """By how much more [T, C, H, W] jumps over the seam before frame `at` when the film is
    converted in parts than when it is converted whole; only `where` [T, 1, H, W] is 1.
    """
    over = slice(at - 1, at + 1)
    jump = (parts[over].diff(dim=0) - whole[over].diff(dim=0)).abs()
    return float(_mean(jump, None if where is None else where[at : at + 1]))


def vertical(left: Tensor, right: Tensor, reach: int) -> float | None:
    """Rows by which blocks of the left eye are found higher or lower in the right, on
    average over frames [T, 3, H, W]; `reach` is the largest disparity in pixels.

    A block may lie anywhere within ± reach columns; the offset is the lowest point of a
    parabola through the cost of the three best rows. Eyes differ across only, so it must
    be 0. None where pictures are too small to look.
    """
    height, width = left.shape[-2:]
    if height <= 2 * ROWS or width <= 2 * reach:
        return None
    offsets = [_offset(a[1:2], b[1:2], reach) for a, b in zip(left, right, strict=True)]
    return sum(abs(offset) for offset in offsets) / len(offsets)


def _offset(left: Tensor, right: Tensor, reach: int) -> float:
    height, width = left.shape[-2:]
    inner = left[:, ROWS : height - ROWS, reach : width - reach]
    block = (min(BLOCK, inner.shape[-2]), min(BLOCK, inner.shape[-1]))
    costs = []
    for down in range(-ROWS, ROWS + 1):
        rows = right[:, ROWS + down : height - ROWS + down]
        blocks = [
            functional.avg_pool2d(
                (rows[..., reach + by : width - reach + by] - inner).abs(), block
            )
            for by in range(-reach, reach + 1)
        ]
        costs.append(float(torch.stack(blocks).amin(dim=0).mean()))
    best = min(range(len(costs)), key=costs.__getitem__)
    if not 0 < best < len(costs) - 1:
        return best - ROWS
    before, here, after = costs[best - 1 : best + 2]
    bend = before - 2 * here + after
    return best - ROWS + ((before - after) / (2 * bend) if bend > 1e-9 else 0.0)


def _within_shots(begins_shot: list[bool]) -> Tensor:
    """[T - 1]: whether a frame and the next are of the same shot."""
    return ~torch.tensor(begins_shot[1:], dtype=torch.bool)


def _mean(values: Tensor, where: Tensor | None) -> Tensor:
    if where is None:
        return values.mean()
    return (values * where).sum() / (where.sum() * values.shape[1]).clamp(min=1.0)


def _windowed(picture: Tensor) -> Tensor:
    at = torch.arange(11, dtype=picture.dtype) - 5.0
    weights = torch.exp(-at.square() / (2 * 1.5**2))
    weights = (weights / weights.sum()).expand(picture.shape[1], 1, 1, 11)
    padded = functional.pad(picture, (5, 5, 5, 5), mode="reflect")
    rows = functional.conv2d(padded, weights, groups=picture.shape[1])
    columns = weights.transpose(-1, -2)
    return functional.conv2d(rows, columns, groups=picture.shape[1])
