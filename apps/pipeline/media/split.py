"""Segment objects: GOP-aligned stream copies, written in one read of the source.

An object holds exactly the packets that its frames need, from the last clean entry
point on, so packets around a boundary go into two objects. The first listed frame is at
t = 0; what must be decoded before it has negative timestamps, which an edit list hides.
"""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import av
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from apps.pipeline.media.index import Index, film_packets
from apps.pipeline.media.plan import Span
from apps.pipeline.media.ranges import (
    Range,
    decoding_times,
    packet_ranges,
    segment_frames,
)
from apps.pipeline.media.tools import media_failure, open_media, video_stream
from contract.errors import ErrorCode, StereoSpotError
from contract.frames import SegmentFrames

MOVIE_TIMESCALE: Final = "720000"
"""Ticks a second of an mp4's edit lists. The usual 1000 shifts sound by up to 0.7 ms;
this is a multiple of the common frame rates and of what sound and streams count in."""

_FORMATS: Final = ("mp4", "mov")
"""In the order of trying. Keys end in .mp4 all the same: readers look inside. Matroska
knows no time before 0, so it cannot hide what must be decoded first."""


def object_format(path: Path) -> str | None:
    """The format that stores the film's packets, if one does."""
    with open_media(path) as container:
        stream = video_stream(container)
        return next((name for name in _FORMATS if _stores(name, stream)), None)


def split(
    path: Path, index: Index, spans: Sequence[Span], directory: Path
) -> Iterator[tuple[int, Path, SegmentFrames]]:
    """Yield number, file and manifest of each segment object as soon as it is complete.

    The caller may upload and delete a file before asking for the next; at any time
    only objects that share packets are unfinished. Raises StereoSpotError.
    """
    name = object_format(path)
    if name is None or index.fault is not None:
        raise ValueError("this film needs a mezzanine before it can be split")
    waiting = deque(_tasks(index, spans, directory))
    writing: deque[_Writer] = deque()
    try:
        with open_media(path) as container:
            stream = video_stream(container)
            for number, packet in enumerate(film_packets(container, stream)):
                while waiting and waiting[0].part.first <= number:
                    writing.append(_Writer(waiting.popleft(), index, name, stream))
                for writer in writing:
                    writer.write(number, packet)
                while writing and writing[0].task.part.last <= number:
                    yield writing.popleft().finish()
                if not waiting and not writing:
                    return
    except av.error.FFmpegError as error:
        raise media_failure(
            error, ErrorCode.UNSUPPORTED_VIDEO, "We could not cut this film"
        ) from error
    finally:
        for writer in writing:
            writer.abandon()
    raise StereoSpotError(
        ErrorCode.TRUNCATED,
        "This film ended earlier than when we first read it: upload it again.",
    )


@dataclass(frozen=True, slots=True)
class _Task:
    number: int
    span: Span
    part: Range
    target: Path


def _tasks(index: Index, spans: Sequence[Span], directory: Path) -> Iterator[_Task]:
    ranges = packet_ranges(index, spans)
    for number, (span, part) in enumerate(zip(spans, ranges, strict=True)):
        yield _Task(number, span, part, directory / f"{number:05d}.mp4")


class _Writer:
    """One segment object being written."""

    def __init__(
        self, task: _Task, index: Index, name: str, template: VideoStream
    ) -> None:
        self.task = task
        self._recovery = index.recovery
        self._base = index.time_base
        self._frames = segment_frames(index, task.span)
        numbers = task.part.numbers
        pts = index.pts[numbers.start : numbers.stop] - self._frames.start
        self._pts, self._dts = pts.tolist(), decoding_times(pts).tolist()
        options = {
            "avoid_negative_ts": "disabled",
            "movie_timescale": MOVIE_TIMESCALE,
        }
        self._output = av.open(str(task.target), "w", format=name, options=options)
        self._stream = self._output.add_stream_from_template(template, opaque=True)
        self._stream.time_base = self._base

    def write(self, number: int, packet: Packet[VideoStream]) -> None:
        position = number - self.task.part.first
        if position >= len(self._pts):
            return
        copy: Packet[Stream] = Packet(bytes(packet))
        copy.stream = self._stream
        copy.time_base = self._base
        copy.pts, copy.dts = self._pts[position], self._dts[position]
        # A reader of mp4 starts at the last keyframe before the edit list's start: no
        # entry point that is not clean at once may look like one, except the first.
        is_clean = position == 0 or self._recovery[number] == 0
        copy.is_keyframe = bool(packet.is_keyframe and is_clean)
        if packet.duration:
            copy.duration = packet.duration
        self._output.mux(copy)

    def finish(self) -> tuple[int, Path, SegmentFrames]:
        self._output.close()
        return self.task.number, self.task.target, self._frames

    def abandon(self) -> None:
        try:
            self._output.close()
        finally:
            self.task.target.unlink(missing_ok=True)


def _stores(name: str, template: VideoStream) -> bool:
    try:
        with av.open(io.BytesIO(), "w", format=name) as output:
            output.add_stream_from_template(template, opaque=True)
            output.start_encoding()
    except (ValueError, av.error.FFmpegError):
        return False
    return True
