"""What depth by diffusion does where the published algorithm and we differ, and its numbers."""

from __future__ import annotations

from dataclasses import dataclass

from inference.needs import LARGEST


@dataclass(frozen=True, slots=True)
class Recipe:
    """The defaults are ours; `REFERENCE` is DepthCrafter as StereoCrafter runs it.

    docs/decisions/0011 says of each difference what it changes.
    """

    window: int = 110
    """Frames that the network sees at once, as DepthCrafter 1.0.1 publishes."""
    overlap: int = 25
    """Of these, how many are blended into the window before."""
    steps: int = 5
    """Of the sampler, as DepthCrafter 1.0.1 publishes."""
    guidance: float = 1.0
    """At 1 the UNet runs once a step, else twice."""
    frames_per_second: int = 7
    motion_bucket: int = 127
    """What the network is told of the film, as published."""
    augmentation: float = 0.02
    """Standard deviation of the noise on the network's input pixels in [-1, 1]."""
    longest_side: int = 1024
    """Pixels, a multiple of 64: larger films are made smaller."""
    pixels: int | None = LARGEST
    """The most of a picture, its padding included; a window that does not fit onto the
    card is tried again with fewer. None: as many as `longest_side` lets it have, always."""
    keeps_shape: bool = True
    """The picture is padded to multiples of 64 pixels; else it is stretched to them."""
    encode_frames: int = 5
    """Frames encoded together. A divisor of window and overlap reads no frame early."""
    decode_frames: int = 8
    """Frames decoded together, as published."""
    decode_context: int = 2
    """Neighbours on either side that the decoder sees with them, so that it does not jump
    where one lot ends and the next begins."""
    resets_at_cuts: bool = True
    """Every shot is a film of its own; else cuts are not seen."""
    is_whole_clip: bool = False
    """Inverse depth is between the least and the greatest value of the whole clip, which
    is kept in memory at full size; else between percentiles of a few frames around."""

    def __post_init__(self) -> None:
        if not 0 < self.overlap < self.window:
            raise ValueError("windows overlap by at least one frame and less than all")


DEFAULT = Recipe()

REFERENCE = Recipe(
    window=70,
    steps=8,
    guidance=1.2,
    pixels=None,
    keeps_shape=False,
    encode_frames=8,
    decode_context=0,
    resets_at_cuts=False,
    is_whole_clip=True,
)
