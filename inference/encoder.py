"""Pictures → a file: each at its frame's own time, alike in every segment of a film."""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
from av import Packet
from av.container import OutputContainer
from av.video.stream import VideoStream
from torch import Tensor

from contract.errors import ErrorCode, StereoSpotError
from contract.frames import Picture, SegmentFrames
from contract.modes import StereoMode
from inference.colour import Colours, sixteen_bits

FRAME_PACKING = {
    StereoMode.SBS: 3,
    StereoMode.HALF_SBS: 3,
    StereoMode.TAB: 4,
    StereoMode.HALF_TAB: 4,
}
"""frame_packing_arrangement_type of H.264's SEI (ITU-T H.264, D.2.26)."""

SHORT = 32
"""Packets that are held back: more than any of our encoders delays its frames."""


@contextmanager
def writer(
    target: Path, frames: SegmentFrames, picture: Picture, mode: StereoMode | None
) -> Iterator[Callable[[Tensor], None]]:
    """Encode a segment's own pictures [1, 3, H, W] in [0, 1], one call each, in order.

    `mode` says how both eyes lie in them; None: they are of one eye. The file has its name only when it is whole; until then it is `target`.partial, and
    gone after an error. Raises DISK_FULL.
    """
    unfinished = target.with_name(target.name + ".partial")
    try:
        with _container(unfinished, frames) as container:
            stream = _stream(container, frames, picture, mode)
            encoder = _Encoder(container, stream, frames, picture)
            yield encoder.write
            encoder.finish()
        unfinished.replace(target)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        message = (
            f"The disk of {target.parent} is full: whoever runs StereoSpot must free "
            "space there, then the job can be retried."
        )
        raise StereoSpotError(ErrorCode.DISK_FULL, message) from error
    finally:
        unfinished.unlink(missing_ok=True)


def _container(path: Path, frames: SegmentFrames) -> OutputContainer:
    # The track's clock must count the source's ticks whole; players dislike coarse ones.
    ticks = frames.time_base[1]
    clock = str(ticks if ticks >= 10_000 else ticks * 1000)
    options = {"video_track_timescale": clock, "movie_timescale": clock}
    return av.open(str(path), "w", format="mp4", options=options)


class _Encoder:
    def __init__(
        self,
        container: OutputContainer,
        stream: VideoStream,
        frames: SegmentFrames,
        picture: Picture,
    ) -> None:
        self._container = container
        self._stream = stream
        self._colours = Colours(picture)
        self._core = frames.core
        self._end = _end(frames)
        self._due = iter(self._core)
        self._packets: deque[Packet[VideoStream]] = deque()
        self._begin: int | None = None

    def write(self, picture: Tensor) -> None:
        frame = self._colours.frame(sixteen_bits(picture).numpy())
        frame.pts = next(self._due)
        frame.time_base = self._stream.codec_context.time_base
        self._packets.extend(self._stream.encode(frame))
        while len(self._packets) > SHORT:
            self._mux(self._packets.popleft())

    def finish(self) -> None:
        if next(self._due, None) is not None:
            message = "A segment of the film ends early."
            raise StereoSpotError(ErrorCode.UNREADABLE_SEGMENT, message)
        self._packets.extend(self._stream.encode(None))
        if len(self._core) <= SHORT:
            _time_decoding(self._packets, self._core)
        while len(self._packets) > 1:
            self._mux(self._packets.popleft())
        # The track lasts as long as its frames are shown: the last packet makes it so.
        last = self._packets.popleft()
        if last.dts is not None:
            begin = last.dts if self._begin is None else self._begin
            last.duration = self._end - (last.dts - begin)
        self._mux(last)

    def _mux(self, packet: Packet[VideoStream]) -> None:
        if self._begin is None:
            self._begin = packet.dts
        self._container.mux(packet)


def _end(frames: SegmentFrames) -> int:
    """When the last own frame has been shown, in ticks from the first."""
    if frames.tail:
        return frames.pts[len(frames.pts) - frames.tail] - frames.pts[frames.lead]
    # Nothing follows the last frame of the film: it stays as long as the one before.
    before, last = (-1, *frames.core)[-2:]
    return 2 * last - before


def _time_decoding(packets: Iterable[Packet[VideoStream]], core: Sequence[int]) -> None:
    """Set when each packet is decoded: as late as the order of display allows.

    x265 leaves these times unset, at random values, when the film is over before the
    first of its frames has come out.
    """
    order = [core.index(packet.pts) for packet in packets if packet.pts is not None]
    delay = max(number - rank for number, rank in enumerate(order))
    times = [*range(core[0] - delay, core[0]), *core]
    for packet, time in zip(packets, times, strict=False):
        packet.dts = time


def _stream(
    container: OutputContainer,
    frames: SegmentFrames,
    picture: Picture,
    mode: StereoMode | None,
) -> VideoStream:
    tick = frames.seconds_per_tick
    rate = min(Fraction(*picture.frame_rate), 1 / tick)
    options = _options(picture, mode)
    stream = (
        container.add_stream("libx264", rate=rate, options=options)
        if picture.codec == "h264"
        else container.add_stream("libx265", rate=rate, options=options)
    )
    context = stream.codec_context
    eye = picture.eye_width, picture.eye_height
    context.width, context.height = mode.packed_size(*eye) if mode else eye
    context.pix_fmt = picture.pixel_format
    context.time_base = stream.time_base = tick
    context.gop_size = picture.gop
    context.sample_aspect_ratio = Fraction(*picture.sample_aspect_ratio)
    context.color_range = picture.color_range
    context.color_primaries = picture.color_primaries
    context.color_trc = picture.color_trc
    context.colorspace = picture.color_space
    if picture.codec == "hevc":
        context.codec_tag = "hvc1"  # what Apple's players ask for
    return stream


def _options(picture: Picture, mode: StereoMode | None) -> dict[str, str]:
    own = {"open-gop": "0"}
    if picture.codec == "h264":
        if mode is not None and mode in FRAME_PACKING:
            own["frame-packing"] = str(FRAME_PACKING[mode])
    else:
        own["log-level"] = "none"
        if picture.hdr is not None:
            own["hdr10"] = "1"
            if picture.hdr.master_display:
                own["master-display"] = picture.hdr.master_display
            if picture.hdr.max_cll:
                own["max-cll"] = picture.hdr.max_cll
    parameters = ":".join(f"{name}={value}" for name, value in own.items())
    key = "x264-params" if picture.codec == "h264" else "x265-params"
    return {"preset": picture.preset, "crf": f"{picture.crf:g}", key: parameters}
