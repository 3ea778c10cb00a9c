"""When each frame of the final is shown and decoded: one line through all segments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.packet import Packet
from av.video.stream import VideoStream
from numpy.typing import NDArray

from apps.pipeline.media.tools import open_media, video_stream
from contract.errors import ErrorCode, StereoSpotError
from contract.frames import SegmentFrames


@dataclass(frozen=True, slots=True)
class Timeline:
    """The frames of the film in display order, in ticks of the source."""

    time_base: Fraction
    pts: NDArray[np.int64]
    order: tuple[NDArray[np.int32], ...]
    """Of each segment: the frame, counted in the segment, of each packet as decoded."""
    delay: int
    """Frames by which decoding runs ahead: the deepest reordering in any segment."""

    def decoded_at(self, position: int) -> int:
        """Decoding timestamp of a packet by its position in decoding order."""
        if position >= self.delay:
            return int(self.pts[position - self.delay])
        return int(self.pts[0]) - (self.delay - position) * self._step

    def shown_for(self, frame: int) -> int:
        """Ticks until the next frame; the last is shown for as long as the usual one."""
        if frame + 1 < len(self.pts):
            return int(self.pts[frame + 1] - self.pts[frame])
        return self._usual

    @property
    def _step(self) -> int:
        return max(1, int(np.diff(self.pts[: self.delay + 2]).min(initial=self._usual)))

    @property
    def _usual(self) -> int:
        steps = np.diff(self.pts[-32:])
        # Of a film of one frame nothing is known: a 25th of a second, as for film.
        return int(np.median(steps)) if len(steps) else round(1 / (25 * self.time_base))


def core_times(frames: Sequence[SegmentFrames]) -> NDArray[np.int64]:
    """Source timestamps of every segment's own frames, in order; raises ValueError."""
    if len({segment.time_base for segment in frames}) != 1:
        raise ValueError("segments of one film share a time base")
    times = np.concatenate(
        [segment.core_start + np.array(segment.core, np.int64) for segment in frames]
    )
    if (np.diff(times) <= 0).any():
        raise ValueError("segments follow each other in time")
    return times


def timeline(frames: Sequence[SegmentFrames], segments: Sequence[Path]) -> Timeline:
    """Look through all segments; raises StereoSpotError where they do not fit together.

    A reader of the final gets one set of codec parameters for the whole film, so a
    segment encoded with other ones would be garbage to it.
    """
    if not frames or len(frames) != len(segments):
        raise ValueError("there is one segment for each manifest")
    pts = core_times(frames)
    delay = 0
    orders = []
    parameters: set[tuple[str, int, int, bytes]] = set()
    for number, (own, path) in enumerate(zip(frames, segments, strict=True)):
        try:
            with open_media(path, packets_only=True) as container:
                stream = video_stream(container)
                context = stream.codec_context
                parameters.add(
                    (
                        context.name,
                        context.width,
                        context.height,
                        context.extradata or b"",
                    )
                )
                order = display_order(own, stream)
        except (av.error.FFmpegError, ValueError) as error:
            raise invalid(f"segment {number} cannot be read: {error}") from error
        if len(parameters) > 1:
            raise invalid(f"segment {number} was encoded with other parameters")
        if order is None:
            raise invalid(f"segment {number} does not have the frames of its manifest")
        delay = max(delay, int((np.arange(len(order)) - order).max()))
        orders.append(order)
    return Timeline(frames[0].seconds_per_tick, pts, tuple(orders), delay)


def display_order(
    frames: SegmentFrames, stream: VideoStream
) -> NDArray[np.int32] | None:
    """Frame numbers of a segment's packets in decoding order.

    None unless packets and the manifest's own frames match one to one, each within half
    a tick of the source, counted from the first.
    """
    base = stream.time_base
    pts = np.array(
        [packet.pts for packet in packets_of(stream) if packet.pts is not None],
        np.int64,
    )
    core = np.array(frames.core, np.int64)
    if base is None or len(pts) != len(core):
        return None
    order = ranks(pts)
    # Both sides in ticks of neither: whole numbers compare exactly.
    tick = frames.seconds_per_tick
    scale = base.denominator * tick.denominator
    shown = (np.sort(pts) - pts.min()) * int(base * scale)
    wanted = core * int(tick * scale)
    if (2 * np.abs(shown - wanted) >= int(tick * scale)).any():
        return None
    return order


def ranks(pts: NDArray[np.int64]) -> NDArray[np.int32]:
    """The place of each of these timestamps among all of them, once they are sorted."""
    return np.argsort(np.argsort(pts, kind="stable")).astype(np.int32)


def packets_of(stream: VideoStream) -> Iterator[Packet[Any]]:
    """The packets of a segment's video, in decoding order."""
    container = stream.container
    if not isinstance(container, av.container.InputContainer):
        raise TypeError("only a file that is being read has packets")
    return (packet for packet in container.demux(stream) if packet.size)


def invalid(reason: str) -> StereoSpotError:
    return StereoSpotError(
        ErrorCode.OUTPUT_INVALID, f"The stereo film did not come out right: {reason}."
    )
