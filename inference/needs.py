"""How much of a card's memory engines need, and what fits into what there is."""

from __future__ import annotations

from dataclasses import dataclass

from contract.modes import Engine

GB = 10**9

SIZES = tuple(
    rows * columns
    for rows, columns in (
        (640, 1024),
        (512, 896),
        (448, 768),
        (384, 640),
        (320, 512),
        (256, 384),
        (192, 320),
    )
)
"""Pixels that a network may see at once, the most first. Few, so that two cards that are
a little apart make the same picture; the sides are those of 16:9, padded to 64."""

LARGEST = SIZES[0]

USUAL = (1920, 1080)
"""The film that is planned for before one is known."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What an engine needs of a card's memory; docs/engines.md says whence each number."""

    networks: float
    """Gigabytes of all networks together, in half precision."""
    largest: float
    """Gigabytes of the largest of them."""
    per_megapixel: float
    """Gigabytes beside them for a million pixels of what a network sees at once."""
    held: int
    """Bytes for a pixel of the film, of the frames that wait."""

    def bytes_for(
        self, width: int, height: int, *, offload: bool, seen: int = LARGEST
    ) -> int:
        """An estimate for films of width × height pixels, of which `seen` at once."""
        return self._at_once(seen, offload=offload) + self.held * width * height

    def least(self) -> int:
        """An estimate for the smallest films, one network at a time."""
        return self._at_once(SIZES[-1], offload=True)

    def size_for(self, free: int, *, offload: bool) -> int:
        """The most pixels to see at once of a usual film, the fewest where none fit."""
        fitting = (
            size
            for size in SIZES
            if self.bytes_for(*USUAL, offload=offload, seen=size) <= free
        )
        return next(fitting, SIZES[-1])

    def _at_once(self, seen: int, *, offload: bool) -> int:
        weights = self.largest if offload else self.networks
        return int((weights + self.per_megapixel * seen / 1e6) * GB)


NEEDS = {
    Engine.FAST: Needs(0.05, 0.05, 0.8, 200),
    Engine.STEREOCRAFTER: Needs(7.6, 3.05, 43.0, 1900),
}
"""Of the engines with networks. DepthCrafter's authors report 26 GB at 1024 × 576 pixels
and 9 GB at 512 × 256; StereoCrafter's users 30 GB at 1080p in four tiles."""

CLIPS = Needs(24.2, 11.4, 12.0, 0)
"""Of what makes clips of prompts: a transformer of 5.0, a text encoder of 5.7 and a VAE of
0.7 thousand million numbers, the last in float32. Its authors run it in 24 GB with offload;
what it needs beside its networks is an estimate."""


def smaller(than: int) -> int | None:
    """The next size with fewer pixels; None where there is none."""
    return next((size for size in SIZES if size < than), None)
