"""Small films to try things on, and what they hold."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from av import VideoFrame

from contract.frames import Picture, SegmentFrames
from contract.invocation import Conversion
from contract.modes import StereoMode, StereoSettings
from inference.encoder import writer
from inference.frames import read_frames

TICK = Fraction(1, 90_000)
VARIABLE = (
    0,
    3003,
    6006,
    12012,
    12013,
    15015,
    21021,
    24024,
    27027,
    33033,
    36036,
    39039,
)


def film(
    path: Path,
    pts: tuple[int, ...],
    *,
    tick: Fraction = TICK,
    size: tuple[int, int] = (64, 48),
    pixel_format: str = "yuv420p",
    interlaced: bool = False,
    **options: str,
) -> Path:
    """A film whose frame number n is recognisable: see `number_of`."""
    form = {".mp4": "mp4", ".mkv": "matroska"}[path.suffix]
    clock = {"video_track_timescale": str(tick.denominator)} if form == "mp4" else {}
    with av.open(str(path), "w", format=form, options=clock) as container:
        stream = container.add_stream(
            "libx264", rate=30, options={"crf": "10", **options}
        )
        stream.width, stream.height = size
        stream.pix_fmt = pixel_format
        stream.time_base = stream.codec_context.time_base = tick
        if interlaced:
            stream.codec_context.flags |= 1 << 18  # AV_CODEC_FLAG_INTERLACED_DCT
        for number, at in enumerate(pts):
            frame = VideoFrame.from_ndarray(drawing(number, *size), format="rgb24")
            frame = frame.reformat(format=pixel_format)
            frame.pts, frame.time_base = at, tick
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)
    return path


def drawing(number: int, width: int, height: int) -> np.ndarray:
    """Its number in grey on the upper half, a scene that drifts to the left below."""
    x, y = np.meshgrid(np.arange(width) + 2 * number, np.arange(height))
    waves = 110 + 60 * np.sin(x / 5.0) + 40 * np.sin(y / 4.0 + x / 11.0)
    picture = np.repeat(waves[..., None], 3, axis=2)
    picture[: height // 2] = 20 + 16 * (number % 14)
    return picture.clip(0, 255).astype(np.uint8)


def number_of(grey: float) -> int:
    """The number of a frame (of the first 14) from the grey of its upper half in [0, 1]."""
    return round((grey * 255 - 20) / 16)


def manifest(
    pts: tuple[int, ...], *, tick: Fraction = TICK, lead: int = 0, tail: int = 0
) -> SegmentFrames:
    return SegmentFrames(
        time_base=(tick.numerator, tick.denominator),
        start=0,
        pts=tuple(at - pts[0] for at in pts),
        lead=lead,
        tail=tail,
    )


def conversion(
    frames: SegmentFrames,
    *,
    mode: StereoMode = StereoMode.SBS,
    size: tuple[int, int] = (64, 48),
    **picture: Any,
) -> Conversion:
    return Conversion(
        mode=mode,
        settings=StereoSettings(),
        frames=frames,
        picture=Picture.model_validate(
            {
                "eye_width": size[0],
                "eye_height": size[1],
                "preset": "ultrafast",
                "crf": 8,
            }
            | picture
        ),
    )


def shown(path: Path) -> list[Fraction]:
    """Timestamps of a film's frames in seconds, as decoded."""
    with av.open(str(path)) as container:
        return [
            frame.pts * frame.time_base
            for frame in container.decode(video=0)
            if frame.pts is not None and frame.time_base is not None
        ]


def read(path, frames, **picture):
    return list(read_frames(path, frames, conversion(frames, **picture).picture))


def encode(path, asked, pictures=None):
    count = len(asked.frames.core)
    width, height = asked.mode.packed_size(
        asked.picture.eye_width, asked.picture.eye_height
    )
    dice = torch.Generator().manual_seed(1)
    plain = torch.rand(1, 3, 1, 1, generator=dice).expand(1, 3, height, width)
    with writer(path, asked.frames, asked.picture, asked.mode) as write:
        for number in range(count):
            write(plain if pictures is None else pictures[number])
    return path


def headers(path):
    with av.open(str(path)) as container:
        return container.streams.video[0].codec_context.extradata


def first_frame(path):
    with av.open(str(path)) as container:
        return next(container.decode(video=0))
