"""What a film consists of, packet by packet, read without decoding it.

About 25 bytes a packet, so that hours of film fit in some megabytes. Only the first few
packets are decoded, to see that the packets' timestamps are those of the frames.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Final

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream
from numpy.typing import NDArray

from apps.pipeline.media.containers import codec_name
from apps.pipeline.media.recovery import length_size, recovery_frame_count
from apps.pipeline.media.tools import decode, open_media, video_stream
from contract.errors import ErrorCode, StereoSpotError

UNDATED: Final = np.iinfo(np.int64).min
"""Timestamp of a packet that has none."""
KEYFRAME: Final = 1
DISCARD: Final = 2
_CHECKED = 48
"""Packets to decode: longer than any reordering, and a second or two to decode."""


@dataclass(frozen=True, slots=True)
class Index:
    """Packets of the film in decoding order, and its frames in display order."""

    time_base: Fraction
    pts: NDArray[np.int64]
    """In ticks of the time base; UNDATED where there is none."""
    dts: NDArray[np.int64]
    size: NDArray[np.int32]
    """In bytes."""
    flags: NDArray[np.uint8]
    """KEYFRAME, DISCARD: the latter is decoded, but an edit list hides it."""
    recovery: NDArray[np.int16]
    """Frames from a keyframe until the picture is clean; 0 is at once."""
    frames: NDArray[np.int64]
    """Timestamps of the displayed frames, rising."""
    fault: str | None = None
    """Why packets of this film cannot be copied; then it needs a mezzanine."""

    @property
    def frame_count(self) -> int:
        return len(self.frames)

    @property
    def keyframes(self) -> NDArray[np.intp]:
        """Numbers of the packets marked as keyframes."""
        return np.flatnonzero(self.flags & KEYFRAME)

    def save(self, path: Path) -> None:
        """Write the index to a file, for another process."""
        fields = {name: getattr(self, name) for name in _ARRAYS}
        base = [self.time_base.numerator, self.time_base.denominator]
        with path.open("wb") as file:
            np.savez(file, time_base=base, fault=self.fault or "", **fields)

    @classmethod
    def load(cls, path: Path) -> Index:
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as stored:
            base = Fraction(*(int(number) for number in stored["time_base"]))
            fields = {name: stored[name] for name in _ARRAYS}
            return cls(time_base=base, fault=str(stored["fault"]) or None, **fields)


_ARRAYS = ("pts", "dts", "size", "flags", "recovery", "frames")


def build_index(path: Path) -> Index:
    """Read every packet of the film once; raises StereoSpotError if that fails."""
    try:
        with open_media(path) as container:
            index = _read(container)
        _refuse_a_clock_that_restarts(index)
        return _compared_with_decoder(path, index)
    except av.error.FFmpegError as error:
        raise StereoSpotError(
            ErrorCode.UNSUPPORTED_VIDEO,
            "We cannot read this film to its end: export it again and upload that.",
        ) from error


def film_packets(
    container: InputContainer, stream: VideoStream
) -> Iterator[Packet[VideoStream]]:
    """The packets that an index counts, in the same order."""
    for other in container.streams.get():
        if other is not stream:
            other.discard = av.stream.Discard.all
    return (packet for packet in container.demux(stream) if packet.size)


def _read(container: InputContainer) -> Index:
    stream = video_stream(container)
    pts, dts, sizes = array("q"), array("q"), array("i")
    flags, recoveries = array("B"), array("h")
    prefix = length_size(stream.codec_context.extradata)
    is_h264 = codec_name(stream) == "h264"
    for packet in film_packets(container, stream):
        pts.append(UNDATED if packet.pts is None else packet.pts)
        dts.append(UNDATED if packet.dts is None else packet.dts)
        sizes.append(packet.size)
        flags.append(KEYFRAME * packet.is_keyframe + DISCARD * packet.is_discard)
        recovery = 0
        if is_h264 and packet.is_keyframe:
            recovery = recovery_frame_count(bytes(packet), prefix)
        recoveries.append(min(recovery, np.iinfo(np.int16).max))
    if not pts:
        raise StereoSpotError(
            ErrorCode.UNSUPPORTED_VIDEO,
            "This film has no frames: export it again and upload that.",
        )
    flag_array = np.array(flags, np.uint8)
    dates = np.array(pts, np.int64)
    shown = dates[((flag_array & DISCARD) == 0) & (dates != UNDATED)]
    return Index(
        time_base=stream.time_base or Fraction(1, 1000),
        pts=dates,
        dts=np.array(dts, np.int64),
        size=np.array(sizes, np.int32),
        flags=flag_array,
        recovery=np.array(recoveries, np.int16),
        frames=np.unique(shown),
        fault=_fault(dates, flag_array, shown),
    )


def _fault(
    pts: NDArray[np.int64], flags: NDArray[np.uint8], shown: NDArray[np.int64]
) -> str | None:
    if (pts == UNDATED).any():
        return "some packets have no timestamp"
    if len(np.unique(shown)) != len(shown):
        return "some frames share a timestamp"
    if not (flags & KEYFRAME).any():
        return "no packet is marked as a keyframe"
    if len(shown) == 0:
        return "an edit list hides every frame"
    return None


def _refuse_a_clock_that_restarts(index: Index) -> None:
    """Recordings put end to end: their times say nothing of when frames are shown."""
    dated = index.dts[index.dts != UNDATED]
    if (np.diff(dated) < -1 / index.time_base).any():
        raise StereoSpotError(
            ErrorCode.UNSUPPORTED_VIDEO,
            "The clock of this recording starts again in the middle: "
            "export it as one film and upload that.",
        )


def _compared_with_decoder(path: Path, index: Index) -> Index:
    """The index without frames that cannot be decoded because the film begins later.

    A recording or a cut may begin inside a group of pictures: packets that refer to
    what came before are there, but never become frames.
    """
    if index.fault is not None:
        return index
    shown, fed = _decoded_beginning(path)
    if shown == sorted(fed):
        return index
    # Also where frames come without a date, or not in the order of their dates.
    leading = {pts for pts in fed if shown and shown[0] is not None and pts < shown[0]}
    if not shown or shown != sorted(fed - leading):
        return _with(index, index.frames, "packets and frames do not match one to one")
    return _with(index, np.setdiff1d(index.frames, sorted(leading)), None)


def _decoded_beginning(path: Path) -> tuple[list[int | None], set[int]]:
    """Timestamps of frames out of the decoder, and of displayed packets fed to it."""
    fed: set[int] = set()
    hidden: set[int] = set()
    with open_media(path) as container:
        stream = video_stream(container)
        stream.thread_type = "AUTO"
        packets = list(islice(film_packets(container, stream), _CHECKED))
        for packet in packets:
            if packet.pts is not None:
                (hidden if packet.is_discard else fed).add(packet.pts)
        shown = [frame.pts for frame in decode(stream, packets)]
    return [pts for pts in shown if pts not in hidden], fed


def _with(index: Index, frames: NDArray[np.int64], fault: str | None) -> Index:
    return Index(
        index.time_base,
        index.pts,
        index.dts,
        index.size,
        index.flags,
        index.recovery,
        frames,
        fault,
    )
