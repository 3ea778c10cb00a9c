"""What an invocation leaves out, read off the film itself."""

from __future__ import annotations

from fractions import Fraction
from math import isfinite
from pathlib import Path
from typing import Literal, cast

import av
from av import VideoFrame
from av.error import FFmpegError

from contract.errors import ErrorCode, StereoSpotError
from contract.frames import Picture, Ratio, SegmentFrames
from contract.invocation import Conversion, Invocation
from contract.modes import StereoMode
from contract.pictures import Footage, picture_for


def conversion_of(invocation: Invocation, film: Path) -> Conversion:
    """The conversion that is asked for; UNREADABLE_SEGMENT for what is no film.

    Without a manifest every frame is converted, at the time that it has in the file.
    The picture is the one that chunk would choose, without a job's HDR metadata.
    """
    frames, picture = invocation.frames, invocation.picture
    if frames is None or picture is None:
        try:
            options = {"protocol_whitelist": "file"}
            with av.open(str(film), container_options=options) as container:
                if not container.streams.video:
                    raise _unreadable("it has no video")
                stream = container.streams.video[0]
                rate = stream.average_rate
                if frames is None:
                    frames = _frames(
                        [
                            packet.pts
                            for packet in container.demux(stream)
                            if packet.size and not packet.is_discard
                        ],
                        stream.time_base or Fraction(1, 1000),
                    )
                    container.seek(0)
                first = next(iter(container.decode(stream)), None)
        except FFmpegError as error:
            raise _unreadable(str(error)) from error
        if first is None:
            raise _unreadable("no frame can be decoded")
        picture = picture or _picture(first, rate, invocation.mode)
    return invocation.conversion(frames, picture)


def _frames(times: list[int | None], tick: Fraction) -> SegmentFrames:
    known = sorted({time for time in times if time is not None})
    if len(known) < len(times) or not known or known[0] != 0:
        raise _unreadable("its frames are not counted from 0: name them in `frames`")
    return SegmentFrames(
        time_base=(tick.numerator, tick.denominator), start=0, pts=tuple(known)
    )


def _picture(frame: VideoFrame, rate: Fraction | None, mode: StereoMode) -> Picture:
    # libavutil counts the turn of its display matrix counter-clockwise.
    turn = -frame.rotation if isfinite(frame.rotation) else 0
    footage = Footage(
        width=frame.width,
        height=frame.height,
        rotation=cast(Literal[0, 90, 180, 270], round(turn / 90) % 4 * 90),
        sample_aspect_ratio=_ratio(frame),
        bit_depth=max(component.bits for component in frame.format.components),
        color_range=int(frame.color_range),
        color_primaries=int(frame.color_primaries),
        color_trc=int(frame.color_trc),
        color_space=int(frame.colorspace),
        frame_rate=rate and (rate.numerator, rate.denominator),
        interlaced=frame.interlaced_frame,
    )
    return picture_for(footage, mode)


def _ratio(frame: VideoFrame) -> Ratio:
    # PyAV gives None where the file does not say; its types do not know that.
    aspect = cast("Fraction | None", getattr(frame, "sample_aspect_ratio", None))
    return (aspect.numerator, aspect.denominator) if aspect else (1, 1)


def _unreadable(why: str) -> StereoSpotError:
    message = f"The film's segment cannot be read: {why}."
    return StereoSpotError(ErrorCode.UNREADABLE_SEGMENT, message)
