"""How the stereo picture of a film is encoded: one rule for whoever has to choose it."""

from __future__ import annotations

from typing import Literal

from pydantic import NonNegativeInt, PositiveInt

from contract.frames import HdrMetadata, Picture, Ratio
from contract.modes import Payload, StereoMode

MATRICES = frozenset({1, 4, 5, 6, 7, 9, 10})
"""Code points of ISO/IEC 23091-2 whose matrix the engines know."""

_UNSAID = 2
_SRGB = 1, 13
_PRIMARIES_AND_TRANSFER = {1: (1, 1), 5: (5, 6), 6: (6, 6), 7: (7, 7)}
"""Of the standards that a matrix is of: ITU-R BT.709, BT.601 with 625 and with 525 lines,
SMPTE 240M. BT.2020 is missing: it goes with three transfers."""

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
    matrix = _matrix(footage)
    primaries, transfer = _primaries_and_transfer(footage, matrix)
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
        color_primaries=primaries,
        color_trc=transfer,
        color_space=matrix,
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


def _primaries_and_transfer(footage: Footage, matrix: int) -> tuple[int, int]:
    """Code points, said as well where the source and the standard leave no doubt.

    Chromium believes all three or none: of a picture with a matrix alone it guesses the
    matrix, too, and takes BT.601 below 720 rows.
    """
    said = footage.color_primaries, footage.color_trc
    if footage.color_space == 0:  # RGB is sRGB where nothing else is said
        standard: tuple[int, int] | None = _SRGB
    else:
        standard = _PRIMARIES_AND_TRANSFER.get(matrix)
    if standard is None or any(
        of not in (_UNSAID, wanted) for of, wanted in zip(said, standard, strict=True)
    ):
        return said
    return standard
