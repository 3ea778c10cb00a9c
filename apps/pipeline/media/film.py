"""What we know of a source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, NonNegativeInt

from contract.frames import Ratio
from contract.modes import Payload
from contract.pictures import Footage

TEXT = frozenset({"ass", "mov_text", "subrip", "text", "webvtt"})
"""Codecs of subtitles that are words; others are pictures, which no browser shows."""


class Track(Payload):
    """An audio or subtitle stream."""

    codec: str
    language: str | None = None

    @property
    def is_text(self) -> bool:
        return self.codec in TEXT


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


def text_tracks(film: Mapping[str, Any] | None) -> dict[int, Track]:
    """Those of a film as the ledger has it, by their numbers among all its subtitles."""
    tracks = [Track.model_validate(each) for each in (film or {}).get("subtitles", ())]
    return {number: track for number, track in enumerate(tracks) if track.is_text}
