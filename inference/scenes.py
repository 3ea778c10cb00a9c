"""More rendered scenes whose true right eye is known, each hard in its own way.

Things are painted by formulas at any point of the picture, so both eyes are exact and no
texture is blurred by drawing it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from contract.modes import StereoSettings
from inference import scene
from inference.pipeline import disparity_px

Views = Callable[[float, int, int, StereoSettings], tuple[Tensor, Tensor, Tensor]]
"""(seconds, width, height, settings) → left and right eye [3, H, W] in [0, 1] and the
left's inverse depth [1, H, W] in [0, 1].
"""

SLICES = 16
"""Flat slices that make one rounded thing: at 2 % disparity each step is under 0.3 px
of 640 columns."""

CUT = 1.0
"""Seconds after which the dolly's second shot begins."""

Colour = tuple[float, float, float]


class Hall(NamedTuple):
    seed: int
    tiles: Colour
    planks: Colour
    stone: Colour


HALLS = (
    Hall(10, (0.52, 0.52, 0.55), (0.46, 0.33, 0.22), (0.78, 0.74, 0.62)),
    Hall(20, (0.84, 0.76, 0.55), (0.16, 0.22, 0.32), (0.42, 0.66, 0.80)),
)


@dataclass(frozen=True, slots=True)
class Thing:
    paint: Callable[[Tensor, Tensor], Tensor]
    """From points (x, y) [H, W] in heights, 0 in the middle of the picture, to [4, H, W]:
    R, G, B and how much of what lies behind is hidden, in [0, 1].
    """
    nearness: float | Tensor
    """Inverse depth, or that of each row [H, 1]."""


def close_up(
    t: float, width: int, height: int, settings: StereoSettings
) -> tuple[Tensor, Tensor, Tensor]:
    """A head before a brick wall with posters; the camera rolls and zooms in."""
    return _both(lambda: _portrait(t, 1.0 / height), width, height, settings)


def dolly(
    t: float, width: int, height: int, settings: StereoSettings
) -> tuple[Tensor, Tensor, Tensor]:
    """Forward through a hall of pillars; after CUT seconds in another hall."""
    return _both(lambda: _hall(t, width, height), width, height, settings)


SCENES: dict[str, Views] = {
    "glide": scene.views,
    "close-up": close_up,
    "dolly": dolly,
}


def _both(
    things: Callable[[], Iterable[Thing]],
    width: int,
    height: int,
    settings: StereoSettings,
) -> tuple[Tensor, Tensor, Tensor]:
    flat = StereoSettings(max_disparity=0.0)
    left, inverse_depth = _seen(things(), width, height, flat)
    right, _ = _seen(things(), width, height, settings)
    return left, right, inverse_depth


def _seen(
    things: Iterable[Thing], width: int, height: int, settings: StereoSettings
) -> tuple[Tensor, Tensor]:
    """Picture and inverse depth of things, the farthest first, to an eye so far right."""
    picture = torch.zeros(3, height, width)
    inverse_depth = torch.zeros(1, height, width)
    column = torch.arange(width) + 0.5
    y = ((torch.arange(height)[:, None] + 0.5) / height - 0.5).expand(-1, width)
    for thing in things:
        nearness = torch.as_tensor(thing.nearness, dtype=torch.float32)
        disparity = disparity_px(nearness, settings, width)
        x = ((column + disparity - width / 2) / height).expand(height, width)
        paint = thing.paint(x, y).clamp(0.0, 1.0)
        picture = torch.lerp(picture, paint[:3], paint[3:])
        near = nearness.expand(1, height, width)
        inverse_depth = torch.where(paint[3:] > 0.5, near, inverse_depth)
    return picture, inverse_depth


@cache
def _grid(seed: int) -> Tensor:
    dice = torch.Generator().manual_seed(seed)
    return torch.rand(1, 1, 64, 64, generator=dice)


def _noise(x: Tensor, y: Tensor, seed: int) -> Tensor:
    """[H, W] in [0, 1], smooth, about one blot to each unit of x and y."""
    at = torch.stack([x, y], dim=-1)[None] / 32.0
    smooth = functional.grid_sample(
        _grid(seed), at, "bicubic", "reflection", align_corners=False
    )
    return smooth[0, 0].clamp(0.0, 1.0)


def _dyed(colour: Colour, light: Tensor) -> Tensor:
    return torch.tensor(colour)[:, None, None] * light


def _covered(colour: Tensor, distance: Tensor, pixel: float) -> Tensor:
    """[4, H, W]: paint where a signed distance in heights is below 0."""
    return torch.cat([colour, (0.5 - distance / pixel).clamp(0.0, 1.0)[None]])


def _portrait(t: float, pixel: float) -> Iterator[Thing]:
    roll, zoom = 0.06 * math.sin(1.1 * t), 1.0 + 0.06 * t
    turn = (math.cos(roll) / zoom, math.sin(roll) / zoom)

    def turned(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        return x * turn[0] + y * turn[1], y * turn[0] - x * turn[1]

    yield Thing(lambda x, y: _wall(*turned(x, y), pixel), 0.12)
    yield Thing(lambda x, y: _lamp(*turned(x, y), pixel), 0.40)
    sway = 0.10 * math.sin(0.9 * t)
    for number in range(2 * SLICES):
        depth = (number % SLICES) / (SLICES - 1)  # 0 at the rim, 1 at the tip
        size = zoom * math.sqrt(1.0 - depth**2 * 0.97)
        shoulders = number < SLICES
        at = (sway * 0.5, 0.52) if shoulders else (sway, 0.02)
        radii = (0.52 * size, 0.28 * size) if shoulders else (0.21 * size, 0.29 * size)
        paint = _cloth if shoulders else _face
        yield Thing(
            _ellipse(at, radii, zoom, paint, pixel),
            0.55 + 0.12 * depth if shoulders else 0.66 + 0.26 * depth,
        )


def _ellipse(
    at: tuple[float, float],
    radii: tuple[float, float],
    zoom: float,
    colour: Callable[[Tensor, Tensor], Tensor],
    pixel: float,
) -> Callable[[Tensor, Tensor], Tensor]:
    def paint(x: Tensor, y: Tensor) -> Tensor:
        dx, dy = x - at[0], y - at[1]
        distance = (torch.hypot(dx / radii[0], dy / radii[1]) - 1.0) * min(radii)
        return _covered(colour(dx / zoom, dy / zoom), distance, pixel)

    return paint


def _wall(x: Tensor, y: Tensor, pixel: float) -> Tensor:
    """Bricks in rows, a poster with letters on either side."""
    row = (y / 0.07).floor()
    across = (x / 0.16 + 0.5 * (row % 2)) % 1.0
    joint = torch.minimum(
        torch.minimum(across, 1 - across) * 0.16,
        torch.minimum((y / 0.07) % 1.0, 1 - (y / 0.07) % 1.0) * 0.07,
    )
    stone = 0.65 + 0.5 * _noise(40 * x, 40 * y, 1) * _noise(6 * x, 14 * row, 2)
    mortar = ((0.006 - joint) / pixel + 0.5).clamp(0.0, 1.0)
    colour = torch.lerp(
        _dyed((0.66, 0.36, 0.27), stone), _dyed((0.72, 0.69, 0.62), stone), mortar
    )
    for side, dye in ((-1.0, (0.95, 0.92, 0.80)), (1.0, (0.20, 0.42, 0.62))):
        dx, dy = x - side * 0.42, y + 0.10
        ink = ((torch.sin(70 * dy) + _noise(60 * dx, 20 * dy, 3) - 0.9) * 4).clamp(0, 1)
        sheet = torch.maximum(dx.abs() - 0.17, dy.abs() - 0.24)
        poster = _dyed(dye, 1.0 - 0.75 * ink)
        colour = torch.lerp(colour, poster, (0.5 - sheet / pixel).clamp(0.0, 1.0))
    return torch.cat([colour, torch.ones_like(x)[None]])


def _lamp(x: Tensor, y: Tensor, pixel: float) -> Tensor:
    """A standing lamp: a pole too thin for most, and a shade."""
    pole = (x - 0.33).abs() - 0.008
    shade = torch.maximum((x - 0.33).abs() - 0.07 - 0.12 * (y + 0.2), y.abs() - 0.16)
    distance = torch.minimum(torch.maximum(pole, -y), shade)
    glow = 0.75 + 0.25 * torch.cos(9.0 * (x - 0.33))
    return _covered(_dyed((0.97, 0.88, 0.62), glow), distance, pixel)


def _face(x: Tensor, y: Tensor) -> Tensor:
    """Skin, hair, eyes and a mouth, the middle of the face at (0, 0)."""
    light = 0.92 - 0.9 * (x + 0.06).square() * 9 + 0.10 * _noise(30 * x, 30 * y, 4)
    colour = _dyed((0.90, 0.70, 0.58), light)
    strands = 0.55 + 0.8 * _noise(70 * x, 14 * y, 5)
    hair = ((-0.09 - y + 0.5 * x.square() * 9) * 60).clamp(0.0, 1.0)
    colour = torch.lerp(colour, _dyed((0.30, 0.20, 0.13), strands), hair)
    eyes = torch.hypot((x.abs() - 0.075) / 1.6, y + 0.01) - 0.016
    mouth = torch.hypot((x / 4.0), y - 0.14) - 0.013
    for part, dye in ((eyes, (0.12, 0.14, 0.20)), (mouth, (0.62, 0.24, 0.24))):
        inked = (-part * 250).clamp(0.0, 1.0)
        colour = torch.lerp(colour, _dyed(dye, torch.ones_like(x)), inked)
    return colour


def _cloth(x: Tensor, y: Tensor) -> Tensor:
    checks = 0.55 + 0.2 * torch.sin(90 * x).sign() + 0.2 * torch.sin(90 * y).sign()
    return _dyed((0.32, 0.46, 0.36), checks * (0.8 + 0.4 * _noise(50 * x, 50 * y, 6)))


def _hall(t: float, width: int, height: int) -> Iterator[Thing]:
    """Distances are in units of the nearest, so inverse depth is 1 / distance."""
    hall, gone = (HALLS[0], t) if t < CUT else (HALLS[1], 3.0 + t)
    pixel, half = 1.0 / height, 0.5
    yield Thing(lambda x, y: _end(x, y, hall), 0.05)
    y = (torch.arange(height)[:, None] + 0.5) / height - 0.5
    # A plane at `half` below (above) the eye: row y is seen at distance half / |y|.
    distance = half / y.abs().clamp(min=half / 20.0)
    yield Thing(lambda x, y: _floor(x, y, distance, gone, hall, pixel), 1.0 / distance)
    nearest = math.floor(gone / 0.75) * 0.75
    for step in range(16, 0, -1):
        place = nearest + 0.75 * step
        if (away := place - gone) >= 1.0:
            yield Thing(_pillars(away, place, half, hall, pixel), 1.0 / away)


def _end(x: Tensor, y: Tensor, hall: Hall) -> Tensor:
    light = 0.6 + 0.4 * _noise(24 * x, 24 * y, hall.seed)
    return torch.cat([_dyed(hall.stone, light), torch.ones_like(x)[None]])


def _floor(
    x: Tensor, y: Tensor, distance: Tensor, gone: float, hall: Hall, pixel: float
) -> Tensor:
    """Tiles below, planks above, both into the distance."""
    across, along = x * distance, distance + gone
    fine = (1.0 / (1.0 + 0.25 * distance.square())).expand_as(x)
    speckle = (_noise(30 * across, 12 * along.expand_as(x), hall.seed + 1) - 0.5) * fine
    tiles = (torch.sin(9 * across) * torch.sin(4 * along) * 4).clamp(-1, 1) * fine
    stones = _dyed(hall.tiles, 0.8 + 0.25 * tiles + 0.9 * speckle)
    planks = _dyed(
        hall.planks, 0.8 + 0.2 * torch.sin(24 * across) * fine + 0.8 * speckle
    )
    colour = torch.where(y > 0, stones, planks)
    return _covered(colour, 0.5 / 20.0 - y.abs(), pixel)


def _pillars(
    away: float, place: float, half: float, hall: Hall, pixel: float
) -> Callable[[Tensor, Tensor], Tensor]:
    """A pair of striped columns, `away` from the eye; at 1 they leave the picture."""

    def paint(x: Tensor, y: Tensor) -> Tensor:
        a, b = x * away, y * away
        column = torch.maximum((a.abs() - 1.05).abs() - 0.12, b.abs() - half)
        veins = _noise(25 * a + 9 * place, 9 * b, 30) + 0.4 * torch.sin(40 * b)
        round_off = 1.0 - 20.0 * (a.abs() - 1.05).clamp(-0.12, 0.12).square()
        colour = _dyed(hall.stone, round_off * (0.6 + 0.4 * veins))
        return _covered(colour, column / away, pixel)

    return paint
