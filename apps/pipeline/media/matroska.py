"""The one thing about Matroska that PyAV cannot set: how large a picture is shown.

libavformat takes it from a field that PyAV does not reach, so the number is changed in
the finished header. It keeps its length; nothing else in the file moves.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Final, NamedTuple

_WAY: Final = (0x18538067, 0x1654AE6B, 0xAE, 0xE0)
"""Segment, Tracks, TrackEntry, Video (RFC 9559); the film is the first entry."""
_DISPLAY_WIDTH: Final = 0x54B0
_DISPLAY_HEIGHT: Final = 0x54BA
_HEAD: Final = 1 << 20
"""Bytes that hold everything before the first picture."""


class _Element(NamedTuple):
    name: int
    start: int
    end: int


def stretch_display(path: Path, aspect: Fraction) -> None:
    """Multiply the shown width of a file's first track by `aspect`.

    Does nothing where the file states no size: then the picture's own shape counts.
    """
    with path.open("r+b") as file:
        head = file.read(_HEAD)
        size = {e.name: e for e in _inside(head, _WAY)}
        width, height = size.get(_DISPLAY_WIDTH), size.get(_DISPLAY_HEIGHT)
        if width is None or height is None:
            return
        wide, high = _number(head, width) * aspect, Fraction(_number(head, height))
        # Only the ratio counts, so what does not fit is made smaller both ways.
        fit = min(Fraction(1), (256 ** (width.end - width.start) - 1) / wide)
        for element, value in ((width, wide * fit), (height, high * fit)):
            length = element.end - element.start
            file.seek(element.start)
            file.write(max(1, round(value)).to_bytes(length, "big"))


def _inside(data: bytes, way: tuple[int, ...]) -> Iterator[_Element]:
    start, end = 0, len(data)
    for name in way:
        found = next((e for e in _elements(data, start, end) if e.name == name), None)
        if found is None:
            return
        start, end = found.start, found.end
    yield from _elements(data, start, end)


def _elements(data: bytes, start: int, end: int) -> Iterator[_Element]:
    """Elements that lie between two offsets; the last may go on beyond the data."""
    while start < min(end, len(data)) - 1:
        length = 9 - data[start].bit_length()
        name = int.from_bytes(data[start : start + length], "big")
        start += length
        if start >= len(data):
            return
        length = 9 - data[start].bit_length()
        bits = 7 * length
        size = int.from_bytes(data[start : start + length], "big") & ((1 << bits) - 1)
        start += length
        # All ones: the size is unknown, the element goes on to the end.
        stop = end if size == (1 << bits) - 1 else start + size
        yield _Element(name, start, stop)
        start = stop


def _number(data: bytes, element: _Element) -> int:
    return int.from_bytes(data[element.start : element.end], "big")
