"""The splat of `splat.py` as one launch for CUDA: a program per row, written in Triton.

A row's source columns are landed in a row of scratch, then its colours are looked up. A
column is at least 0, so its float32 bits order as integers do, and the z-test is an
integer maximum: deterministic, and the torch version's column bit for bit.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from inference.stages.warp import splat as by_torch

BESIDE = tl.constexpr(by_torch.BESIDE)
LONGEST = tl.constexpr(1.0 + by_torch.MAX_DROP)
"""Stretch up to which a link holds."""

TORN = tl.constexpr(by_torch.TORN)
COLUMNS = 1024
"""Of a row, at a time."""


def splat(left: Tensor, disparity: Tensor) -> tuple[Tensor, Tensor]:
    """As `splat.splat`, which see: masks are equal, colours up to rounding (1e-6)."""
    left, disparity = left.contiguous(), disparity.contiguous()
    frames, channels, height, width = left.shape
    right, occluded = torch.empty_like(left), torch.empty_like(left[:, :1])
    columns = torch.empty_like(disparity, dtype=torch.int32)
    with torch.cuda.device_of(left):
        _row[frames * height,](
            left, disparity, columns, right, occluded,
            height, width, channels,
            not left.is_floating_point(), COLUMNS,
            enable_fp_fusion=False,  # every step rounded, as torch rounds it
        )  # fmt: skip
    return right, occluded


@triton.jit
def _row(
    left, disparity, columns, right, occluded,
    height, width, channels,
    is_whole: tl.constexpr, size: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    base = row * width
    for start in range(0, width, size):
        column = start + tl.arange(0, size)
        tl.store(columns + base + column, -1, mask=column < width)
    tl.debug_barrier()
    for start in range(0, width, size):
        _land(disparity + base, columns + base, start + tl.arange(0, size), width)
    tl.debug_barrier()
    frame = row // height
    for start in range(0, width, size):
        column = start + tl.arange(0, size)
        inside = column < width
        # From where the maxima were taken: no older line of a nearer cache.
        bits = tl.load(columns + base + column, inside, -1, cache_modifier=".cg")
        is_open = bits < 0
        tl.store(occluded + base + column, is_open.to(tl.float32), mask=inside)
        for channel in range(channels):
            line = ((frame * channels + channel) * height + row % height) * width
            colour = _sampled(left + line, bits, inside & ~is_open, width)
            if is_whole:
                colour = tl.floor(colour + 0.5)
            tl.store(right + line + column, colour, mask=inside)


@triton.jit
def _land(disparity, columns, column, width):
    inside = column < width
    target = _target(disparity, column, width)
    before = target - _target(disparity, column - 1, width)
    after = _target(disparity, column + 1, width) - target
    has_before, has_after = column > 0, column < width - 1
    holds_before = has_before & (before > TORN) & (before <= LONGEST)
    holds = has_after & (after > TORN) & (after <= LONGEST)
    is_speck = has_before & has_after & (before > LONGEST) & (after > LONGEST)

    first = tl.ceil(target)
    ahead = first - target
    pace = tl.where(holds, after, 1.0)
    share = tl.div_rn(ahead, pace)
    ends = ~holds & ~is_speck & (ahead <= 0.5)
    lands = (holds & (share <= 1.0)) | ends
    _note(columns, first, column + tl.where(holds, share, 0.0), inside & lands, width)
    share = tl.div_rn(ahead + 1.0, pace)
    _note(columns, first + 1.0, column + share, inside & holds & (share <= 1.0), width)
    begins = ~holds_before & ~is_speck & (ahead >= 0.5)
    _note(columns, first - 1.0, column.to(tl.float32), inside & begins, width)


@triton.jit
def _target(disparity, column, width):
    inside = (column >= 0) & (column < width)
    shift = tl.load(disparity + column, mask=inside, other=0.0).to(tl.float32)
    return tl.minimum(tl.maximum(column - shift, -BESIDE), width - 1.0 + BESIDE)


@triton.jit
def _note(columns, at, source, lands, width):
    place = at.to(tl.int32)
    lands = lands & (place >= 0) & (place < width)
    bits = source.to(tl.int32, bitcast=True)
    tl.atomic_max(columns + place, bits, mask=lands, sem="relaxed", scope="cta")


@triton.jit
def _sampled(left, bits, lands, width):
    source = tl.where(lands, bits, 0).to(tl.float32, bitcast=True)
    floor = tl.minimum(tl.floor(source), tl.maximum(width - 2.0, 0.0))
    share = source - floor
    index = floor.to(tl.int32)
    here = tl.load(left + index, mask=lands, other=0.0).to(tl.float32)
    beyond = tl.load(left + tl.minimum(index + 1, width - 1), mask=lands, other=0.0)
    step = beyond.to(tl.float32) - here
    # Exact at both ends, like torch's.
    return tl.where(
        share < 0.5, here + step * share, here + step - step * (1.0 - share)
    )
