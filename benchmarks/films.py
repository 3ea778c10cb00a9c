"""Films to measure with, made on the spot."""

from __future__ import annotations

import subprocess
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from apps.pipeline.media.tools import find_ffmpeg

RATE = 24


def ffmpeg(*arguments: str | Path) -> None:
    command = [find_ffmpeg(), "-nostdin", "-y", "-loglevel", "error"]
    subprocess.run([*command, *map(str, arguments)], check=True)


def slides(path: Path, segments: int, size: tuple[int, int] = (64, 36)) -> Path:
    """Two frames a second, and every second another picture: a segment of its own each,
    where `SEGMENT_SECONDS` is 1."""
    chance = np.random.default_rng(1)
    width, height = size
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=2)
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        video.gop_size = 2
        video.options = {"preset": "ultrafast", "bf": "0", "sc_threshold": "0"}
        for number in range(2 * segments):
            if number % 2 == 0:
                grey = chance.integers(20, 235, (height // 4, width // 4), np.uint8)
            picture = grey.repeat(4, 0).repeat(4, 1)
            frame = av.VideoFrame.from_ndarray(picture, format="gray")
            frame = frame.reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 2)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    return path


def two_shots(path: Path, *, seconds: int, shot: int, size: str) -> Path:
    """A film with sound in which two shots take turns, each `shot` seconds long.

    They are encoded once and repeated: every shot begins with a keyframe and is closed.
    """
    listing = path.with_suffix(".txt")
    shots = [path.with_name(f"{path.stem}-{name}.mp4") for name in ("one", "other")]
    for each, look in zip(shots, ("null", "negate"), strict=True):
        picture = f"testsrc2=size={size}:rate={RATE}:duration={shot}"
        encoding = ("-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p")
        # Grain: without it ten minutes would be a few megabytes.
        grain = f"{look},noise=alls=4:allf=t"
        ffmpeg("-f", "lavfi", "-i", picture, "-vf", grain, *encoding, each)
    turns = [shots[number % 2] for number in range(seconds // shot)]
    listing.write_text("".join(f"file '{each}'\n" for each in turns))
    tone = f"sine=frequency=220:sample_rate=48000:duration={seconds}"
    ffmpeg(
        *("-f", "concat", "-safe", "0", "-i", listing, "-f", "lavfi", "-i", tone),
        *("-map", "0:v", "-map", "1:a", "-c:v", "copy", "-c:a", "aac", path),
    )
    for each in (listing, *shots):
        each.unlink()
    return path
