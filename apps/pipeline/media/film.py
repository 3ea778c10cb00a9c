"""What we know of a source, and the picture that every segment made of it has."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from contract.frames import HdrMetadata, Picture, Ratio
from contract.modes import Payload, StereoMode

_H264_LIMIT = 4096
"""Widest and highest picture that hardware decoders of H.264 take."""
_USUAL_RATE = (25, 1)
"""Frames per second to assume where the source does not tell."""
_MATRICES = frozenset({1, 4, 5, 6, 7, 9, 10})
"""Code points of ISO/IEC 23091-2 whose matrix the engines know."""
_GOP_SECONDS = 2
"""Between keyframes: how far a player may have to decode to seek."""


class Track(Payload):
    """An audio or subtitle stream."""

    codec: str
    language: str | None = None


class Film(Payload):
    """Facts about a source, found by `probe`. Colours are code points of libavutil."""

    codec: str
    width: PositiveInt
    """As decoded, before rotation, in pixels."""
    height: PositiveInt
    rotation: Literal[0, 90, 180, 270] = 0
    """Clockwise turn in degrees that makes a decoded frame upright."""
    sample_aspect_ratio: Ratio = (1, 1)
    """Width to height of a decoded pixel, before rotation."""
    pixel_format: str
    bit_depth: PositiveInt = 8
    color_range: NonNegativeInt = 0
    color_primaries: NonNegativeInt = 2
    color_trc: NonNegativeInt = 2
    color_space: NonNegativeInt = 2
    hdr: HdrMetadata | None = None
    time_base: Ratio
    frame_rate: Ratio | None = None
    """Frames per second on average, where the source tells."""
    duration: float = Field(ge=0)
    """Seconds; 0 where the source does not tell."""
    interlaced: bool = False
    audio: tuple[Track, ...] = ()
    subtitles: tuple[Track, ...] = ()
    """Those that the final's container takes."""
    chapters: NonNegativeInt = 0
    extension: Literal["mp4", "mov", "mkv"] = "mp4"
    """Container of the final: the first that takes every other stream unchanged."""

    @property
    def frames_per_second(self) -> float:
        """On average; 25 where the source does not tell."""
        rate = self.frame_rate or _USUAL_RATE
        return rate[0] / rate[1]


def picture_for(film: Film, mode: StereoMode) -> Picture:
    """How to encode the stereo picture of a film in a mode."""
    width, height = film.width, film.height
    sample_aspect_ratio = film.sample_aspect_ratio
    if film.rotation in (90, 270):
        width, height = height, width
        sample_aspect_ratio = sample_aspect_ratio[1], sample_aspect_ratio[0]
    # 4:2:0 has one chroma sample for two pixels each way.
    eye_width, eye_height = width + width % 2, height + height % 2
    is_deep = film.bit_depth > 8
    is_big = max(mode.packed_size(eye_width, eye_height)) > _H264_LIMIT
    return Picture(
        eye_width=eye_width,
        eye_height=eye_height,
        codec="hevc" if is_deep or is_big else "h264",
        pixel_format="yuv420p10le" if is_deep else "yuv420p",
        frame_rate=film.frame_rate or _USUAL_RATE,
        gop=max(1, round(_GOP_SECONDS * film.frames_per_second)),
        rotation=film.rotation,
        deinterlace=film.interlaced,
        sample_aspect_ratio=sample_aspect_ratio,
        color_range=film.color_range,
        color_primaries=film.color_primaries,
        color_trc=film.color_trc,
        color_space=_matrix(film),
        hdr=film.hdr,
    )


def _matrix(film: Film) -> int:
    """Code point of the matrix that our pictures are made with, always said.

    Pictures are made as 4:2:0, whatever the source was, and RGB (0) has no place there.
    What is not said, players guess by the size, and both eyes have another size than one.
    """
    if film.color_space in _MATRICES:
        return film.color_space
    is_high_definition = film.width >= 1280 or film.height > 576
    return 1 if is_high_definition else 6
