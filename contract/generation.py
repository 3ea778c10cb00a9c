"""A prompt that becomes a clip: the body of POST /invocations with `task: generate`.

Sizes and lengths are those of Wan 2.2 TI2V-5B (model card): sides are multiples of 32,
1280 × 704 at the most either way, 4n + 1 frames at 24 a second.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal, Self

from pydantic import (
    Field,
    NonNegativeInt,
    PositiveInt,
    StringConstraints,
    model_validator,
)

from contract.frames import Picture, SegmentFrames
from contract.modes import Payload, WeightsLicence

MAKER = "wan"
SIDE_STEP = 32
SMALLEST_SIDE, LARGEST_SIDE = 256, 1280
MOST_PIXELS = 1280 * 704
FRAMES_PER_SECOND = 24
LONGEST_SECONDS = 10
LARGEST_SEED = 2**63 - 1
CLIPS_LICENCE = WeightsLicence(name="Apache-2.0", commerce=True)
"""Of the weights, by the model card."""
LONGEST_PROMPT = 2000
"""Characters."""
BT709 = 1
"""Code point of ISO/IEC 23091-2 for primaries, curve and matrix of high definition."""
LIMITED_RANGE = 1
PRESET, CRF = "medium", 16.0
"""A clip may become a source, and is encoded once more then."""

Words = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, max_length=LONGEST_PROMPT, pattern=r"^[^\x00]*$"
    ),
]
"""PostgreSQL has no text with a null character in it."""
Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]
Steps = Annotated[int, Field(ge=1, le=100)]
Guidance = Annotated[float, Field(ge=0, le=20)]
"""How far to go from what no prompt gives to what the prompt gives (Ho and Salimans 2022);
at 1 the former is not computed."""
Side = Annotated[int, Field(ge=SMALLEST_SIDE, le=LARGEST_SIDE)]
"""Pixels."""


def snapped_size(width: int, height: int) -> tuple[int, int]:
    """The size that is made for one that is asked for: never larger, always allowed.

    Sides become multiples of 32; where both are large, the shorter one gives way.
    """
    width, height = (_snapped(side, LARGEST_SIDE) for side in (width, height))
    if width * height > MOST_PIXELS:
        if width >= height:
            height = _snapped(MOST_PIXELS // width, LARGEST_SIDE)
        else:
            width = _snapped(MOST_PIXELS // height, LARGEST_SIDE)
    return width, height


def frames_of(seconds: float) -> int:
    """The number of frames, 4n + 1, that lasts about as long."""
    return 4 * max(1, round(seconds * FRAMES_PER_SECOND / 4)) + 1


def _snapped(side: int, largest: int) -> int:
    return min(max(side // SIDE_STEP * SIDE_STEP, SMALLEST_SIDE), largest)


class ClipWish(Payload):
    """What a person says of the clip that is wanted."""

    prompt: Annotated[Words, StringConstraints(min_length=1)]
    """What is to be seen."""
    negative_prompt: Words = ""
    """What is not to be seen."""
    seconds: float = Field(default=5.0, ge=1, le=LONGEST_SECONDS)
    """How long; 4n + 1 frames at 24 a second come nearest (`frames_of`)."""
    width: Side = 1280
    """Pixels; what is made is the next smaller size that can be (`snapped_size`)."""
    height: Side = 704
    seed: Seed | None = None
    """The same seed gives the same clip; none: one is drawn."""
    steps: Steps = 50
    """More take longer, and are finer."""
    guidance: Guidance = 5.0
    """How closely the clip keeps to the prompt; more is stricter, and harsher."""


class Generation(Payload):
    """What clip to make, and where to put it; `s3://bucket/key` or `file:///path`."""

    task: Literal["generate"] = "generate"
    prompt: str = Field(min_length=1, max_length=LONGEST_PROMPT)
    negative_prompt: str = Field(default="", max_length=LONGEST_PROMPT)
    image_uri: str | None = Field(default=None, max_length=2048)
    """Of a picture to begin with."""
    output_uri: str = Field(max_length=2048)
    seed: Seed = 0
    steps: Steps = 50
    guidance: Guidance = 5.0
    width: Side = Field(default=1280, multiple_of=SIDE_STEP)
    height: Side = Field(default=704, multiple_of=SIDE_STEP)
    frames: int = Field(default=121, ge=5, le=frames_of(LONGEST_SECONDS))
    """4n + 1 of them; others are refused."""
    attempt: NonNegativeInt = 0
    """For the log: the same work is the same, whichever attempt asks for it."""
    linger_seconds: float | None = Field(default=None, ge=0, le=24 * 3600)
    """As `Invocation.linger_seconds`."""

    @model_validator(mode="after")
    def _makeable(self) -> Self:
        if self.frames % 4 != 1:
            raise ValueError("frames must be 4n + 1")
        if self.width * self.height > MOST_PIXELS:
            raise ValueError(f"width × height must be {MOST_PIXELS} at the most")
        return self

    @property
    def maker(self) -> str:
        """What makes it, for logs and metrics."""
        return MAKER

    @property
    def picture(self) -> Picture:
        """How the clip is encoded."""
        return Picture(
            eye_width=self.width,
            eye_height=self.height,
            preset=PRESET,
            crf=CRF,
            frame_rate=(FRAMES_PER_SECOND, 1),
            gop=2 * FRAMES_PER_SECOND,
            color_range=LIMITED_RANGE,
            color_primaries=BT709,
            color_trc=BT709,
            color_space=BT709,
        )

    @property
    def manifest(self) -> SegmentFrames:
        """When its frames are shown."""
        return SegmentFrames(
            time_base=(1, FRAMES_PER_SECOND), start=0, pts=tuple(range(self.frames))
        )

    @property
    def digest(self) -> str:
        """SHA-256 of all that shapes the clip, and of where it goes."""
        return hashlib.sha256(
            self.model_dump_json(exclude={"attempt", "linger_seconds"}).encode()
        ).hexdigest()


class Generated(Payload):
    status: Literal["ok"] = "ok"
    task: Literal["generate"] = "generate"
    """Tells it from the answer to a conversion."""
    frames: PositiveInt
    seconds: float = Field(ge=0)
    """Wall time of the generation."""
    version: str
    """Of the weights and what computed: the same version and seed give the same clip."""

    @property
    def maker(self) -> str:
        return MAKER
