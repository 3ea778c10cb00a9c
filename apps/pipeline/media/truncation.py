"""Whether a source stops before the end that it declares.

A download that broke off plays from its start like any other film; the part that is
missing would otherwise be noticed only when all that is there has been converted.
"""

from __future__ import annotations

from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Stream

from apps.pipeline.media.tools import open_media

_TOLERANCE = 2.0
"""Seconds: containers round durations, and a last frame may stand for a while."""
_TOLERATED_SHARE = 0.02
"""Of the duration, which some writers only estimate."""
_DECLARING = {"matroska", "avi", "flv", "asf", "mov"}
"""Formats that write their duration down; of others libavformat measures what is there."""


def is_truncated(container: InputContainer, path: Path) -> bool:
    """Whether packets are missing at the end of the file that the container reads."""
    size = path.stat().st_size
    if any(_end(stream) > size for stream in container.streams.get()):
        return True
    if _declared_riff_size(path) > size:
        return True
    duration = container.duration
    if duration is None or not _DECLARING & set(container.format.name.split(",")):
        return False
    declared = duration / av.time_base
    enough = declared - max(_TOLERANCE, _TOLERATED_SHARE * declared)
    # Some formats cannot seek to their end, so only a read of every packet convicts.
    return _last_second(path, seek_to=duration) < enough and _last_second(path) < enough


def _end(stream: Stream) -> int:
    """Offset of the first byte after a stream's last packet, by the file's index."""
    entries = stream.index_entries
    if len(entries) == 0:
        return 0
    last = entries[-1]
    return int(last.pos) + int(last.size)


def _declared_riff_size(path: Path) -> int:
    """Bytes that an AVI's first, and mostly only, part should have; 0 for others."""
    with path.open("rb") as file:
        head = file.read(12)
    if head[:4] != b"RIFF" or head[8:] != b"AVI ":
        return 0
    return int.from_bytes(head[4:8], "little") + 8


def _last_second(path: Path, seek_to: int | None = None) -> float:
    """Seconds from the film's start to the end of the last packet that can be read."""
    latest = 0.0
    with open_media(path) as container:
        origin = container.start_time or 0
        try:
            if seek_to is not None:
                container.seek(origin + seek_to)
        except av.error.FFmpegError:
            return latest
        for packet in container.demux():
            if packet.pts is None:
                continue
            end = (packet.pts + (packet.duration or 0)) * packet.time_base
            latest = max(latest, float(end) - origin / av.time_base)
    return latest
