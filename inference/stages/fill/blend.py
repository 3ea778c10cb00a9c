"""A generated right eye into the known one, so that no seam and no drift shows.

A network that inpaints gives back the whole picture, a little off in colour and
brightness, and that error drifts and pulses from chunk to chunk. Around an occlusion the
true colour is known. So the difference there is spread over what was uncovered, a
membrane fixed at its rim, and added: seamless cloning (Pérez, Gangnet and Blake 2003, in
the form of Farbman et al. 2009), with push-pull as the membrane.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from inference.stages.fill.spread import background, looked_up, spread

FEATHER = 2
"""Pixels over which the filled part fades into the source: one to either side of the
blur that an edge has in the film.
"""


def blended(generated: Tensor, right: Tensor, occluded: Tensor) -> Tensor:
    """The right eye [T, 3, H, W] in [0, 1], `generated` only where something was uncovered.

    `generated` and `right` [T, 3, H, W] in [0, 1], of the same dtype and device;
    `occluded` [T, 1, H, W] is 1 where `right` is unknown (whatever it holds there), else
    0. Bit for bit `right` from 2 × FEATHER pixels off an occlusion. Each frame is blended
    from itself alone.
    """
    if not occluded.any():
        return right
    missing = spread(right - generated, background(occluded))
    share = _feathered(occluded)
    whole = right.clone()
    for frame, drawn, coarse, part in zip(
        whole, generated, missing, share[:, 0], strict=True
    ):
        touched = part > 0
        colours = drawn[:, touched] + looked_up(coarse, touched)
        frame[:, touched] = frame[:, touched].lerp(
            colours.clamp_(0.0, 1.0), part[touched]
        )
    return whole


def _feathered(occluded: Tensor) -> Tensor:
    """1 in the occlusions, falling to 0 within 2 × FEATHER pixels around them."""
    side = 2 * FEATHER + 1
    grown = functional.max_pool2d(occluded, side, stride=1, padding=FEATHER)
    return functional.avg_pool2d(
        grown, side, stride=1, padding=FEATHER, count_include_pad=False
    )
