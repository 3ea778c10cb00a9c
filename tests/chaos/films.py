"""Tiny films that are cut into exactly as many segments as asked for.

Every segment's length there is a hard cut with a keyframe, and so the boundary.
"""

from __future__ import annotations

import shutil
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

SIZE = (64, 36)


@dataclass(frozen=True)
class Kind:
    name: str
    rate: Fraction
    audio: bool
    reordered: bool = False


KINDS = (
    Kind("plain.mp4", Fraction(25), audio=True),
    Kind("silent.mkv", Fraction(25), audio=False),
    Kind("broadcast.mp4", Fraction(30_000, 1001), audio=True, reordered=True),
)
DAMAGED = ("letter.mp4", "torn.mp4")


def make(folder: Path, segments: int, segment_seconds: float) -> None:
    """One film of each kind, and the damaged ones."""
    for kind in KINDS:
        shot = round(segment_seconds * kind.rate)
        _film(folder / kind.name, kind, segments, shot)
    (folder / "letter.mp4").write_text("This is a letter, not a film.\n" * 100)
    whole = (folder / "plain.mp4").read_bytes()
    (folder / "torn.mp4").write_bytes(whole[: len(whole) * 2 // 3])


def shade(job: str, index: int) -> int:
    """Luma of every pixel of a stereo segment: the grey that tells whose it is."""
    return 40 + zlib.crc32(f"{job}/{index}".encode()) % 160


def copy(source: Path, number: int) -> Path:
    """The same film as another file, so that it is another job."""
    target = source.with_name(f"{number:04d}{source.suffix}")
    shutil.copyfile(source, target)
    return target


def _film(path: Path, kind: Kind, segments: int, shot: int) -> None:
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=kind.rate)
        video.width, video.height = SIZE
        video.pix_fmt = "yuv420p"
        video.gop_size = shot
        video.options = {
            "preset": "ultrafast",
            "bf": "2" if kind.reordered else "0",
            "sc_threshold": "0",
        }
        sound = container.add_stream("aac", rate=48_000) if kind.audio else None
        for number, picture in enumerate(_pictures(segments, shot)):
            frame = av.VideoFrame.from_ndarray(picture, format="gray")
            frame = frame.reformat(format="yuv420p")
            frame.pts, frame.time_base = number, 1 / kind.rate
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if sound is not None:
            seconds = Fraction(segments * shot) / kind.rate
            for samples in _tone(float(seconds)):
                container.mux(sound.encode(samples))
            container.mux(sound.encode(None))


def _pictures(segments: int, shot: int) -> Iterator[NDArray[np.uint8]]:
    random = np.random.default_rng(1)
    for _ in range(segments):
        scene = random.integers(20, 235, (SIZE[1] // 4, SIZE[0] // 4), np.uint8)
        yield from [scene.repeat(4, 0).repeat(4, 1)] * shot


def _tone(seconds: float) -> Iterator[av.AudioFrame]:
    wave = np.sin(np.arange(int(seconds * 48_000)) ** 1.3 / 900).astype(np.float32)
    for at in range(0, len(wave), 1024):
        samples = np.stack([wave[at : at + 1024]] * 2) * 0.2
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="stereo")
        frame.sample_rate, frame.pts = 48_000, at
        yield frame
