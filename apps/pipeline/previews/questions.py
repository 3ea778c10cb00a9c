"""What the site's process and the one that makes previews say to each other."""

from __future__ import annotations

from dataclasses import dataclass

from contract.errors import ErrorCode, StereoSpotError
from contract.modes import StereoMode, StereoSettings

LARGEST_SIDE = 960
"""Pixels of a frame's longer side: enough to judge by, and quick on any processor."""
LEAST_SIDE = 32


@dataclass(frozen=True, slots=True)
class Pixels:
    """A frame as numbers, which no decoder has to trust."""

    width: int
    height: int
    rgb: bytes
    """8 bits each of red, green and blue, row by row."""

    def check(self) -> None:
        """Raises a BAD_REQUEST for what is no frame of an acceptable size."""
        sides = (self.width, self.height)
        if any(side % 2 or not LEAST_SIDE <= side <= LARGEST_SIDE for side in sides):
            raise _bad(
                f"A frame has even sides of {LEAST_SIDE} to {LARGEST_SIDE} pixels."
            )
        if len(self.rgb) != 3 * self.width * self.height:
            raise _bad("The frame has not as many bytes as its size says.")


@dataclass(frozen=True, slots=True)
class Question:
    name: str
    """Of the frame, by which the process knows it again."""
    mode: StereoMode
    settings: StereoSettings
    pixels: Pixels | None = None
    """None: a frame that was shown before."""


def _bad(message: str) -> StereoSpotError:
    return StereoSpotError(ErrorCode.BAD_REQUEST, message)
