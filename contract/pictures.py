"""How the stereo picture of a film is encoded: one rule for whoever has to choose it."""

from __future__ import annotations

from typing import Literal

from pydantic import NonNegativeInt, PositiveInt

from contract.frames import HdrMetadata, Picture, Ratio
from contract.modes import Payload, StereoMode

MATRICES = frozenset({1, 4, 5, 6, 7, 9, 10})
"""Code points of ISO/IEC 23091-2 whose matrix the engines know."""

_H264_LIMIT = 4096
"""Widest and highest picture that hardware decoders of H.264 take."""
_USUAL_RATE = (25, 1)
"""Frames per second to assume where the source does not tell."""
_GOP_SECONDS = 2
"""Between keyframes: how far a player may have to decode to seek."""


class Footage(Payload):
    """What a film's pictures are like. Colours are code points of libavutil."""

    width: PositiveInt
    """As decoded, before rotation, in pixels."""
    height: PositiveInt
    rotation: Literal[0, 90, 180, 270] = 0
    """Clockwise turn in degrees that makes a decoded frame upright."""
    sample_aspect_ratio: Ratio = (1, 1)
    """Width to height of a decoded pixel, before rotation."""
    bit_depth: PositiveInt = 8
    color_range: NonNegativeInt = 0
    color_primaries: NonNegativeInt = 2
    color_trc: NonNegativeInt = 2
    color_space: NonNegativeInt = 2
    hdr: HdrMetadata | None = None
    frame_rate: Ratio | None = None
    """Frames per second on average, where the source tells."""
    interlaced: bool = False

    @property
    def frames_per_second(self) -> float:
        """On average; 25 where the source does not tell."""
        rate = self.frame_rate or _USUAL_RATE
        return rate[0] / rate[1]


def picture_for(footage: Footage, mode: StereoMode) -> Picture:
    """How to encode the stereo picture of a film in a mode."""
    width, height = footage.width, footage.height
    sample_aspect_ratio = footage.sample_aspect_ratio
    if footage.rotation in (90, 270):
        width, height = height, width
        sample_aspect_ratio = sample_aspect_ratio[1], sample_aspect_ratio[0]
    # 4:2:0 has one chroma sample for two pixels each way.
    eye_width, eye_height = width + width % 2, height + height % 2
    is_deep = footage.bit_depth > 8
    is_big = max(mode.packed_size(eye_width, eye_height)) > _H264_LIMIT
    return Picture(
        eye_width=eye_width,
        eye_height=eye_height,
        codec="hevc" if is_deep or is_big else "h264",
        pixel_format="yuv420p10le" if is_deep else "yuv420p",
        frame_rate=footage.frame_rate or _USUAL_RATE,
        gop=max(1, round(_GOP_SECONDS * footage.frames_per_second)),
        rotation=footage.rotation,
        deinterlace=footage.interlaced,
        sample_aspect_ratio=sample_aspect_ratio,
        color_range=footage.color_range,
        color_primaries=footage.color_primaries,
        color_trc=footage.color_trc,
        color_space=_matrix(footage),
        hdr=footage.hdr,
    )


def _matrix(footage: Footage) -> int:
    """Code point of the matrix that our pictures are made with, always said.

    Pictures are made as 4:2:0, whatever the source was, and RGB (0) has no place there.
    What is not said, players guess by the size, and both eyes have another size than one.
    """
    if footage.color_space in MATRICES:
        return footage.color_space
    is_high_definition = footage.width >= 1280 or footage.height > 576
    return 1 if is_high_definition else 6
