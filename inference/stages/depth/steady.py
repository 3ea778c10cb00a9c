"""Maps of a film's frames, held steady along the motion of what they show."""

from __future__ import annotations

import torch
from torch import Tensor

from inference.stages.depth import motion

MISSED = 0.04
"""Luma by which a pixel that was followed may have changed, and still be trusted."""

ALIKE = 0.06
"""Luma by which one thing may differ in two frames, between noise and another thing."""


def trust_in(flow: Tensor, luma: Tensor) -> Tensor:
    """[P, 1, h, w] in [0, 1]: where flow has detail to hold on to and explains the change."""
    a, b = luma[:-1], luma[1:]
    missed = motion.blur((motion.moved(b, flow) - a).abs())
    return motion.texture(a) * torch.exp(-(missed / MISSED).square())


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
