"""What sound tracks hold, told packet by packet, so that a copy can be held against it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard, Stream

from apps.pipeline.media.containers import codec_name, sound_streams
from apps.pipeline.media.tools import open_media

_ADTS_HEADER: Final = 7
"""Bytes before each AAC frame of a transport stream; two more with a checksum."""


@dataclass(frozen=True, slots=True)
class SoundTrack:
    codec: str
    start: Fraction | None
    """Seconds; None where the track is empty or has no timestamps."""
    packets: int
    size: int
    """Bytes."""
    digest: str
    """MD5 of all packets after one another."""

    @property
    def content(self) -> tuple[int, str]:
        """All that a copy must share.

        Not the name, as MP2 reads back from mp4 as MP3; not the number of packets, as
        containers cut PCM and some speech codecs into packets as they like.
        """
        return self.size, self.digest


def sound_tracks(path: Path) -> list[SoundTrack]:
    """Read every sound packet of a file."""
    with open_media(path) as container:
        sound = Sound(container)
        for stream in container.streams.get():
            if stream not in sound.streams:
                stream.discard = Discard.all
        if sound.streams:
            for packet in container.demux(*sound.streams):
                sound.add(packet)
        return sound.tracks


class Sound:
    """The sound tracks of a file, counted while somebody reads its packets."""

    def __init__(self, container: InputContainer) -> None:
        self.streams: list[Stream] = list(sound_streams(container))
        self._counts = {stream.index: _Count(stream) for stream in self.streams}

    def add(self, packet: Packet[Stream]) -> None:
        if packet.size:
            self._counts[packet.stream_index].add(packet)

    @property
    def tracks(self) -> list[SoundTrack]:
        return [count.track for count in self._counts.values()]


class _Count:
    def __init__(self, stream: Stream) -> None:
        self._codec = codec_name(stream)
        # Elsewhere, what ADTS repeats in each packet stands once in the extradata.
        self._is_adts = self._codec == "aac" and not stream.codec_context.extradata
        self._start: Fraction | None = None
        self._packets = self._size = 0
        self._md5 = hashlib.md5(usedforsecurity=False)

    def add(self, packet: Packet[Stream]) -> None:
        data = bytes(packet)
        if self._is_adts and data[:1] == b"\xff":
            has_checksum = not data[1] & 1
            data = data[_ADTS_HEADER + 2 * has_checksum :]
        if self._start is None and packet.pts is not None:
            self._start = packet.pts * packet.time_base
        self._packets += 1
        self._size += len(data)
        self._md5.update(data)

    @property
    def track(self) -> SoundTrack:
        return SoundTrack(
            codec=self._codec,
            start=self._start,
            packets=self._packets,
            size=self._size,
            digest=self._md5.hexdigest(),
        )
