"""What the sample scene is painted of: flat layers, each with its inverse depth."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

HORIZON = 0.46
"""Of the height: where the ground ends."""

FAR, NEAR = 0.14, 0.96
"""Inverse depth of the ground at the horizon and at the lower edge of the picture."""

TURN = 3
"""Picture widths after which a layer repeats."""

Colour = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Layer:
    paint: Tensor
    """[4, H, W]: R, G, B and how much of what lies behind is hidden, all in [0, 1]."""
    nearness: Tensor
    """[H]: inverse depth of each row."""
    lies: bool = False
    """Lies on the ground, so it looks the narrower the farther it is."""


@dataclass(frozen=True, slots=True)
class Canvas:
    """A strip of so many pixels, and the tools to paint on it."""

    width: int
    height: int

    @property
    def rows(self) -> Tensor:
        """[H, 1]: 0 at the top, 1 at the bottom."""
        return (torch.arange(self.height)[:, None] + 0.5) / self.height

    @property
    def columns(self) -> Tensor:
        """[1, W], in heights."""
        return (torch.arange(self.width)[None] + 0.5) / self.height

    def noise(self, cells: float, seed: int, *, flatness: float = 1.0) -> Tensor:
        """[H, W] in [0, 1], smooth, so many blots to a height; repeats at the ends."""
        down = max(2, round(cells * flatness))
        across = max(2, round(cells * self.width / self.height))
        grid = torch.rand(
            down + 1, across, generator=torch.Generator().manual_seed(seed)
        )
        grid = torch.cat([grid, grid[:, :1]], dim=1)[None, None]
        size = (self.height, self.width + 1)
        smooth = functional.interpolate(grid, size, mode="bicubic", align_corners=True)
        return smooth[0, 0, :, :-1].clamp(0.0, 1.0)

    def inside(self, distance: Tensor) -> Tensor:
        """1 where a signed distance in heights is below 0; edges are one pixel soft."""
        return (0.5 - distance * self.height).clamp(0.0, 1.0)

    def layer(self, colour: Tensor, cover: Tensor, nearness: Tensor | float) -> Layer:
        size = (self.height, self.width)
        paint = torch.cat([colour.expand(3, *size), cover.expand(1, *size)])
        return Layer(
            paint.clamp(0.0, 1.0).contiguous(),
            torch.as_tensor(nearness, dtype=torch.float32).expand(self.height),
        )


def _rgb(*colour: float) -> Tensor:
    return torch.tensor(colour)[:, None, None]


def base_of(nearness: float) -> float:
    """Where something of that inverse depth stands on the ground, in heights."""
    return HORIZON + (nearness - FAR) / (NEAR - FAR) * (1.0 - HORIZON)


@lru_cache(maxsize=2)
def still_layers(width: int, height: int) -> tuple[Layer, ...]:
    """Everything that stands still, farthest first, each layer TURN × W wide."""
    canvas = Canvas(TURN * width, height)
    return (
        _sky(canvas),
        _hills(canvas, 0.05, 0.31, (0.55, 0.66, 0.82)),
        _hills(canvas, 0.10, 0.39, (0.36, 0.51, 0.50)),
        _ground(canvas),
        _trees(canvas, 0.24, 1),
        _trees(canvas, 0.34, 2),
        _trees(canvas, 0.48, 3),
        _trees(canvas, 0.66, 4),
        _fence(canvas, 0.84),
    )


def moving_layers(t: float, width: int, height: int) -> tuple[Layer, Layer]:
    """A balloon over the hills and a ball that bounces past, W wide, at `t` seconds."""
    canvas = Canvas(width, height)
    aspect = width / height
    drift = 0.22 + 0.03 * math.sin(0.8 * t)
    balloon = _globe(
        canvas, (aspect * (0.66 + 0.012 * t), drift), 0.11, 0.20, (0.18, 0.38, 0.80)
    )
    hop = abs(math.sin(2.6 * t))
    at = (aspect * (0.18 + 0.085 * t), base_of(0.75) - 0.075 - 0.30 * hop)
    return balloon, _globe(canvas, at, 0.075, 0.75, (0.90, 0.22, 0.16))


def _sky(canvas: Canvas) -> Layer:
    down = canvas.rows / HORIZON
    colour = _rgb(0.30, 0.52, 0.86) * (1 - down) + _rgb(0.86, 0.90, 0.94) * down
    clouds = 0.65 * canvas.noise(3, 10, flatness=3) + 0.35 * canvas.noise(9, 11)
    clouds = ((clouds - 0.5) * 3.0).clamp(0.0, 1.0) * (1.0 - 0.6 * down)
    return canvas.layer(
        torch.lerp(colour, _rgb(1.0, 0.99, 0.97), clouds), _ones(), 0.02
    )


def _hills(canvas: Canvas, nearness: float, crest: float, tint: Colour) -> Layer:
    seed = round(1000 * nearness)
    ridge = canvas.noise(1.5, seed)[:1] * 0.16 + canvas.noise(9, seed + 1)[:1] * 0.03
    top = crest + 0.10 - ridge
    shade = 0.80 + 0.45 * canvas.noise(14, seed + 2) * canvas.noise(40, seed + 3)
    haze = ((canvas.rows - top) * 2.2).clamp(0.0, 0.5)
    colour = torch.lerp(_rgb(*tint) * shade, _rgb(0.78, 0.84, 0.88), haze)
    return canvas.layer(colour, canvas.inside(top - canvas.rows), nearness)


def _ground(canvas: Canvas) -> Layer:
    down = ((canvas.rows - HORIZON) / (1.0 - HORIZON)).clamp(0.0, 1.0)
    coarse, fine = canvas.noise(9, 20, flatness=3), canvas.noise(80, 21)
    blades = torch.lerp(
        torch.full_like(fine, 0.5), fine, (2.0 * down - 0.2).clamp(0, 1)
    )
    grass = _rgb(0.33, 0.47, 0.16) * (0.60 + 0.7 * blades + 0.3 * coarse)
    meadow = torch.lerp(grass, _rgb(0.74, 0.68, 0.40), (coarse - 0.5).clamp(0) * 1.8)
    colour = torch.lerp(
        _rgb(0.62, 0.70, 0.50), meadow, (0.2 + 2.0 * down).clamp(max=1.0)
    )
    nearness = (FAR + (NEAR - FAR) * down)[:, 0]
    cover = canvas.inside(HORIZON - canvas.rows)
    return replace(canvas.layer(colour, cover, nearness), lies=True)


def _trees(canvas: Canvas, nearness: float, seed: int) -> Layer:
    """A row of trees, the nearer the larger and the fewer."""
    dice = torch.Generator().manual_seed(seed)
    reach = canvas.width / canvas.height
    count = max(3, round(reach / (2.2 * nearness)))
    base, tall = base_of(nearness), 0.85 * nearness + 0.06
    ragged = canvas.noise(9 / nearness, seed + 30) - 0.5
    leaves = 0.5 + 0.6 * canvas.noise(14 / nearness, seed + 40)
    leaves = leaves + 0.45 * canvas.noise(40 / nearness, seed + 50)
    green = _rgb(0.16 + 0.05 * (seed % 3), 0.36 + 0.03 * seed, 0.13) * leaves
    bark = _rgb(0.36, 0.25, 0.17) * (0.7 + 0.6 * leaves)
    crown, trunk = torch.zeros(()), torch.zeros(())
    for number in range(count):
        jitter, size, sway = torch.rand(3, generator=dice).tolist()
        size = tall * (0.75 + 0.4 * size)
        x = reach * (number + 0.25 + 0.5 * jitter) / count
        across = canvas.columns - x
        wide = size * (0.055 + 0.02 * (canvas.rows - base + size).clamp(0.0))
        stem = torch.maximum(
            across.abs() - wide, (canvas.rows - base).abs() - size * 0.5
        )
        trunk = torch.maximum(
            trunk, canvas.inside(torch.maximum(stem, canvas.rows - base))
        )
        for lift, side, part in (
            (0.62, -0.16, 0.24),
            (0.66, 0.15, 0.25),
            (0.84, 0.0, 0.26),
        ):
            dx = across - size * side * (0.7 + 0.6 * sway)
            dy = canvas.rows - base + size * lift
            blob = torch.hypot(dx, dy) - size * part
            crown = torch.maximum(crown, canvas.inside(blob + 0.16 * size * ragged))
    lit = green * (1.15 - 0.5 * (canvas.rows - base + tall).clamp(0.0) / tall)
    return canvas.layer(
        torch.lerp(bark.expand_as(lit), lit, crown),
        torch.maximum(crown, trunk),
        nearness,
    )


def _fence(canvas: Canvas, nearness: float) -> Layer:
    base, tall = base_of(nearness) + 0.02, 0.24
    reach = canvas.width / canvas.height
    pitch = reach / round(reach / 0.42)
    across = (canvas.columns % pitch) - pitch / 2
    post = torch.maximum(
        across.abs() - 0.022, (canvas.rows - base + tall / 2).abs() - tall / 2
    )
    rails = [(canvas.rows - base + tall * at).abs() - 0.016 for at in (0.36, 0.76)]
    cover = canvas.inside(torch.minimum(post, torch.minimum(*rails)))
    grain = (
        0.72 + 0.40 * canvas.noise(24, 60, flatness=0.2) + 0.25 * canvas.noise(60, 61)
    )
    lit = 1.0 - 6.0 * across.clamp(-0.022, 0.022) * canvas.inside(post)
    return canvas.layer(_rgb(0.66, 0.55, 0.42) * grain * lit, cover, nearness)


def _globe(
    canvas: Canvas, at: tuple[float, float], radius: float, nearness: float, dye: Colour
) -> Layer:
    """A striped, shaded ball."""
    dx, dy = canvas.columns - at[0], canvas.rows - at[1]
    turn = torch.asin((dx / radius).clamp(-1.0, 1.0))
    stripes = (torch.sin(turn * 7.0) * 6.0).clamp(-0.5, 0.5) + 0.5
    colour = torch.lerp(_rgb(*dye), _rgb(0.98, 0.88, 0.60), stripes)
    light = 1.05 - 0.55 * (
        torch.hypot(dx + radius * 0.4, dy + radius * 0.5) / radius / 1.6
    )
    cover = canvas.inside(torch.hypot(dx, dy) - radius)
    return canvas.layer(colour * light, cover, nearness)


def _ones() -> Tensor:
    return torch.ones(1, 1, 1)
