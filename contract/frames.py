"""Which frames a segment object holds, and how its stereo picture is encoded.

Both are decided once per job by chunk and travel with each invocation, so that the
segments of a film fit together frame by frame and byte by byte.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import Literal, Self

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from contract.modes import Payload

Ratio = tuple[PositiveInt, PositiveInt]


class SegmentFrames(Payload):
    """The manifest of a segment object.

    The object is a stream copy cut at clean entry points, so it may hold more frames
    than are listed: a decoder drops every frame whose timestamp is not in `pts`. Of the
    listed frames the first `lead` and the last `tail` only give a model its context; the
    ones between, the core, are what the stereo segment consists of.
    """

    time_base: Ratio
    """Seconds per tick, as numerator and denominator: the source stream's own."""
    start: int
    """Timestamp of the first listed frame in the source, in ticks."""
    pts: tuple[NonNegativeInt, ...] = Field(min_length=1)
    """Display timestamps of lead, core and tail in the object, in ticks from `start`."""
    lead: NonNegativeInt = 0
    tail: NonNegativeInt = 0

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.pts[0] != 0 or any(b <= a for a, b in pairwise(self.pts)):
            raise ValueError("pts must rise strictly from 0")
        if self.lead + self.tail >= len(self.pts):
            raise ValueError("a segment needs at least one frame of its own")
        return self

    @property
    def seconds_per_tick(self) -> Fraction:
        return Fraction(*self.time_base)

    @property
    def core(self) -> tuple[int, ...]:
        """Timestamps of the segment's own frames, in ticks from its first own frame."""
        own = self.pts[self.lead : len(self.pts) - self.tail]
        return tuple(pts - own[0] for pts in own)

    @property
    def core_start(self) -> int:
        """Timestamp of the first own frame in the source, in ticks."""
        return self.start + self.pts[self.lead]


class DepthFrames(Payload):
    """The manifest of a depth segment object: the depth that a person brought.

    Its frames are those of the segment, number by number; its clock is its own.
    """

    frames: SegmentFrames
    is_full_range: bool
    """Grey of `bits` goes from 0 to 2^bits - 1; otherwise from 16 to 235 of 255, as in
    most films (ITU-R BT.709, 4.6)."""


class HdrMetadata(Payload):
    """HDR10 side data, in the notation of x265's options of the same names."""

    master_display: str | None = Field(default=None, pattern=r"^[GBRWPL(),0-9]{1,120}$")
    max_cll: str | None = Field(default=None, pattern=r"^\d{1,5},\d{1,5}$")


class Picture(Payload):
    """How the stereo picture of every segment of a job is encoded.

    Numbers of `color_*` are the code points of ISO/IEC 23091-2, as in libavutil.
    """

    eye_width: PositiveInt
    """Width of one full eye in pixels: upright (rotation applied), padded to even."""
    eye_height: PositiveInt
    codec: Literal["h264", "hevc"] = "h264"
    pixel_format: Literal["yuv420p", "yuv420p10le"] = "yuv420p"
    preset: str = Field(default="veryfast", pattern=r"^[a-z]{1,12}$")
    crf: float = Field(default=18.0, ge=0, le=51)
    frame_rate: Ratio = (25, 1)
    """Frames per second on average; the level that players check follows from it. When
    each frame is shown, its timestamp says."""
    gop: PositiveInt = 60
    """Most frames between two keyframes; GOPs are closed."""
    rotation: Literal[0, 90, 180, 270] = 0
    """Clockwise turn in degrees that makes the decoded frame upright."""
    deinterlace: bool = False
    sample_aspect_ratio: Ratio = (1, 1)
    """Of one full eye, upright."""
    color_range: NonNegativeInt = 0
    color_primaries: NonNegativeInt = 2
    color_trc: NonNegativeInt = 2
    color_space: NonNegativeInt = 2
    hdr: HdrMetadata | None = None
