"""Stage 1 of 4: inverse depth, 1 is nearest.

    looks          [L, 3, h, w]  in [0, 1]: small pictures of own frames and neighbours
 →  inverse depth  [N, 1, h, w]  in [0, 1], of the own ones; sharpened to [N, 1, H, W]

`Preview` reads it from cues alone, without weights: parallax where the film moves; the
height in the picture, haze, warmth and sharpness where it does not. The estimate of a
frame is a function of the frames within `context` of it in the same shot, and of
nothing else; no number is taken over a whole clip. So a film converted in segments that
overlap by `context` frames comes out as if it had been converted in one piece.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from inference.stages import motion

LUMA = (0.299, 0.587, 0.114)
"""Of R, G, B (BT.601). Depth only compares it, so any film's matrix would do.

The numbers below, and the weights of the cues, were chosen on the sample scene and on
clips of nature: the made right eye is nearest to the true one around them, and flatly so.
"""

PARALLAX_NOISE = 0.15
"""Pixels of a look per frame: what flow sees where nothing moves."""

UNLIKE = 0.08
"""Mean difference of two thumbnails, of 1, from which they are of different shots."""

MISSED = 0.04
"""Luma by which a pixel that was followed may have changed, and still be trusted."""

ALIKE = 0.06
"""Luma by which one thing may differ in two frames, between noise and another thing."""

FLAT = 8e-3
"""Variance of luma up to which a neighbourhood is one surface, whatever its texture."""


class DepthEstimator(Protocol):
    @property
    def context(self) -> int:
        """How many frames on either side an estimate depends on."""

    def look(self, left: Tensor) -> Tensor:
        """What is kept of frames [T, 3, H, W] to estimate by: [T, C, h, w]."""

    def __call__(self, looks: Tensor, own: range) -> Tensor:
        """Inverse depth [N, 1, h, w] of the own ones among looks [L, C, h, w]."""


@dataclass(frozen=True, slots=True)
class Preview:
    pixels: int = 192 * 108
    """Of a look: enough for people and trees, few enough for a laptop."""
    reach: int = 4
    """Frames on either side that are averaged, along the motion."""

    @property
    def context(self) -> int:
        return self.reach + 1  # each frame's parallax is read against the next one

    def look(self, left: Tensor) -> Tensor:
        height, width = left.shape[-2:]
        scale = min(1.0, (self.pixels / (height * width)) ** 0.5)
        size = (max(8, round(height * scale)), max(8, round(width * scale)))
        return functional.interpolate(left, size, mode="area")

    def __call__(self, looks: Tensor, own: range) -> Tensor:
        luma = _luma(looks)
        static = _static_cues(looks, luma)
        if len(looks) == 1:
            return static
        same_shot = ~_cuts(looks)
        flow = motion.flow(luma[:-1], luma[1:])
        trust = _trust(flow, luma) * same_shot[:, None, None, None]
        parallax = flow - _mean(flow, trust)
        bearing = _bearing(parallax, trust, static[:-1], _nearby(same_shot, self.reach))
        cues = torch.cat([parallax * trust, trust], dim=1)
        cues = torch.cat(
            [functional.pad(cues, (0, 0, 0, 0, 0, 0, 0, 1)), static], dim=1
        )
        steady = _along_motion(cues, luma, flow, same_shot, own, reach=self.reach)
        return _combined(steady, bearing[own.start : own.stop])


def sharpen(inverse_depth: Tensor, left: Tensor) -> Tensor:
    """Bring [T, 1, h, w] to the size of `left` [T, 3, H, W], its edges onto the picture's.

    The fast guided filter (He and Sun 2015): within each neighbourhood inverse depth is
    taken as linear in luma; the slope and offset are small pictures, luma is a full one.
    """
    guide = _luma(left)
    size = inverse_depth.shape[-2:]
    small = functional.interpolate(guide, size, mode="area")
    slope, offset = _linear_in(small, inverse_depth)
    slope = functional.interpolate(slope, guide.shape[-2:], mode="bilinear")
    offset = functional.interpolate(offset, guide.shape[-2:], mode="bilinear")
    return _grown(slope.mul_(guide).add_(offset).clamp_(0.0, 1.0))


def _grown(inverse_depth: Tensor) -> Tensor:
    """Near things wider by an edge's blur, so that it moves with them and leaves no line.

    That blur is a pixel or so at 640 columns, and grows with the size of the picture.
    """
    grown = inverse_depth.clone()
    for by in range(1, 2 + inverse_depth.shape[-1] // 1000):
        right, left = grown[..., by:], grown[..., :-by]
        torch.maximum(right, inverse_depth[..., :-by], out=right)
        torch.maximum(left, inverse_depth[..., by:], out=left)
    return grown


def _linear_in(guide: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    mean, level = motion.blur(guide), motion.blur(values)
    variance = motion.blur(guide * guide) - mean * mean
    slope = (motion.blur(guide * values) - mean * level) / (variance + FLAT)
    return motion.blur(slope), motion.blur(level - slope * mean)


def _luma(picture: Tensor) -> Tensor:
    weights = torch.tensor(LUMA, dtype=picture.dtype, device=picture.device)
    return torch.einsum("c,tchw->thw", weights, picture)[:, None]


def _cuts(looks: Tensor) -> Tensor:
    """[L - 1]: whether another shot begins after each look but the last.

    Thumbnails are compared, each of their cells with the most alike of the cells around
    it in the next one, so that fast motion does not count as a cut.
    """
    thumbs = functional.adaptive_avg_pool2d(looks, (18, 32))
    cells = functional.unfold(functional.pad(thumbs, (1, 1, 1, 1), mode="replicate"), 3)
    around = cells.view(len(looks), 3, 9, 18, 32)[1:]
    unlike = (around - thumbs[:-1, :, None]).abs().mean(dim=1).amin(dim=1)
    return unlike.mean(dim=(1, 2)) > UNLIKE


def _static_cues(looks: Tensor, luma: Tensor) -> Tensor:
    """Inverse depth from single pictures [L, 3, h, w]: each cue is weak, together they are not.

    The lower in the picture, the nearer the ground. Haze takes colour from what is far
    and leaves it bright and blue; near things are warm, saturated and full of detail.
    """
    height = looks.shape[-2]
    down = torch.linspace(0.0, 1.0, height, device=looks.device)[:, None]
    ground = 0.08 + 0.80 * (1.4 * down - 0.4).clamp(min=0.0) + 0.06 * down
    saturation = looks.amax(dim=1, keepdim=True) - looks.amin(dim=1, keepdim=True)
    warmth = looks[:, :1] - looks[:, 2:]
    detail = motion.texture(luma)
    cues = 0.10 * saturation + 0.12 * warmth + 0.10 * detail - 0.10 * luma
    return (ground + motion.blur(cues, radius=2)).clamp(0.0, 1.0)


def _trust(flow: Tensor, luma: Tensor) -> Tensor:
    """[P, 1, h, w] in [0, 1]: where flow has detail to hold on to and explains the change."""
    a, b = luma[:-1], luma[1:]
    missed = motion.blur((motion.moved(b, flow) - a).abs())
    return motion.texture(a) * torch.exp(-(missed / MISSED).square())


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean over the picture, [N, C, 1, 1]."""
    total = (values * weight).sum(dim=(2, 3), keepdim=True)
    return total / weight.sum(dim=(2, 3), keepdim=True).clamp(min=1e-6)


def _along_motion(
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


def _nearby(same_shot: Tensor, reach: int) -> Tensor:
    """[L, L - 1]: 1 where a pair of frames lies within reach of a frame, in its shot."""
    pairs = len(same_shot)
    frame = torch.arange(pairs + 1, device=same_shot.device)[:, None]
    pair = torch.arange(pairs, device=same_shot.device)[None]
    shot = functional.pad((~same_shot).long().cumsum(0), (1, 0))
    near = (pair >= frame - reach) & (pair <= frame + reach) & same_shot
    return (near & (shot[:-1][None] == shot[:, None])).to(torch.float32)


def _bearing(parallax: Tensor, trust: Tensor, static: Tensor, nearby: Tensor) -> Tensor:
    """[L, 3]: what to multiply parallax (x, y) with to get standard deviations of nearness,
    and how sure that is, in [0, 1].

    A sideways camera moves near things faster than far ones, but which way is near? The
    way in which what moves so also looks nearer: parallax' covariance with static cues.
    Sums run over the pairs nearby; they are smooth, so nothing jumps when one thing
    enters the picture, as it would with a least and a greatest value.
    """
    relief = static - _mean(static, trust)
    area = trust[0].numel()
    weight = nearby @ trust.sum(dim=(1, 2, 3)).div(area)
    covariance = nearby @ (parallax * relief * trust).sum(dim=(2, 3)).div(area)
    towards = covariance / covariance.norm(dim=1, keepdim=True).clamp(min=1e-9)
    xx, yy = (nearby @ (parallax.square() * trust).sum(dim=(2, 3)).div(area)).T
    xy = nearby @ (parallax.prod(dim=1, keepdim=True) * trust).sum(dim=(1, 2, 3)).div(
        area
    )
    x, y = towards.T
    variance = (x * x * xx + y * y * yy + 2 * x * y * xy) / weight.clamp(min=1e-6)
    relieved = nearby @ (relief.square() * trust).sum(dim=(1, 2, 3)).div(area)
    agreement = (
        covariance.norm(dim=1) / (variance * weight * relieved).clamp(min=1e-12).sqrt()
    )
    # Below about a sixth of a pixel per frame parallax drowns in the noise of the flow.
    sure = variance / (variance + PARALLAX_NOISE**2) * (agreement / 0.3).clamp(max=1.0)
    return torch.cat(
        [towards / variance.sqrt().clamp(min=1e-4)[:, None], sure[:, None]], 1
    )


def _combined(cues: Tensor, bearing: Tensor) -> Tensor:
    """One inverse depth from parallax × trust, trust and static cues [L, 4, h, w]."""
    parallax, trust, static = cues[:, :2], cues[:, 2:3], cues[:, 3:]
    x, y, sure = bearing[:, :, None, None, None].unbind(dim=1)
    moving = parallax / trust.clamp(min=1e-6)
    deviations = x * moving[:, :1] + y * moving[:, 1:]
    depth = (0.5 + 0.22 * deviations).clamp(0.0, 1.0)
    # What runs against the parallax moves by itself, and its speed says nothing.
    weight = 6.0 * sure * trust * torch.sigmoid(4.0 * (deviations + 2.5))
    return torch.lerp(static, depth, weight / (1.0 + weight))
