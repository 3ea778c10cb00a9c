"""A picture in overlapping tiles, and tiles back into one picture.

As published for StereoCrafter: n × n tiles of one size that overlap by 128 pixels (16
latents) and are blended linearly over the whole overlap.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from torch import Tensor, arange
from torch.nn import functional

OVERLAP = 128
"""Pixels that a tile shares with the next, as published."""

LATENT = 8
"""Pixels along one side of a latent of Stable Video Diffusion."""


@dataclass(frozen=True, slots=True)
class Axis:
    """Tiles along one side of the picture."""

    count: int
    tile: int
    """Pixels."""

    @property
    def stride(self) -> int:
        return self.tile - OVERLAP

    @property
    def covered(self) -> int:
        """Pixels from the first tile's begin to the last one's end."""
        return self.tile + (self.count - 1) * self.stride


@dataclass(frozen=True, slots=True)
class Tiling:
    down: Axis
    across: Axis

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns, in pixels, that the tiles cover: at least the picture."""
        return self.down.covered, self.across.covered

    @property
    def area(self) -> int:
        """Pixels of one tile."""
        return self.down.tile * self.across.tile

    def cut(self, picture: Tensor, *, scale: int = 1) -> Iterator[Tensor]:
        """The tiles of [T, C, H / scale, W / scale], row by row.

        Where the picture ends before a tile does, its borders are repeated.
        """
        height, width = self.down.tile // scale, self.across.tile // scale
        for top, left in self._corners(scale):
            part = picture[..., top : top + height, left : left + width]
            yield fitted(part, height, width)

    def joined(
        self, tiles: Iterable[Tensor | None], beneath: Tensor, *, scale: int = 1
    ) -> Tensor:
        """One picture of tiles as from `cut`, as large as `beneath`.

        Each tile is blended into the finished one above it, then into that on its left.
        Where a tile is None, its neighbours are not blended, and what no tile covers is
        taken from `beneath`. Kept of finished tiles is only what the next ones fade from.
        """
        height, width = self.down.tile // scale, self.across.tile // scale
        overlap = OVERLAP // scale
        whole = beneath.clone()
        above: list[Tensor | None] = [None] * self.across.count
        before: Tensor | None = None
        stream = iter(tiles)
        for number, (top, left) in enumerate(self._corners(scale)):
            column = number % self.across.count
            if column == 0:
                before = None
            place = whole[..., top : top + height, left : left + width]
            if _placed(next(stream), place):
                _blend(above[column], place, overlap, down=True)
                _blend(before, place, overlap, down=False)
                # Copies, for the next tile is laid over what is shared.
                above[column] = place[..., height - overlap :, :].clone()
                before = place[..., width - overlap :].clone()
            else:
                above[column] = before = None
        return whole

    def _corners(self, scale: int) -> list[tuple[int, int]]:
        return [
            (row * self.down.stride // scale, column * self.across.stride // scale)
            for row in range(self.down.count)
            for column in range(self.across.count)
        ]


def tiling(height: int, width: int, *, tiles: int, multiple: int) -> Tiling:
    """About `tiles` × `tiles` tiles over a picture of `height` × `width` pixels.

    Their sides are multiples of `multiple` (itself one of 8), so they may reach beyond the
    picture, and fewer are taken where fewer of that size cover it. Where the picture needs
    no such rounding, sizes and places are the published ones.
    """
    return Tiling(
        _axis(height, tiles=tiles, multiple=multiple),
        _axis(width, tiles=tiles, multiple=multiple),
    )


def tiling_within(height: int, width: int, *, largest: int, multiple: int) -> Tiling:
    """The fewest tiles of which none has more than `largest` pixels.

    Tiles cannot be smaller than their overlap and one `multiple` more; a `largest` below
    that gives such tiles.
    """
    chosen = tiling(height, width, tiles=1, multiple=multiple)
    tiles = 1
    while chosen.area > largest and max(height, width) > OVERLAP + tiles * multiple:
        tiles += 1
        chosen = tiling(height, width, tiles=tiles, multiple=multiple)
    return chosen


def fitted(picture: Tensor, height: int, width: int) -> Tensor:
    """`picture` [T, C, H, W] as [T, C, height, width]: its borders repeated, or cut off."""
    down = max(0, height - picture.shape[-2])
    across = max(0, width - picture.shape[-1])
    if down or across:
        picture = functional.pad(picture, (0, across, 0, down), mode="replicate")
    return picture[..., :height, :width]


def _axis(length: int, *, tiles: int, multiple: int) -> Axis:
    tile = _up((length + OVERLAP * (tiles - 1)) / tiles, multiple)
    if length <= tile:
        return Axis(1, _up(length, multiple))
    return Axis(1 + _quotient_up(length - tile, tile - OVERLAP), tile)


def _placed(tile: Tensor | None, place: Tensor) -> bool:
    """Whether there was a tile; what of it lies in the picture is in its place then."""
    if tile is None:
        return False
    place.copy_(tile[..., : place.shape[-2], : place.shape[-1]])
    return True


def _blend(strip: Tensor | None, place: Tensor, overlap: int, *, down: bool) -> None:
    """Fade from the strip beside a tile to the tile's first rows or columns, in place."""
    if strip is None:
        return
    share = arange(overlap, dtype=place.dtype, device=place.device) / overlap
    if down:
        share, begin = share[:, None], place[..., :overlap, :]
    else:
        begin = place[..., :overlap]
    begin.copy_(strip * (1 - share) + begin * share)


def _up(value: float, multiple: int) -> int:
    return _quotient_up(value, multiple) * multiple


def _quotient_up(value: float, by: int) -> int:
    return int(-(-value // by))
