"""What we were given and what we made, held against the plan before anyone relies on it.

Reads packets, not pixels: a wrong count, a shifted timestamp or a lost sound packet
shows there, at the speed of the disk.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import lcm
from pathlib import Path

import av

from apps.pipeline.media.containers import codec_name
from apps.pipeline.media.film import Film
from apps.pipeline.media.sound import Sound, SoundTrack
from apps.pipeline.media.timeline import core_times, display_order, invalid
from apps.pipeline.media.tools import open_media, video_stream
from contract.frames import Picture, SegmentFrames
from contract.modes import StereoMode

_MILLISECOND = Fraction(1, 1000)
"""Matroska's tick, and how far sound and picture may shift: far below hearing."""


def verify_segment(
    path: Path, frames: SegmentFrames, picture: Picture, mode: StereoMode
) -> None:
    """Check a stereo segment against its manifest; raises StereoSpotError."""
    size = mode.packed_size(picture.eye_width, picture.eye_height)
    _verify_made(path, frames, picture, size)


def verify_clip(path: Path, frames: SegmentFrames, picture: Picture) -> None:
    """Check what was made of a prompt, likewise."""
    _verify_made(path, frames, picture, (picture.eye_width, picture.eye_height))


def _verify_made(
    path: Path, frames: SegmentFrames, picture: Picture, size: tuple[int, int]
) -> None:
    try:
        with open_media(path) as container:
            stream = video_stream(container)
            context = stream.codec_context
            codec = codec_name(stream)
            _require(codec == picture.codec, f"its codec is {codec}")
            # libavcodec's old names for full range, which the tag says as well.
            pixel_format = (context.pix_fmt or "").replace("yuvj", "yuv")
            _require(
                pixel_format == picture.pixel_format,
                f"its pixel format is {pixel_format}",
            )
            _require(
                (context.width, context.height) == size,
                f"it has {context.width} × {context.height} pixels",
            )
            _require(bool(context.extradata), "it lacks its decoder's parameters")
            _require(
                display_order(frames, stream) is not None,
                "its frames are not those of the manifest",
            )
    except (av.error.FFmpegError, ValueError) as error:
        raise invalid(f"what was made cannot be read: {error}") from error


def verify_final(
    path: Path,
    given: Sequence[SoundTrack],
    film: Film,
    frames: Sequence[SegmentFrames],
) -> None:
    """Check a final against plan and source, whose sound is given.

    Raises StereoSpotError.
    """
    try:
        base, dates, made = _frames_and_sound(path)
        with open_media(path) as container:
            subtitles = len(container.streams.subtitles)
            chapters = len(container.chapters())
    except (av.error.FFmpegError, ValueError) as error:
        raise invalid(f"the final cannot be read: {error}") from error
    _check_frames(base, dates, frames, _tolerance(path))
    start = Fraction(frames[0].core_start) * frames[0].seconds_per_tick
    _check_sound(made, given, dates[0] * base - start)
    _require(
        subtitles == len(film.subtitles),
        f"it has {subtitles} of {len(film.subtitles)} subtitle tracks",
    )
    _require(
        chapters == film.chapters, f"it has {chapters} of {film.chapters} chapters"
    )
    if path.suffix != ".mkv":
        _require(starts_fast(path), "it cannot be played while it is being loaded")


def starts_fast(path: Path) -> bool:
    """Whether an mp4's index comes before its media: then it plays while loading."""
    with path.open("rb") as file:
        while header := file.read(8):
            size, kind = int.from_bytes(header[:4], "big"), header[4:]
            if kind in (b"moov", b"mdat"):
                return kind == b"moov"
            if size == 1:
                size = int.from_bytes(file.read(8), "big") - 8
            if size < 8:
                return False
            file.seek(size - 8, 1)
    return False


def _tolerance(path: Path) -> Fraction:
    """Seconds by which a container may round a timestamp."""
    return _MILLISECOND if path.suffix == ".mkv" else Fraction(0)


def _frames_and_sound(path: Path) -> tuple[Fraction, list[int], list[SoundTrack]]:
    """Seconds per tick of a final, the times of its frames in ticks, rising, and its
    sound tracks, in one read."""
    with open_media(path) as container:
        stream = video_stream(container)
        sound = Sound(container)
        dates = []
        for packet in container.demux(stream, *sound.streams):
            if packet.stream_index != stream.index:
                sound.add(packet)
            elif packet.size and packet.pts is not None and not packet.is_discard:
                dates.append(packet.pts)
        if not dates:
            raise ValueError("no frame has a timestamp")
        return stream.time_base or _MILLISECOND, sorted(dates), sound.tracks


def _check_frames(
    base: Fraction,
    dates: list[int],
    frames: Sequence[SegmentFrames],
    rounding: Fraction,
) -> None:
    wanted = core_times(frames).tolist()
    _require(len(dates) == len(wanted), f"it has {len(dates)} of {len(wanted)} frames")
    tick = frames[0].seconds_per_tick
    # All in a unit of which both clocks and the tolerance count whole ones.
    unit = Fraction(1, lcm(*(each.denominator for each in (base, tick, rounding))))
    ours, theirs = int(base / unit), int(tick / unit)
    most = max(int(rounding / unit), (theirs - 1) // 2)
    for number, (date, ticks) in enumerate(zip(dates, wanted, strict=True)):
        error = abs((date - dates[0]) * ours - (ticks - wanted[0]) * theirs)
        if error > most:
            off = f"{float(error * unit) * 1000:.3f} ms off its time"
            raise invalid(f"frame {number} is {off}")


def _check_sound(
    made: Sequence[SoundTrack], given: Sequence[SoundTrack], shift: Fraction
) -> None:
    """`shift`: seconds by which the picture moved from source to final."""
    _require(
        len(made) == len(given), f"it has {len(made)} of {len(given)} sound tracks"
    )
    for number, (ours, theirs) in enumerate(zip(made, given, strict=True)):
        _require(
            ours.content == theirs.content,
            f"sound track {number} is not the source's, packet for packet",
        )
        if ours.start is None or theirs.start is None:
            continue
        drift = abs(ours.start - theirs.start - shift)
        _require(
            drift <= _MILLISECOND,
            f"sound track {number} moved by {float(drift) * 1000:.1f} ms",
        )


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise invalid(otherwise)
