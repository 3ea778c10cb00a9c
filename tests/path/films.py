"""Small films for the way through the whole stack, and what came out of it."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from apps.pipeline.media.tools import find_ffmpeg
from inference.scene import render


def small_film(path: Path, *, seconds: float = 3.0) -> Path:
    """The moving scene with sound, small enough to be converted in seconds."""
    render(path, seconds=seconds, fps=24, width=192, height=108)
    return path


def with_words(film: Path, path: Path, words: str) -> Path:
    """The film with one subtitle, from its beginning to its end."""
    text = path.with_suffix(".srt")
    text.write_text(f"1\n00:00:00,000 --> 00:00:01,000\n{words}\n\n")
    inputs = ["-i", str(film), "-i", str(text), "-map", "0", "-map", "1"]
    command = [*inputs, "-c", "copy", "-c:s", "mov_text", str(path)]
    subprocess.run([find_ffmpeg(), "-loglevel", "error", *command], check=True)
    return path


def one_shot(path: Path, *, seconds: int) -> Path:
    """A film without a cut; a worker converts some 30 to 60 frames of it a second."""
    picture = f"testsrc2=size=384x216:rate=24:duration={seconds}"
    command = ["-f", "lavfi", "-i", picture, "-c:v", "libx264", str(path)]
    subprocess.run([find_ffmpeg(), "-loglevel", "error", *command], check=True)
    return path


def sound_only(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=48_000, layout="mono")
        frame = av.AudioFrame(format="fltp", layout="mono", samples=1024)
        frame.sample_rate = 48_000
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    return path


@dataclass(frozen=True)
class Facts:
    times: tuple[Fraction, ...]
    """Of every frame, in seconds from the first."""
    sound: tuple[tuple[str, ...], ...]
    """Digests of the packets of each track."""
    size: tuple[int, int]


def facts(path: Path) -> Facts:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        pts = [frame.pts for frame in container.decode(stream)]
        base = stream.time_base
        size = (stream.width, stream.height)
    assert base is not None
    times = tuple(
        (p - pts[0]) * base for p in pts if p is not None and pts[0] is not None
    )
    return Facts(times, _sound(path), size)


def eyes(path: Path) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Grey pictures of the left and the right eye, which lie side by side."""
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            grey = frame.to_ndarray(format="gray").astype(np.float64)
            left, right = np.split(grey, 2, axis=1)
            yield left, right


def _sound(path: Path) -> tuple[tuple[str, ...], ...]:
    with av.open(str(path)) as container:
        tracks = container.streams.audio
        digests: dict[int, list[str]] = {track.index: [] for track in tracks}
        for packet in container.demux(*tracks) if tracks else ():
            if packet.size:
                digests[packet.stream.index].append(
                    hashlib.sha256(bytes(packet)).hexdigest()
                )
    return tuple(tuple(track) for track in digests.values())
