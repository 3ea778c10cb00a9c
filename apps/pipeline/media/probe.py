"""The gate: what a source is, and whether we take it.

Opens the file, decodes its first frames and looks at its end; the whole film is not
read. What it refuses, it refuses in a sentence that tells the person what to do.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from fractions import Fraction
from itertools import islice
from math import isfinite
from pathlib import Path
from typing import Any, Literal, cast

import av
from av.container import InputContainer
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from pydantic import PositiveFloat, PositiveInt, ValidationError

from apps.pipeline.media.containers import (
    codec_name,
    companions,
    final_extension,
    sound_streams,
)
from apps.pipeline.media.film import Film, Track
from apps.pipeline.media.tools import decode, open_media, video_stream
from apps.pipeline.media.truncation import is_truncated
from contract.errors import ErrorCode, StereoSpotError
from contract.frames import HdrMetadata, Ratio
from contract.modes import Payload

_LOOKED_AT = 8
"""Frames to decode: an interlaced film may begin with a progressive title."""
_MOST_PACKETS = 1000
"""To read until one can be decoded; no recording waits longer for a keyframe."""
_PROGRESSIVE = (0, 1)
"""AVFieldOrder: unknown and progressive."""


class Limits(Payload):
    """The largest source we take."""

    bytes: PositiveInt = 64 << 30
    seconds: PositiveFloat = 6 * 3600.0
    pixels: PositiveInt = 8192 * 4320
    """Of one frame."""
    streams: PositiveInt = 64


def probe(path: Path, limits: Limits) -> Film:
    """Look at a source; raises StereoSpotError for everything we do not take."""
    size = path.stat().st_size
    if size == 0:
        raise _refusal(
            ErrorCode.EMPTY_FILE, "This file is empty: choose it again and upload it."
        )
    if size > limits.bytes:
        raise _refusal(
            ErrorCode.TOO_LARGE,
            f"This file has {size / 1e9:.1f} GB and we take {limits.bytes / 1e9:.1f}: "
            "upload it in parts or with a lower bit rate.",
        )
    try:
        container = open_media(path)
    except (av.error.FFmpegError, ValueError) as error:
        raise _unopened(path) from error
    with container:
        _check_limits(container, limits)
        frames = _first_frames(path)
        if is_truncated(container, path):
            raise _cut_off()
        return _film(container, frames)


def _check_limits(container: InputContainer, limits: Limits) -> None:
    stream = video_stream(container)
    count = len(container.streams.get())
    if count > limits.streams:
        raise _refusal(
            ErrorCode.TOO_LARGE,
            f"This film has {count} streams and we take {limits.streams}: "
            "upload it with fewer sound tracks and subtitles.",
        )
    if stream.width * stream.height > limits.pixels:
        raise _refusal(
            ErrorCode.TOO_LARGE,
            f"Frames of {stream.width} × {stream.height} pixels are more than we "
            "take: upload the film in a smaller size.",
        )
    if _seconds(container, stream) > limits.seconds:
        raise _refusal(
            ErrorCode.TOO_LARGE,
            f"This film lasts {_seconds(container, stream) / 3600:.1f} h and we take "
            f"{limits.seconds / 3600:.1f}: upload it in parts.",
        )


def _first_frames(path: Path) -> list[VideoFrame]:
    # A second opening, so that the caller's container stands at its beginning.
    try:
        with open_media(path) as container:
            stream = video_stream(container)
            packets = islice(container.demux(stream), _MOST_PACKETS)
            frames = list(islice(decode(stream, packets), _LOOKED_AT))
    except (av.error.FFmpegError, ValueError) as error:
        raise _undecodable() from error
    if not frames:
        raise _undecodable()
    return frames


def _film(container: InputContainer, frames: list[VideoFrame]) -> Film:
    stream, frame = video_stream(container), frames[0]
    context = stream.codec_context
    rate = stream.average_rate or stream.guessed_rate
    extension = final_extension(container)
    kept = companions(container, extension)
    for track in sound_streams(container):
        if track not in kept:
            raise _refusal(
                ErrorCode.UNSUPPORTED_VIDEO,
                f"We cannot keep sound of the kind {codec_name(track)}: "
                "export the film with AAC sound and upload that.",
            )
    return Film(
        codec=codec_name(stream),
        width=frame.width,
        height=frame.height,
        rotation=clockwise(frame),
        sample_aspect_ratio=_ratio(stream.sample_aspect_ratio) or (1, 1),
        pixel_format=frame.format.name,
        bit_depth=max(component.bits for component in frame.format.components),
        color_range=int(frame.color_range),
        color_primaries=int(frame.color_primaries),
        color_trc=int(frame.color_trc),
        color_space=int(frame.colorspace),
        hdr=_hdr(frame),
        time_base=_ratio(stream.time_base) or (1, 1000),
        frame_rate=_ratio(rate),
        duration=_seconds(container, stream),
        interlaced=context.field_order not in _PROGRESSIVE
        or any(frame.interlaced_frame for frame in frames),
        audio=_tracks(kept, "audio"),
        subtitles=_tracks(kept, "subtitle"),
        chapters=len(container.chapters()),
        extension=extension,
    )


def _seconds(container: InputContainer, stream: VideoStream) -> float:
    if container.duration is not None:
        return max(0.0, container.duration / av.time_base)
    if stream.duration is not None and stream.time_base is not None:
        return max(0.0, float(stream.duration * stream.time_base))
    return 0.0


def _ratio(value: Fraction | None) -> Ratio | None:
    if value is None or value <= 0:
        return None
    return value.numerator, value.denominator


def clockwise(frame: VideoFrame) -> Literal[0, 90, 180, 270]:
    # libavutil counts the turn of its display matrix counter-clockwise.
    turn = -frame.rotation if isfinite(frame.rotation) else 0
    return cast(Literal[0, 90, 180, 270], round(turn / 90) % 4 * 90)


def _tracks(streams: list[Stream], kind: str) -> tuple[Track, ...]:
    return tuple(
        Track(
            codec=codec_name(stream),
            # mp4 spells out that a language is undetermined.
            language=None if stream.language == "und" else stream.language,
        )
        for stream in streams
        if stream.type == kind
    )


def _hdr(frame: VideoFrame) -> HdrMetadata | None:
    display = _side_data(frame, "MASTERING_DISPLAY_METADATA")
    light = _side_data(frame, "CONTENT_LIGHT_LEVEL")
    master_display = None if display is None else _master_display(display)
    max_cll = (
        None if light is None else "{},{}".format(*struct.unpack_from("2I", light))
    )
    if master_display is None and max_cll is None:
        return None
    try:
        return HdrMetadata(master_display=master_display, max_cll=max_cll)
    except ValidationError:  # numbers that no screen has: better none than such
        return None


def _side_data(frame: VideoFrame, name: str) -> bytes | None:
    try:
        return bytes(cast(Mapping[str, Any], frame.side_data)[name])
    except KeyError:
        return None


def _master_display(data: bytes) -> str | None:
    """AVMasteringDisplayMetadata in the notation, and units, of x265's option."""
    numbers = struct.unpack_from("20i2i", data)
    *ratios, has_primaries, has_luminance = numbers
    if not (has_primaries and has_luminance) or 0 in ratios[1::2]:
        return None
    values = [Fraction(a, b) for a, b in zip(ratios[::2], ratios[1::2], strict=True)]
    # Chromaticity in steps of 0.00002, luminance in steps of 0.0001 candela per m².
    points = [round(value * 50_000) for value in values[:8]]
    darkest, brightest = (round(value * 10_000) for value in values[8:])
    red, green, blue, white = (points[i : i + 2] for i in range(0, 8, 2))
    return (
        "G({},{})B({},{})R({},{})WP({},{})".format(*green, *blue, *red, *white)
        + f"L({brightest},{darkest})"
    )


def _unopened(path: Path) -> StereoSpotError:
    with path.open("rb") as file:
        is_mp4 = file.read(8)[4:] in (b"ftyp", b"moov", b"mdat", b"wide")
    if is_mp4:
        # The list of its frames, often the last thing written, is not there.
        return _cut_off()
    return _refusal(
        ErrorCode.NOT_A_VIDEO,
        "This file is no video that we can open: choose a film such as an MP4 or MKV.",
    )


def _cut_off() -> StereoSpotError:
    return _refusal(
        ErrorCode.TRUNCATED,
        "This film is cut off before its end: copy or export it again and upload it.",
    )


def _undecodable() -> StereoSpotError:
    return _refusal(
        ErrorCode.UNSUPPORTED_VIDEO,
        "We cannot decode this film: export it as H.264 in an MP4 and upload that.",
    )


def _refusal(code: ErrorCode, message: str) -> StereoSpotError:
    return StereoSpotError(code, message)
