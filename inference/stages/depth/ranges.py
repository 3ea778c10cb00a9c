"""Depth as a network gives it, its scale and offset unknown → inverse depth in [0, 1].

   raw depth      [1, 1, h, w] of each frame, more is nearer, true up to scale and offset
→  inverse depth  [1, 1, h, w] in [0, 1], 1 is nearest

The range of a frame is read off the frames around it in its shot, and off nothing else
(docs/decisions/0013). So two runs of a network that disagree in scale and offset agree
in inverse depth wherever they saw the same frames: at the seam of two segments.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

from inference.windows import windows

REACH = 12
"""Frames on either side that a range is read off: the overlap of two segments."""

OUTLIERS = 2
"""Frames in a row whose range may be wrong, and are outvoted by those around them."""

TAIL = (0.01, 0.07)
"""Shares of the farthest pixels, and of the nearest, whose mean ends the range. A mean
moves little by little while a thing enters the picture; one percentile jumps when the
thing has just so many pixels. What lies beyond the first share is taken for noise.
"""

SAMPLES = 10_000
"""Pixels, about, that a range is read off."""

KNEE = 0.8
"""Of the way from the middle of the range to its ends: from here on depth is squeezed, so
that what lies outside the range keeps its relief instead of being cut off.
"""


def settled(
    depths: Iterable[tuple[Tensor, bool]],
    *,
    own: range,
    flat: float,
    reach: int = REACH,
) -> Iterator[Tensor]:
    """Inverse depth [1, 1, h, w] in [0, 1] of the frames whose number is in `own`.

    `depths` are raw depth [1, 1, h, w] and whether a shot begins with it, those of the
    `reach` frames on either side of the own ones included. `flat` is a span of raw depth
    up to which all is at one distance: a blank picture's noise is not stretched, and
    lies at 0.5. Reads `reach` frames ahead, and keeps twice as many.
    """
    measured = ((depth, _ends(depth), begins) for depth, begins in depths)
    for window in windows(measured, own=own, size=1, context=reach):
        at = window.own.start
        raw, ends, begins_shot = zip(*window.items, strict=True)
        shot = _shot_around(at, begins_shot)
        far, near = _smoothed(
            torch.stack(ends[shot.start : shot.stop]), at - shot.start, reach
        )
        yield _unit(raw[at], far, near, flat)


def _ends(depth: Tensor) -> Tensor:
    """[2]: the far and the near end of one frame's raw depth, on the CPU."""
    step = max(1, round((depth.numel() / SAMPLES) ** 0.5))
    ordered = depth[..., ::step, ::step].flatten().float().sort().values
    first, last = (round(share * (len(ordered) - 1)) for share in TAIL)
    far, near = ordered[first : last + 1], ordered.flip(0)[first : last + 1]
    return torch.stack([far.mean(), near.mean()]).cpu()


def _shot_around(at: int, begins_shot: Sequence[bool]) -> range:
    """Numbers of the frames of one shot around the one at `at`."""
    first, last = at, at + 1
    while first > 0 and not begins_shot[first]:
        first -= 1
    while last < len(begins_shot) and not begins_shot[last]:
        last += 1
    return range(first, last)


def _smoothed(ends: Tensor, at: int, reach: int) -> tuple[float, float]:
    """Both ends at frame `at` of [T, 2]: a mean, near frames first, without outliers."""
    aside = min(OUTLIERS, reach // 2)
    half = reach - aside
    total, weights = torch.zeros(2), 0.0
    for frame in range(max(0, at - half), min(len(ends), at + half + 1)):
        around = ends[max(0, frame - aside) : frame + aside + 1]
        weight = 1.0 - abs(frame - at) / (half + 1.0)
        total += weight * around.quantile(0.5, dim=0)
        weights += weight
    far, near = (total / weights).tolist()
    return far, near


def _unit(depth: Tensor, far: float, near: float, flat: float) -> Tensor:
    """Raw depth as inverse depth, the middle of the range at 0.5."""
    span = max(near - far, flat)
    aside = (depth.float() - (far + near) / 2) * (2 / span)  # the range is -1 … 1
    beyond = (aside.abs() - KNEE).clamp(min=0.0) / (1 - KNEE)
    squeezed = aside.abs().clamp(max=KNEE) + (1 - KNEE) * beyond / (1 + beyond)
    return 0.5 + 0.5 * aside.sign() * squeezed
