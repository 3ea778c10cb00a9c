"""The final: the stereo segments' packets at the source's times, the source's all else.

libavformat through PyAV, not the ffmpeg command with a list of segments: it sets every
timestamp itself in ticks of the source instead of adding up rounded durations, shows
the same result on every machine (ffmpeg 5.1 drifts without a list of durations, 7.0
shifts Opus and crashes on transport streams), and writes the layout's metadata in the
same pass. Two passes over the segments, one over the source, nothing held but the
timestamps and the order of packets.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from fractions import Fraction
from math import lcm
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

import av
import numpy as np
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Discard, Stream
from av.video.stream import VideoStream

from apps.pipeline.media.containers import (
    MUXERS,
    as_extension,
    companions,
    copy_stream,
    covers,
)
from apps.pipeline.media.index import UNDATED
from apps.pipeline.media.matroska import stretch_display
from apps.pipeline.media.sound import Sound, SoundTrack
from apps.pipeline.media.split import MOVIE_TIMESCALE
from apps.pipeline.media.stereo_metadata import (
    LAYOUTS,
    TAG,
    matroska_aspect,
    stereo_template,
)
from apps.pipeline.media.timeline import (
    Timeline,
    packets_of,
    ranks,
    timeline,
)
from apps.pipeline.media.tools import media_failure, open_media, video_stream
from contract.errors import ErrorCode
from contract.frames import SegmentFrames
from contract.modes import StereoMode

_FILE_TAGS: Final = {
    "major_brand",
    "minor_version",
    "compatible_brands",
    "encoder",
    # A timecode track needs a frame rate that a film with its own clock may not have.
    "timecode",
}
"""Tags about the source's file, which are not true of the final."""
_VIDEO_TAGS: Final = {"title", "language", "handler_name", "creation_time"}
"""Tags about the film; the others describe an encoding that is gone."""


def join(
    source: Path,
    frames: Sequence[SegmentFrames],
    segments: Sequence[Path],
    target: Path,
    mode: StereoMode,
) -> list[SoundTrack]:
    """Write the final; its container is told by the target's extension.

    `segments` are the stereo segments in order, each with just the own frames of the
    manifest at the same place in `frames`. The target appears when it is complete.
    Back comes what sound the source was found to have while it was copied, to hold the
    final against. Raises StereoSpotError.
    """
    line = timeline(frames, segments)
    unfinished = target.with_name(f"{target.name}.unfinished")
    try:
        with (
            open_media(source) as container,
            stereo_template(segments[0], mode) as template,
        ):
            joint = _Joint(container, line, unfinished, target.suffix, mode)
            joint.write(template, segments)
        unfinished.replace(target)
        return joint.sound.tracks
    except av.error.FFmpegError as error:
        raise media_failure(
            error, ErrorCode.OUTPUT_INVALID, "The final could not be written"
        ) from error
    finally:
        unfinished.unlink(missing_ok=True)


class _Joint:
    """One final being written."""

    def __init__(
        self,
        source: InputContainer,
        line: Timeline,
        path: Path,
        suffix: str,
        mode: StereoMode,
    ) -> None:
        self.sound = Sound(source)
        self._source = source
        self._line = line
        self._mode = mode
        self._path = path
        self._extension = as_extension(suffix.removeprefix("."))
        self._muxer = MUXERS[self._extension]
        # Of a second: all streams count whole ones, so that they compare exactly.
        bases = [stream.time_base or Fraction(1) for stream in source.streams]
        self._unit = lcm(*(base.denominator for base in (line.time_base, *bases)))
        # A transport stream may begin at any time; the final begins at 0.
        self._origin = Fraction(max(0, source.start_time or 0), av.time_base)

    def write(self, template: VideoStream, segments: Sequence[Path]) -> None:
        options = {"strict": "unofficial"}  # without it, no st3d is written
        if self._muxer != "matroska":
            options |= {"movflags": "+faststart", "movie_timescale": MOVIE_TIMESCALE}
        with open_media(segments[0]) as container:
            pixel = video_stream(container).sample_aspect_ratio or Fraction(1)
        with av.open(
            str(self._path), "w", format=self._muxer, options=options
        ) as output:
            video = self._add_video(output, template)
            # What carried the stereo metadata may have lost the shape of pixels.
            video.codec_context.sample_aspect_ratio = pixel
            others = self._add_others(output)
            self._describe(output)
            for _, packet in heapq.merge(
                self._video_packets(video, segments),
                self._other_packets(others),
                key=itemgetter(0),
            ):
                output.mux(packet)
        if self._muxer == "matroska":
            stretch_display(self._path, matroska_aspect(self._mode, pixel))

    def _add_video(self, output: OutputContainer, template: VideoStream) -> VideoStream:
        stream = output.add_stream_from_template(template, opaque=True)
        stream.time_base = self._line.time_base
        if self._muxer == "matroska":
            stream.metadata[TAG] = LAYOUTS[self._mode]
        elif stream.codec_context.name == "hevc":
            # libavformat's own choice, hev1, does not play on Apple's devices.
            stream.codec_context.codec_tag = "hvc1"
        original = video_stream(self._source)
        stream.disposition = original.disposition
        for key, value in original.metadata.items():
            if key.lower() in _VIDEO_TAGS:
                stream.metadata[key] = value
        return stream

    def _add_others(self, output: OutputContainer) -> dict[int, Stream]:
        """Streams of the final by the numbers of the source's that they copy."""
        wanted = companions(self._source, self._extension)
        if self._muxer != "matroska":
            # Matroska keeps covers as attachments, which is more than a copy.
            wanted += covers(self._source)
        copies = {}
        for original in wanted:
            copies[original.index] = copy_stream(output, original)
            copies[original.index].metadata.pop("timecode", None)
        return copies

    def _describe(self, output: OutputContainer) -> None:
        for key, value in self._source.metadata.items():
            if key.lower() not in _FILE_TAGS:
                output.metadata[key] = value
        chapters = self._source.chapters()
        for chapter in chapters:
            shift = round(self._origin / (chapter["time_base"] or 1))
            chapter["start"] -= shift
            chapter["end"] -= shift
        if chapters:
            output.set_chapters(chapters)

    def _video_packets(
        self,
        stream: VideoStream,
        segments: Sequence[Path],
    ) -> Iterator[tuple[int, Packet[Any]]]:
        line = self._line
        shift = round(self._origin / line.time_base)
        tick = int(line.time_base * self._unit)
        first = 0
        for order, path in zip(line.order, segments, strict=True):
            seen = []
            with open_media(path, packets_only=True) as container:
                packets = packets_of(video_stream(container))
                for at, (place, packet) in enumerate(zip(order, packets, strict=False)):
                    seen.append(UNDATED if packet.pts is None else packet.pts)
                    frame = first + int(place)
                    packet.stream = stream
                    packet.time_base = line.time_base
                    packet.pts = int(line.pts[frame]) - shift
                    dts = line.decoded_at(first + at) - shift
                    packet.dts = dts
                    packet.duration = line.shown_for(frame)
                    yield dts * tick, packet
                is_longer = next(packets, None) is not None
            if is_longer or not np.array_equal(ranks(np.array(seen, np.int64)), order):
                raise RuntimeError(f"{path} changed while it was being joined")
            first += len(order)

    def _other_packets(
        self, copies: dict[int, Stream]
    ) -> Iterator[tuple[int, Packet[Any]]]:
        for stream in self._source.streams.get():
            if stream.index not in copies:
                stream.discard = Discard.all
        kept = [self._source.streams[number] for number in copies]
        kept = [stream for stream in kept if stream.type != "attachment"]
        if not kept:
            return
        # Matroska takes two subtitles at one time, mp4 takes no two packets.
        step = 0 if self._muxer == "matroska" else 1
        clocks = {stream.index: _Clock(stream, self._origin, step) for stream in kept}
        ticks = {each.index: int((each.time_base or 1) * self._unit) for each in kept}
        heard = {stream.index for stream in self.sound.streams}
        for packet in self._source.demux(*kept):
            # Flushing packets are empty too, but have no time.
            if packet.size or packet.pts is not None:
                number = packet.stream_index
                if number in heard:
                    self.sound.add(packet)
                dts = clocks[number].set(packet)
                packet.stream = copies[number]
                yield dts * ticks[number], packet


class _Clock:
    """Gives the packets of one stream rising timestamps that count from the origin."""

    def __init__(self, stream: Stream, origin: Fraction, least_step: int) -> None:
        self._shift = round(origin / (stream.time_base or 1))
        self._least_step = least_step
        self._last: tuple[int, int] | None = None

    def set(self, packet: Packet[Stream]) -> int:
        """When the packet is decoded, in ticks of its stream."""
        dts = packet.dts if packet.dts is not None else packet.pts
        dts = self._expected() if dts is None else dts - self._shift
        if self._last is not None:
            # Muxers take no step back in time, which some sources have.
            dts = max(dts, self._last[0] + self._least_step)
        pts = dts if packet.pts is None else max(packet.pts - self._shift, dts)
        packet.dts, packet.pts = dts, pts
        self._last = dts, packet.duration or 0
        return dts

    def _expected(self) -> int:
        return 0 if self._last is None else sum(self._last)
