"""A stereo worker without stereo: both eyes are the source, at the manifest's times."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from contract.frames import Picture, SegmentFrames
from contract.modes import StereoMode

ENCODERS = {"h264": "libx264", "hevc": "libx265"}
PARAMETERS = {
    "h264": {"x264-params": "open-gop=0:threads=2"},
    "hevc": {"x265-params": "open-gop=0:log-level=error:pools=2"},
}


def convert(
    segment: Path,
    frames: SegmentFrames,
    picture: Picture,
    target: Path,
    preset: str = "ultrafast",
) -> Path:
    """Encode the own frames of a segment object side by side; asserts all are there."""
    own = frames.pts[frames.lead : len(frames.pts) - frames.tail]
    seen = []
    with av.open(str(segment)) as given, av.open(str(target), "w", format="mp4") as out:
        stream = _stream(out, picture, frames.seconds_per_tick, preset)
        for frame in given.decode(video=0):
            ticks = _match(frame, frames)
            if ticks is None:
                continue
            seen.append(ticks)
            if ticks in own:
                pair = _pair(frame, picture)
                pair.pts, pair.time_base = ticks - own[0], frames.seconds_per_tick
                out.mux(stream.encode(pair))
        out.mux(stream.encode(None))
    assert tuple(seen) == frames.pts, f"{len(seen)} of {len(frames.pts)} frames decode"
    return target


def _stream(out, picture: Picture, base: Fraction, preset: str):
    stream = out.add_stream(ENCODERS[picture.codec], rate=30)
    stream.width, stream.height = StereoMode.SBS.packed_size(
        picture.eye_width, picture.eye_height
    )
    stream.pix_fmt = picture.pixel_format
    stream.time_base = stream.codec_context.time_base = base
    stream.codec_context.gop_size = picture.gop
    stream.codec_context.sample_aspect_ratio = Fraction(*picture.sample_aspect_ratio)
    stream.options = {"preset": preset, "crf": "20", **PARAMETERS[picture.codec]}
    return stream


def _match(frame: av.VideoFrame, frames: SegmentFrames) -> int | None:
    """The listed timestamp within half a tick of the frame's, if there is one."""
    ticks = Fraction(frame.pts) * frame.time_base / frames.seconds_per_tick
    near = round(ticks)
    return near if abs(ticks - near) < Fraction(1, 2) and near in frames.pts else None


def _pair(frame: av.VideoFrame, picture: Picture) -> av.VideoFrame:
    width, height = frame.width + frame.width % 2, frame.height + frame.height % 2
    even = frame.reformat(width, height, picture.pixel_format).to_ndarray()
    luma, chroma = even[:height], even[height:].reshape(2, height // 2, width // 2)
    turn = -picture.rotation // 90
    planes = [np.rot90(plane, turn) for plane in (luma, *chroma)]
    packed = np.concatenate([np.hstack([plane, plane]).ravel() for plane in planes])
    return av.VideoFrame.from_ndarray(
        packed.reshape(picture.eye_height * 3 // 2, picture.eye_width * 2),
        format=picture.pixel_format,
    )
