"""Inverse depth from cues alone, without weights: parallax where the film moves; the
height in the picture, haze, warmth and sharpness where it does not.

The estimate of a frame is a function of the frames within `context` of it in the same
shot, and of nothing else; no number is taken over a whole clip. So a film converted in
segments that overlap by `context` frames comes out as if converted in one piece.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from inference.colour import unit
from inference.shots import Frame
from inference.stages.depth import motion
from inference.stages.depth.motion import luma_of
from inference.stages.depth.steady import along_motion, trust_in
from inference.windows import windows

# The numbers below, and the weights of the cues, were chosen on the sample scene and on
# clips of nature: the made right eye is nearest to the true one around them, and flatly so.

PARALLAX_NOISE = 0.15
"""Pixels of a look per frame: what flow sees where nothing moves."""


WINDOW = 16
"""Frames estimated at a time: full frames wait so long for their depth."""


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

    def __call__(
        self, frames: Iterable[Frame], *, own: range, seed: int
    ) -> Iterator[Tensor]:
        looks = ((self.look(unit(frame.planes)), frame.begins_shot) for frame in frames)
        for window in windows(looks, own=own, size=WINDOW, context=self.context):
            near, begins_shot = zip(*window.items, strict=True)
            cuts = torch.tensor(begins_shot[1:], dtype=torch.bool)
            for depth in self.estimate(torch.cat(near), cuts, window.own):
                yield depth[None]

    def estimate(self, looks: Tensor, cuts: Tensor, own: range) -> Tensor:
        """[N, 1, h, w] in [0, 1] of the own ones among looks [L, 3, h, w] in [0, 1].

        `cuts` [L - 1] says whether another shot begins after each look but the last.
        """
        luma = luma_of(looks)
        static = _static_cues(looks, luma)
        if len(looks) == 1:
            return static
        same_shot = ~cuts
        flow = motion.flow(luma[:-1], luma[1:])
        trust = trust_in(flow, luma) * same_shot[:, None, None, None]
        parallax = flow - _turned(flow, trust)
        bearing = _bearing(parallax, trust, static[:-1], _nearby(same_shot, self.reach))
        cues = torch.cat([parallax * trust, trust], dim=1)
        cues = torch.cat(
            [functional.pad(cues, (0, 0, 0, 0, 0, 0, 0, 1)), static], dim=1
        )
        steady = along_motion(cues, luma, flow, same_shot, own, reach=self.reach)
        return _combined(steady, bearing[own.start : own.stop])


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
    depth = (ground + motion.blur(cues, radius=2)).clamp(0.0, 1.0)
    # Water is blue too, but as a rule not as bright and as plain.
    sky = (3.0 * (-warmth - 0.1)).clamp(0.0, 1.0) * (1.0 - detail)
    return depth * (1.0 - 0.8 * motion.blur(sky * luma.clamp(max=0.5) * 2.0, radius=2))


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean over the picture, [N, C, 1, 1]."""
    total = (values * weight).sum(dim=(2, 3), keepdim=True)
    return total / weight.sum(dim=(2, 3), keepdim=True).clamp(min=1e-6)


def _turned(flow: Tensor, trust: Tensor) -> Tensor:
    """[N, 2, h, w]: the part of flow that says nothing of depth: pan, roll and zoom.

    Roll is read off what moves up or down only: that the ground moves the faster sideways
    the lower it is in the picture is no roll, but its depth.
    """
    height, width = flow.shape[-2:]
    x = torch.arange(width, dtype=flow.dtype, device=flow.device)
    y = torch.arange(height, dtype=flow.dtype, device=flow.device)[:, None]
    place = torch.stack([x.expand(height, width), y.expand(height, width)])[None]
    place = place - _mean(place, trust)
    pan = _mean(flow, trust)
    aside = flow - pan
    square = _mean(place.square(), trust).clamp(min=1e-6)
    zoom = _mean((aside * place).sum(dim=1, keepdim=True), trust) / square.sum(
        dim=1, keepdim=True
    )
    roll = _mean(aside[:, 1:] * place[:, :1], trust) / square[:, :1]
    across = torch.cat([-place[:, 1:], place[:, :1]], dim=1)
    turned = zoom * place + roll * across
    left, all_ = (
        _mean(of.square(), trust).sum(dim=1, keepdim=True)
        for of in (aside - turned, aside)
    )
    # Of what explains little, most is chance; of half of all motion, little.
    share = (2.0 - 2.0 * left / all_.clamp(min=1e-6)).clamp(0.0, 1.0)
    return pan + share * turned


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
