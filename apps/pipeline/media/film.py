"""What we know of a source."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeInt

from contract.frames import Ratio
from contract.modes import Payload
from contract.pictures import Footage


class Track(Payload):
    """An audio or subtitle stream."""

    codec: str
    language: str | None = None


class Film(Footage):
    """Facts about a source, found by `probe`."""

    codec: str
    pixel_format: str
    time_base: Ratio
    duration: float = Field(ge=0)
    """Seconds; 0 where the source does not tell."""
    audio: tuple[Track, ...] = ()
    subtitles: tuple[Track, ...] = ()
    """Those that the final's container takes."""
    chapters: NonNegativeInt = 0
    extension: Literal["mp4", "mov", "mkv"] = "mp4"
    """Container of the final: the first that takes every other stream unchanged."""
