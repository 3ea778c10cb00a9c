"""Maps of a film's frames, held steady along the motion of what they show."""

from __future__ import annotations

import torch
from torch import Tensor

from inference.stages.depth import motion

MISSED = 0.04
"""Luma by which a pixel that was followed may have changed, and still be trusted."""

UNFOLLOWED = 0.05
"""Trust in a pixel that cannot be followed: enough where nothing else is there."""

ROUNDS = 4
"""Of the robust fit: its weights have settled by then."""

ALIKE = 0.06
"""Luma by which one thing may differ in two frames, between noise and another thing."""


def trust_in(flow: Tensor, luma: Tensor) -> Tensor:
    """[P, 1, h, w] in [0, 1]: where flow has detail to hold on to and explains the change."""
    a, b = luma[:-1], luma[1:]
    missed = motion.blur((motion.moved(b, flow) - a).abs())
    return motion.texture(a) * torch.exp(-(missed / MISSED).square())


def links(raw: Tensor, flow: Tensor, trust: Tensor) -> Tensor:
    """[L - 1, 2]: scale and offset that make of each raw depth the scale of the next.

    `raw` [L, 1, h, w] is true up to a scale and an offset of each frame; where pixels
    are followed both frames see the same distance. A scale is a ratio of deviations, not
    a regression, whose slope is too small by the noise and would shrink along a chain.
    Fitted again without what disagrees, by Cauchy's weights (Holland and Welsch 1977).
    """
    a, b = raw[:-1], motion.moved(raw[1:], flow)
    trust = trust + UNFOLLOWED
    weight = trust
    for _ in range(ROUNDS):
        total = weight.sum(dim=(1, 2, 3), keepdim=True)
        here, there = (
            (x * weight).sum(dim=(1, 2, 3), keepdim=True) / total for x in (a, b)
        )
        least = torch.finfo(raw.dtype).tiny ** 0.5
        spread, wanted = (
            ((x - middle).square() * weight).sum(dim=(1, 2, 3), keepdim=True) / total
            for x, middle in ((a, here), (b, there))
        )
        scale = ((wanted + least) / (spread + least)).sqrt()
        apart = (there + scale * (a - here) - b).abs()
        usual = (apart * weight).sum(dim=(1, 2, 3), keepdim=True) / total
        weight = trust / (1.0 + (apart / (2 * usual + least)).square())
    return torch.cat([scale, there - scale * here], dim=1)[:, :, 0, 0]


def along_motion(
    cues: Tensor,
    luma: Tensor,
    flow: Tensor,
    same_shot: Tensor,
    own: range,
    *,
    reach: int,
) -> Tensor:
    """Average cues [L, C, h, w] of own frames with their neighbours', along their paths.

    A pixel of a neighbour counts where it shows the same thing, in the same shot.
    """
    frames = torch.tensor(own, device=cues.device)
    total, weights = cues[frames], torch.ones_like(luma[frames])
    shown = torch.cat([cues, luma], dim=1)
    for step, ahead in ((flow, 1), (_inverse(flow), -1)):
        at, path = frames, torch.zeros_like(step[:1])
        linked = torch.ones_like(at, dtype=torch.bool)
        for distance in range(1, reach + 1):
            pair = at if ahead > 0 else at - 1
            inside = (pair >= 0) & (pair < len(step))
            pair = pair.clamp(0, len(step) - 1)
            linked = linked & inside & same_shot[pair]
            path = path + motion.moved(step[pair], path.expand(len(at), -1, -1, -1))
            at = (at + ahead).clamp(0, len(luma) - 1)
            seen = motion.moved(shown[at], path)
            alike = torch.exp(-((seen[:, -1:] - luma[frames]) / ALIKE).square())
            fade = 1.0 - (distance / (reach + 1.0)) ** 2
            weight = alike * (fade * linked[:, None, None, None])
            total += seen[:, :-1] * weight
            weights += weight
    return total / weights


def _inverse(flow: Tensor) -> Tensor:
    """The way back: from frame t + 1 to frame t, by fixed-point iteration."""
    back = -flow
    for _ in range(2):
        back = -motion.moved(flow, back)
    return back
