"""Depth that a person brought: a video of greys, cut at the film's own frame numbers.

Near is bright. Frame k of it is the depth of frame k of the film, whatever either clock
says; its size and codec are its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import av

from apps.pipeline.media.film import Film
from apps.pipeline.media.index import Index
from apps.pipeline.media.plan import Span
from apps.pipeline.media.prepare import (
    Prepared,
    Wishes,
    prepare_spans,
    split_prepared,
)
from apps.pipeline.media.probe import Limits, probe
from apps.pipeline.media.tools import open_media, video_stream
from contract.errors import ErrorCode, StereoSpotError
from contract.frames import DepthFrames

_FULL: Final = 2
"""AVColorRange of samples that use all their bits."""
_SPS: Final = re.compile(b"(?:^\x01.{7}|\x00\x00\x01)[\x07\x27\x47\x67]", re.DOTALL)
"""How the sequence parameters of H.264 begin, in an mp4's box and in a plain stream."""
_HIGH_PROFILES: Final = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128})
"""Those that say how much colour there is (ITU-T H.264, 7.3.2.1.1)."""


@dataclass(frozen=True, slots=True)
class PreparedDepth:
    """What `split_depth` takes."""

    prepared: Prepared
    is_full_range: bool


def prepare_depth(
    source: Path, limits: Limits, directory: Path, spans: list[Span]
) -> PreparedDepth:
    """Look at a depth video and make it ready to be cut into the film's spans.

    Files that this takes go into `directory`. Raises StereoSpotError: what `probe` and
    `prepare` raise, and DEPTH_UNUSABLE when frames are too few or too many, or turned.
    """
    video = probe(source, limits)
    if video.rotation:
        raise _unusable(
            f"The depth video is to be turned by {video.rotation}° before it is shown: "
            "export it upright."
        )
    wanted = spans[-1].first + spans[-1].count

    def spans_of(path: Path, index: Index) -> list[Span]:
        if index.frame_count != wanted:
            raise _unusable(
                f"The film has {_frames(wanted)} and its depth video "
                f"{_frames(index.frame_count)}: each frame needs its own depth."
            )
        return spans

    prepared = prepare_spans(source, video, directory, spans_of, Wishes().most_extra)
    return PreparedDepth(prepared, _is_full_range(source, video))


def split_depth(
    depth: PreparedDepth, directory: Path
) -> Iterator[tuple[int, Path, DepthFrames]]:
    """`split` of a depth video that was prepared."""
    for number, path, frames in split_prepared(depth.prepared, directory):
        manifest = DepthFrames(frames=frames, is_full_range=depth.is_full_range)
        yield number, path, manifest


def _is_full_range(path: Path, video: Film) -> bool:
    """As players do, but R, G and B, and grey without colour, are full whatever they say,
    as FFmpeg makes them.

    Encoders that are given such grey leave the range unsaid, or say the wrong one.
    """
    if video.color_range == _FULL or video.pixel_format.startswith("yuvj"):
        return True
    pixels = av.VideoFormat(video.pixel_format)
    # Of more than grey, and than grey with alpha, two are chroma, at 4:4:4 too.
    if pixels.is_rgb or len(pixels.components) <= 2:
        return True
    return video.codec == "h264" and _is_grey_h264(path)


def _is_grey_h264(path: Path) -> bool:
    """Whether there is no colour in the stream; decoders give some, which is grey."""
    with open_media(path) as container:
        extradata = video_stream(container).codec_context.extradata or b""
    found = _SPS.search(extradata)
    if found is None:
        return False
    # Profile, constraints and level; then two numbers, each of them 0 if its bit is 1:
    # of the parameter set, and chroma_format_idc.
    profile, _, _, numbers = extradata[found.end() : found.end() + 4].ljust(4, b"\0")
    return profile in _HIGH_PROFILES and numbers >> 6 == 0b11


def _frames(count: int) -> str:
    return "1 frame" if count == 1 else f"{count} frames"


def _unusable(message: str) -> StereoSpotError:
    return StereoSpotError(ErrorCode.DEPTH_UNUSABLE, message)
